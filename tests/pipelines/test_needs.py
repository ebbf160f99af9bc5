from collections.abc import Mapping
from typing import Any

from filters.measure import Pictures
from pipelines.engines.needs import Need, need_of
from pipelines.facts import PictureTask


class OnGpu:
    """A model that asks for a GPU, as BiomedCLIP with `device: cuda`."""

    name, version, fields, whole, batch, gpus = "model", 1, ("embedding",), True, 1, 1.0

    def prepare(self, picture: Any) -> Any:
        return picture

    def measure_batch(self, prepared: Any) -> list[Mapping[str, Any]]:
        return [{"embedding": b""} for _ in prepared]


def test_a_worker_that_measures_pictures_by_a_model_on_a_gpu_asks_for_one() -> None:
    for measurers, gpus in ((), 0.0), ((OnGpu(),), 1.0):
        step = Pictures(10**6, "first", pixel_hash=True, measurers=measurers)
        assert need_of(PictureTask(step, None, 0)) == Need(1.0, gpus)  # type: ignore[arg-type] - no fragment is read
