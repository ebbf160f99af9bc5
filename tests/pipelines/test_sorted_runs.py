"""Runs: what stands for the content of each range of their keys."""

import numpy as np
import pyarrow as pa

from dedup.keys import slots_of
from pipelines.sorted_runs import SLOTS, _slots_of, digest_of


def test_a_slot_has_the_digest_of_its_rows_wherever_they_stand() -> None:
    keys = np.sort(np.random.default_rng(1).integers(0, 2**63, 2_000, np.uint64) * 2).astype(">u8")
    words = np.stack([keys, keys], axis=1)
    key = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(keys), [None, pa.py_buffer(words.tobytes())])
    rows = pa.table({"key": key, "row": np.arange(len(keys), dtype=np.int32)})
    for some in (rows, rows.slice(300, 900), rows[:0]):
        assert _slots_of(some) == {str(slot): digest_of(own) for slot, own in slots_of(some, SLOTS)}
    longer = rows.append_column("told", pa.array([b"x" * (row % 3) for row in range(len(keys))], pa.binary()))
    assert _slots_of(longer) == {str(slot): digest_of(own) for slot, own in slots_of(longer, SLOTS)}
