"""A data set of the hub: `datasets` in streaming mode against our ranged reader, from a hub on this machine.

    python -m benchmarks.hub [--rows N]

One Parquet file with a picture of 20 kB in each row, in row groups of 100 rows. Both read every row and picture; both
then resume at three quarters, which is what a killed build does, and what is done each time that a fragment's pictures
are opened again (measured, written to shards). Seconds, requests and megabytes that the hub sent are told; rows must be
equal.
"""

import argparse
import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sources.cards import Card, Layout
from sources.find import find_corpus
from sources.identity import Identity
from sources.readers.hf import HfReader
from sources.records import Corpus, Fragment, Record
from sources.storage import folder_at
from sources.uris import PICTURE
from tests.sources.hub_server import COMMIT, REPOSITORY, Hub, serving

PLACE = f"hf://datasets/{REPOSITORY}@{COMMIT}"
Pairs = Iterator[tuple[str, bytes]]


def write(path: Path, rows: int) -> None:
    """Captions, each with bytes that stand for its picture, typed as `datasets` types pictures."""
    rng = random.Random(0)
    held = [{"text": f"caption {n}", "image": {"bytes": rng.randbytes(20_000), "path": None}} for n in range(rows)]
    picture = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    table = pa.Table.from_pylist(held, pa.schema({"text": pa.string(), "image": picture}))
    features = b'{"info": {"features": {"text": {"dtype": "string", "_type": "Value"}, "image": {"_type": "Image"}}}}'
    table = table.replace_schema_metadata({b"huggingface": features})
    pq.write_table(table, path, row_group_size=100, use_dictionary=False)


def streamed() -> Any:
    """The data set as `datasets` streams it."""
    from datasets import load_dataset

    dataset = load_dataset("parquet", data_files={"train": f"{PLACE}/train.parquet"}, split="train", streaming=True)
    return dataset.decode(enable=False)


def state_after(rows: int) -> Any:
    """What `datasets` says that it needs to go on after so many rows."""
    dataset = streamed()
    for _ in islice(dataset, rows):
        pass
    return dataset.state_dict()


def by_datasets(dataset: Any, rows: int) -> Pairs:
    """Its next rows."""
    for row in islice(dataset, rows):
        yield row["text"], row["image"]["bytes"]


def corpus_at(place: str) -> Corpus:
    """The data set as our reader sees it."""
    card = Card(name="films", reader="hf", layout=Layout(files=(place,)), task="caption", access="open",
                fields={"text": "text", "image": "image"})  # fmt: skip
    corpus = find_corpus(card, "films", [folder_at(".")], Identity("films"), place)
    if corpus is None:
        raise SystemExit(f"{place}: no record files there")
    return corpus


def by_ranges(corpus: Corpus, fragments: list[Fragment]) -> Pairs:
    """The rows of some fragments."""
    reader = HfReader()
    for fragment in fragments:
        for record in reader.read(corpus, fragment):
            assert isinstance(record, Record)
            [uri] = [record.row[PICTURE]] if isinstance(record.row[PICTURE], str) else record.row[PICTURE]
            yield record.row["text"], reader.open_picture(corpus, fragment, uri)


@contextmanager
def told(hub: Hub, what: str) -> Iterator[None]:
    """Print what something cost."""
    asked, sent, start = len(hub.asked), hub.sent, time.perf_counter()
    yield
    took = time.perf_counter() - start
    print(f"{what:<42}{took:>7.2f} s{len(hub.asked) - asked:>7} requests{(hub.sent - sent) / 1e6:>8.1f} MB")


def compare(hub: Hub, rows: int) -> None:
    """Print a line for each way of reading each part."""
    start = rows * 3 // 4
    state = state_after(start)  # imports are not timed either
    with told(hub, "datasets: all rows and pictures"):
        whole = list(by_datasets(streamed(), rows))
    with told(hub, f"datasets: 500 rows from row {start}"):
        dataset = streamed()
        dataset.load_state_dict(state)
        part = list(by_datasets(dataset, 500))
    corpus, reader = corpus_at(PLACE), HfReader()
    with told(hub, "here: plan (every byte is hashed)"):
        fragments = list(reader.plan(corpus, corpus.files))
    with told(hub, "here: all rows and pictures"):
        own = list(by_ranges(corpus, fragments))
    late = [fragment for fragment in fragments if fragment.first_row + fragment.records > start][:1]
    with told(hub, f"here: fragment of rows {late[0].first_row} to {late[0].first_row + late[0].records}"):
        own_part = list(by_ranges(corpus, late))
    assert own == whole
    assert len(own) == rows
    assert part == whole[start : start + 500]
    assert own_part == whole[late[0].first_row :][: late[0].records]


def main() -> None:
    """Serve a data set and read it both ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "set").mkdir()
        write(Path(place) / "set/train.parquet", rows)
        size = (Path(place) / "set/train.parquet").stat().st_size
        os.environ.update({"HF_HOME": f"{place}/cache", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "0"})
        with serving(Path(place) / "set") as hub:
            os.environ["HF_ENDPOINT"] = hub.url
            print(f"{rows} rows, {size / 1e6:.1f} MB")
            compare(hub, rows)


if __name__ == "__main__":
    main()
