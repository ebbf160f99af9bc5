"""One reader, once, in a process of its own: `python -m benchmarks.reading_readers NAME FOLDER off|on`.

Prints how many samples it read, how long that took and how much processor time, imports not counted. With `on`, all
give the JSON as Python objects and the picture as uint8 H x W x 3.
"""

import io
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson


def ours(folder: Path, decode: str) -> Callable[[], Iterator[Any]]:
    """Samples in the shuffled order of the plan, as the others give them: not rendered."""
    from shards.loader_pictures import decoded
    from shards.loader_samples import RawSample, SampleReader
    from shards.loader_shards import Shards
    from shards.manifest import read_manifest
    from shards.plan_file import open_plan
    from sources.storage import LocalFolder

    def samples() -> Iterator[Any]:
        here = LocalFolder(folder)
        plan = open_plan(here)
        reader = SampleReader(Shards(here, read_manifest(here)))
        size = plan.about.rows_per_step
        steps = (plan.rows(step * size, (step + 1) * size) for step in range(plan.steps))
        batches = ((None, [place for row in rows for place in row.samples]) for rows in steps)
        for _, found in reader.read_ahead(batches):
            for sample in found:
                if not isinstance(sample, RawSample):
                    raise TypeError(str(sample))
                if decode == "on":
                    yield orjson.loads(sample.json), [decoded(*picture) for picture in sample.pictures]
                else:
                    yield sample.json, [data for _, data in sample.pictures]

    return samples


def rows(folder: Path, decode: str) -> Callable[[], Iterator[Any]]:
    """Packed rows, as a trainer gets them: rendered and labelled too."""
    from shards.loader import PlannedRows

    def samples() -> Iterator[Any]:
        for step in PlannedRows(folder, decode="pictures" if decode == "on" else "bytes"):
            for row in step.rows:
                yield from row.keys

    return samples


def webdataset(folder: Path, decode: str) -> Callable[[], Iterator[Any]]:
    """The reference reader, tar after tar."""
    import webdataset as wds  # type: ignore[import-untyped]

    data = wds.WebDataset([str(tar) for tar in sorted(folder.glob("*.tar"))], shardshuffle=False)
    return lambda: iter(data.decode("rgb8") if decode == "on" else data)


def datasets(folder: Path, decode: str) -> Callable[[], Iterator[Any]]:
    """Hugging Face's streaming reader, tar after tar."""
    import datasets as hf

    tars = [str(tar) for tar in sorted(folder.glob("*.tar"))]
    data = hf.load_dataset("webdataset", data_files={"train": tars}, split="train", streaming=True)
    if decode == "off":
        return lambda: iter(data.cast_column("jpg", hf.Image(decode=False)))
    return lambda: ({**row, "jpg": np.asarray(row["jpg"].convert("RGB"))} for row in data)


def bare(folder: Path, decode: str) -> Callable[[], Iterator[Any]]:
    """The decoder alone, of pictures that are in memory: the limit."""
    import tarfile

    import cv2

    found: list[bytes] = []
    with tarfile.open(min(folder.glob("*.tar"))) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if member.name.endswith(".jpg") and file is not None:
                found.append(file.read())
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION

    def pictures() -> Iterator[Any]:
        for data in found:
            yield cv2.imdecode(np.frombuffer(data, np.uint8), flags) if decode == "on" else io.BytesIO(data)

    return pictures


READERS = {"ours": ours, "ours as rows": rows, "webdataset": webdataset, "datasets": datasets, "bare decoder": bare}


def main() -> None:
    """Read everything once, in this process."""
    name, folder, decode = sys.argv[1:]
    samples = READERS[name](Path(folder), decode)
    started, used = time.perf_counter(), time.process_time()
    count = sum(1 for _ in samples())
    print(count, time.perf_counter() - started, time.process_time() - used)


if __name__ == "__main__":
    main()
