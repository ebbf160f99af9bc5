"""Where a model runs, and how many pictures it takes at once there."""

from collections.abc import Callable
from typing import Any

from filters.torch_file import WeightsError

CPU_BATCH = 32
LARGEST_BATCH = 256
"""A worker holds up to four of them (being filled, under way, that one stacked, and filled up with nothing if it is the
last of a fragment): 154 MB of 224 x 224 pixels. A fragment of 4,096 is 16 of them."""
SHARE = 0.25
"""Of a GPU's memory, for a batch: beside it are weights (0.8 GB), CUDA itself, and what PyTorch keeps in pieces."""
PROBES = (4, 8)
"""Pictures of two small batches, whose difference tells what one more takes."""


def chosen_device(device: str) -> Any:
    """`cuda`, `cpu`, or for `auto` the GPU where PyTorch finds one, as a torch.device."""
    import torch

    return torch.device("cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu")


def batch_within(total_bytes: int, bytes_each: int) -> int:
    """How many pictures of so many bytes go at once into a GPU's memory: a power of two, 1 to LARGEST_BATCH.

    Of all its memory, not of what is free: the numbers of a picture are the same to the bit in batches of one size
    only, so that GPUs of a kind must take one size, whoever else uses them.
    """
    room = int(total_bytes * SHARE) // max(bytes_each, 1)
    return min(1 << max(room.bit_length() - 1, 0), LARGEST_BATCH)


def probed_batch(device: Any, gpus: float, look: Callable[[int], object]) -> int:
    """The batch for a model on a device of which a worker has the share `gpus`; `look` is given a number of pictures.

    Raises:
        WeightsError: a GPU has no room even for a probe; another batch than its kind's would give other numbers.
    """
    if device.type != "cuda":
        return CPU_BATCH
    import torch

    peaks = []
    try:
        look(PROBES[0])  # what is allocated once and kept
        for pictures in PROBES:
            torch.cuda.reset_peak_memory_stats(device)
            look(pictures)
            peaks.append(torch.cuda.max_memory_allocated(device))
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise WeightsError(
            f"model: {device} has no room for a batch of {PROBES[-1]} pictures: start fewer workers, give each a "
            "larger share (`gpus`), or set `device: cpu`; a `batch` in the recipe is halved until it fits"
        ) from None
    total = torch.cuda.get_device_properties(device).total_memory
    return batch_within(int(total * gpus), (peaks[1] - peaks[0]) // (PROBES[1] - PROBES[0]))


def is_out_of_memory(error: Exception) -> bool:
    """Whether a device has no room for what was asked of it."""
    return type(error).__name__ == "OutOfMemoryError" or (
        isinstance(error, RuntimeError) and "out of memory" in str(error).casefold()
    )
