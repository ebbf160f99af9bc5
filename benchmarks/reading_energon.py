"""Reads a folder of shards with Megatron-Energon, which has an environment of its own; `benchmarks.reading` runs it.

Imports nothing of the project: `PYTHON reading_energon.py FOLDER off|on`. Prints samples, seconds, and seconds of
processor time.
"""

import sys
import time
from typing import Any

from megatron.energon import (  # type: ignore[import-not-found]
    Cooker,
    DefaultTaskEncoder,
    Sample,
    SampleDecoder,
    WorkerConfig,
    basic_sample_keys,
    edataclass,
    get_loader,
    get_val_dataset,
    stateless,
)


@edataclass  # type: ignore[untyped-decorator]
class Item(Sample):  # type: ignore[misc]
    """A sample as the others give it."""

    json: Any
    jpg: Any


@stateless  # type: ignore[untyped-decorator]
def cook(sample: Any) -> Item:
    """Take the two members."""
    return Item(**basic_sample_keys(sample), json=sample["json"], jpg=sample["jpg"])


class Encoder(DefaultTaskEncoder):  # type: ignore[misc]
    """Decodes to uint8 H x W x 3, or nothing."""

    cookers = [Cooker(cook)]  # noqa: RUF012 - as Energon declares it
    decoder = SampleDecoder(image_decode="rgb8") if sys.argv[2] == "on" else None


def main() -> None:
    """Read everything once, in this process."""
    config = WorkerConfig(rank=0, world_size=1, num_workers=0)
    data = get_val_dataset(
        sys.argv[1], split_part="train", worker_config=config, batch_size=None, task_encoder=Encoder()
    )
    loader = get_loader(data)
    started, used = time.perf_counter(), time.process_time()
    count = sum(1 for _ in loader)
    print(count, time.perf_counter() - started, time.process_time() - used)


if __name__ == "__main__":
    main()
