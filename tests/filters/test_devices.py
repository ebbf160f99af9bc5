import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.devices import CPU_BATCH, LARGEST_BATCH, SHARE, batch_within, probed_batch
from filters.torch_file import WeightsError

GIB, MIB = 2**30, 2**20
CUDA = SimpleNamespace(type="cuda")


@pytest.mark.parametrize(
    ("total", "each", "expected"),
    [
        (80 * GIB, 8 * MIB, LARGEST_BATCH),
        (8 * GIB, 8 * MIB, 256),
        (8 * GIB - 1, 8 * MIB, 128),
        (4 * GIB, 8 * MIB, 128),
        (GIB, 300 * MIB, 1),
        (GIB, 128 * MIB, 2),
    ],
)
def test_a_batch_is_what_a_quarter_of_the_memory_takes(total: int, each: int, expected: int) -> None:
    assert batch_within(total, each) == expected


@given(st.integers(1, 200 * GIB), st.integers(1, 2 * GIB))
def test_a_batch_is_a_power_of_two_that_fits_and_twice_as_many_would_not(total: int, each: int) -> None:
    batch = batch_within(total, each)
    assert batch.bit_count() == 1
    assert batch == 1 or batch * each <= total * SHARE
    assert batch == LARGEST_BATCH or 2 * batch * each > int(total * SHARE) - each


def test_on_a_cpu_nothing_is_probed() -> None:
    looked: list[int] = []
    assert probed_batch(SimpleNamespace(type="cpu"), 1.0, looked.append) == CPU_BATCH
    assert not looked


class Gpu:
    """What `probed_batch` asks of torch.cuda: memory that pictures take while they are looked at."""

    def __init__(self, total: int, weights: int, each: int) -> None:
        self.total, self.weights, self.each, self.peak = total, weights, each, 0

    def look(self, pictures: int) -> None:
        self.peak = max(self.peak, self.weights + pictures * self.each)

    def reset_peak_memory_stats(self, device: Any) -> None:
        self.peak = 0

    def max_memory_allocated(self, device: Any) -> int:
        return self.peak

    def get_device_properties(self, device: Any) -> Any:
        return SimpleNamespace(total_memory=self.total)


def test_a_gpu_s_batch_is_by_what_one_more_picture_takes_of_the_worker_s_share(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu(8 * GIB, 3 * GIB, 8 * MIB)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=gpu))
    assert [probed_batch(CUDA, gpus, gpu.look) for gpus in (1.0, 0.5, 0.25)] == [256, 128, 64]


def test_a_gpu_without_room_for_a_probe_ends_the_run_and_other_errors_surface(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(message: str) -> Callable[[int], None]:
        def look(pictures: int) -> None:
            raise RuntimeError(message)

        return look

    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=Gpu(GIB, GIB, MIB)))
    with pytest.raises(WeightsError, match="no room for a batch of 8 pictures: start fewer workers"):
        probed_batch(CUDA, 1.0, fails("CUDA out of memory"))
    with pytest.raises(RuntimeError, match="device-side assert"):
        probed_batch(CUDA, 1.0, fails("device-side assert"))
