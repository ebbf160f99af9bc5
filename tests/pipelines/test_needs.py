from collections.abc import Mapping
from typing import Any

from filters.measure import Pictures
from pipelines.engines.needs import Need, need_of
from pipelines.facts import PictureTask


class OnGpu:
    """A model that asks for a GPU, as BiomedCLIP with `device: cuda`."""

    name, version, fields, whole, gpus = "model", 1, ("embedding",), True, 1.0

    def batch_size(self) -> int:
        return 1

    def prepare(self, picture: Any) -> Any:
        return picture

    def measure_batch(self, prepared: Any) -> list[Mapping[str, Any]]:
        return [{"embedding": b""} for _ in prepared]


def test_a_worker_that_measures_pictures_by_a_model_on_a_gpu_asks_for_one() -> None:
    for measurers, gpus in ((), 0.0), ((OnGpu(),), 1.0):
        step = Pictures(10**6, "first", pixel_hash=True, measurers=measurers)
        assert need_of(PictureTask(step, None, 0)) == Need(1.0, gpus)  # type: ignore[arg-type] - no fragment is read


def test_a_gpu_is_optional_where_every_model_that_asks_for_one_goes_without() -> None:
    class Auto(OnGpu):
        gpus, gpus_optional = 0.25, True

    for measurers, optional in (((Auto(),), True), ((Auto(), OnGpu()), False)):
        step = Pictures(10**6, "first", pixel_hash=True, measurers=measurers)
        assert need_of(PictureTask(step, None, 0)).gpus_optional is optional  # type: ignore[arg-type] - as above


def test_what_is_optional_is_asked_for_only_where_a_node_has_it() -> None:
    wish = Need(1.0, 1.0, gpus_optional=True)
    assert [wish.where_a_node_has(gpus) for gpus in (0.0, 1.0, 8.0)] == [Need(1.0), wish, wish]
    assert Need(1.0, 1.0).where_a_node_has(0.0) == Need(1.0, 1.0)
