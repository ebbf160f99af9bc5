"""Runs: what stands for the content of each range of their keys."""

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from dedup.keys import slots_of
from pipelines.recipe import Recipe, SourceEntry
from pipelines.session import Session
from pipelines.sorted_runs import SLOTS, MergeTask, _slots_of, digest_of
from pipelines.work import Work
from sources.storage import LocalFolder


def test_a_slot_has_the_digest_of_its_rows_wherever_they_stand() -> None:
    keys = np.sort(np.random.default_rng(1).integers(0, 2**63, 2_000, np.uint64) * 2).astype(">u8")
    words = np.stack([keys, keys], axis=1)
    key = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(keys), [None, pa.py_buffer(words.tobytes())])
    rows = pa.table({"key": key, "row": np.arange(len(keys), dtype=np.int32)})
    for some in (rows, rows.slice(300, 900), rows[:0]):
        assert _slots_of(some) == {str(slot): digest_of(own) for slot, own in slots_of(some, SLOTS)}
    longer = rows.append_column("told", pa.array([b"x" * (row % 3) for row in range(len(keys))], pa.binary()))
    assert _slots_of(longer) == {str(slot): digest_of(own) for slot, own in slots_of(longer, SLOTS)}


def first_rows(rows: pa.Table, count: int = 1) -> pa.Table:
    return rows.slice(0, count)


def test_runs_that_are_compressed_or_reduced_otherwise_are_not_taken_for_one_another(tmp_path: Path) -> None:
    work = Work(LocalFolder(tmp_path))
    session = Session(Recipe(stage="mid", sources=(SourceEntry(name="test"),)), (), work)
    keys = pa.array([number.to_bytes(16, "big") for number in range(5)], pa.binary(16))
    part = work.put("sent", "all", {"rows": pa.table({"key": keys})}).parts["rows"]
    task = partial(MergeTask, "test", 0, (part, part))
    two = partial(first_rows, count=2)
    runs = [
        task(), task(compression="none"), task(reduce=first_rows), task(reduce=two), task(reduce=partial(two, count=3)),
    ]  # fmt: skip
    commits = [run.run(session) for run in runs]
    assert [commit.parts["rows"].rows for commit in commits] == [10, 10, 1, 2, 3]
    assert len({commit.key for commit in commits}) == len(runs)
    assert all(run.run(session).reused for run in runs)
