"""Rows are collected for a bounded number of fragments at a time."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import sorted_runs
from pipelines.joins import collect
from pipelines.joins import tables as driven
from sources.readers import ranges
from sources.records import CorpusError
from tests.pipelines.joins.joining import Join, searched


@pytest.mark.parametrize("held_bytes", [1, 2000, 2**30])
def test_rows_collected_for_a_few_fragments_at_a_time_are_the_same_and_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held_bytes: int
) -> None:
    monkeypatch.setattr(driven, "COLLECTED_BYTES", 2**30)  # one run holds all fragments
    monkeypatch.setattr(sorted_runs, "CUT_EVERY", 10**9)
    monkeypatch.setattr(collect, "HELD_BYTES", held_bytes)
    monkeypatch.setattr(driven, "PARTITION_BYTES", 2500)
    held: list[int] = []
    take = collect.taken

    def watched(rows: pa.Table, answers: pl.DataFrame) -> pa.Table:
        held.append(rows["sealed"].nbytes)
        return take(rows, answers)

    monkeypatch.setattr(collect, "taken", watched)
    rows = [{"id": n % 30, "cc": "y" * 50, "file": n} for n in range(120)]
    records = [{"uid": n % 40, "body": "x"} for n in range(60)]
    join = Join(tmp_path, many=True).write(records, rows)
    assert join.by_exchange() == join.at_once() == searched(records, rows, many=True)
    assert len(held) == 20  # fragments of three records
    one_fragment = 3 * 4 * 90  # records, rows of each value, bytes of a row with its offset at most
    assert max(held) <= max(held_bytes, one_fragment)


def test_a_fragment_whose_records_match_more_than_a_build_holds_is_refused_without_naming_a_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"id": "DOE-JANE", "cc": "y" * 2**10, "file": None} for _ in range(1000)]
    records = [{"uid": "DOE-JANE", "body": "x"}] * 3
    monkeypatch.setattr(ranges, "FRAGMENT_RECORDS", 500)
    monkeypatch.setattr(driven, "PARTITION_BYTES", 2**20)
    join = Join(tmp_path, many=True).write(records, rows)
    monkeypatch.setattr(collect, "MAX_FRAGMENT_BYTES", 2 * 2**20)
    with pytest.raises(
        CorpusError, match=r"^test: 3 records .* match 3,000 rows .* 3 MiB where 2 are .* 1,000 rows"
    ) as e:
        join.by_exchange()
    assert "DOE" not in str(e.value)
    monkeypatch.setattr(collect, "MAX_FRAGMENT_BYTES", 4 * 2**20)
    assert [len(row["cc"]) for row in join.by_exchange() if isinstance(row, dict)] == [1000] * 3


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 60))
def test_stretches_cover_all_fragments_in_order_and_hold_little(sizes: list[int], most: int) -> None:
    found = collect.stretches(sizes, most)
    assert [place for start, stop in found for place in range(start, stop)] == list(range(len(sizes)))
    assert all(stop - start == 1 or sum(sizes[start:stop]) <= most for start, stop in found)
