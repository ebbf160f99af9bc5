"""How bands are cut in partitions: by powers of two, so that a corpus that grows a little is not cut anew."""

import pytest

from pipelines.near.propose import FEW_ROWS, PARTITION_ROWS, room_for
from pipelines.partitions import partitions_for


def partitions(rows: int) -> int:
    return partitions_for(room_for(rows), min(PARTITION_ROWS, max(FEW_ROWS, room_for(rows) // 4)))


@pytest.mark.parametrize("rows", [1_000_000, 1_450_000, 4_000_000])
def test_a_few_bands_more_leave_the_partitions_as_they_are(rows: int) -> None:
    assert {partitions(rows + more) for more in range(-4, 5)} == {4}


def test_partitions_change_in_number_only_where_the_corpus_doubles_and_hold_no_more_than_they_may() -> None:
    sizes = [2**power + more for power in range(4, 31) for more in (-1, 0, 1)]
    counts = [partitions(size) for size in sizes]
    assert counts[0] == 1
    assert counts == sorted(counts)
    changed = [size for size, before, after in zip(sizes, counts, counts[1:], strict=False) if before != after]
    assert all(size & (size - 1) == 0 for size in changed)
    assert all(size / count <= PARTITION_ROWS for size, count in zip(sizes, counts, strict=True))
