"""Values that many rows have: refused alone, and never together in a partition."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.joins import rows as sent
from pipelines.joins import solve
from pipelines.joins import tables as driven
from sources import joins as in_memory
from sources.readers import ranges
from tests.pipelines.joins.joining import Join


@pytest.mark.parametrize("identifiers", ["public", "keyed"])
@pytest.mark.parametrize(("most_rows", "most_bytes"), [(7, 2**20), (1000, 8 * len('{"cc":"000"}') - 1)])
def test_a_record_that_too_many_rows_match_is_refused_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, identifiers: str, most_rows: int, most_bytes: int
) -> None:
    for module in (in_memory, sent):
        monkeypatch.setattr(module, "MAX_JOINED_ROWS", most_rows)
        monkeypatch.setattr(module, "MAX_JOINED_BYTES", most_bytes)
    rows = [{"id": "hot", "cc": f"{n:03}", "file": None} for n in range(8)] * 20
    rows += [{"id": "warm", "cc": f"{n:03}", "file": None} for n in range(7)]
    join = Join(tmp_path, many=True, identifiers=identifiers)
    join.write([{"uid": uid, "body": "x"} for uid in ("hot", "warm", "hot", "cold")], rows)
    found = join.by_exchange()
    assert found == join.at_once()
    assert [row if isinstance(row, str) else len(row["cc"]) for row in found] == [found[0], 7, found[0], 0]
    assert "rows of the joined table" in str(found[0])
    assert join.said == join.said | {"rows": 167, "matched": 167, "unmatched": 0, "records": 4, "records_unmatched": 1}


@pytest.mark.parametrize("run_bytes", [1, 20_000])
def test_a_value_that_many_rows_have_is_never_together_in_a_partition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_bytes: int
) -> None:
    for module in (in_memory, sent):
        monkeypatch.setattr(module, "MAX_JOINED_ROWS", 10)
    monkeypatch.setattr(ranges, "FRAGMENT_RECORDS", 50)
    monkeypatch.setattr(driven, "RUN_BYTES", run_bytes)
    monkeypatch.setattr(driven, "PARTITION_BYTES", 50_000)
    monkeypatch.setattr(solve, "PARTITION_BYTES", 4000)
    held: list[int] = []
    join = solve.joined_tables

    def watched(tables: Any, reduce: Any, most: int) -> pa.Table:
        def counted(table: pa.Table) -> pa.Table:
            held.append(table.num_rows)
            return reduce(table)

        return join(tables, counted, most)

    monkeypatch.setattr(solve, "joined_tables", watched)
    rows = [{"id": "hot", "cc": "y" * 50, "file": n} for n in range(1000)]
    Join(tmp_path, many=True).write([{"uid": "hot", "body": "x"}], rows).by_exchange()
    assert max(held) <= 2 * 50 + 1
