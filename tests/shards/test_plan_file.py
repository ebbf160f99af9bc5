import io
import pickle
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.plan_file import ABOUT_KEY, BATCH_ROWS, PLAN_SCHEMA, Place, PlanError, about_bytes, open_plan, write_plan
from sources.storage import LocalFolder
from tests.shards.planned import about_of, batch_of


def rows_of(count: int) -> list[list[Place]]:
    return [[Place(row % 7, 512 * row, 1024, 3 + k, 0) for k in range(1 + row % 3)] for row in range(count)]


def written(root: Path, rows: list[list[Place]], rows_per_step: int = 4, **more: Any) -> LocalFolder:
    with (root / "plan.arrow").open("wb") as file:
        write_plan(file, about_of(len(rows), rows_per_step, **more), iter([batch_of(rows)]))
    return LocalFolder(root)


def changed_about(root: Path, **changes: Any) -> LocalFolder:
    """A plan of four rows that says something else of itself."""
    content = orjson.loads(about_bytes(about_of(4, 4))) | changes
    schema = PLAN_SCHEMA.with_metadata({ABOUT_KEY: orjson.dumps(content)})
    batch = batch_of(rows_of(4)).replace_schema_metadata(schema.metadata)
    with pa.OSFile(str(root / "plan.arrow"), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        writer.write_batch(batch)
    return LocalFolder(root)


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    rows = rows_of(2 * BATCH_ROWS + 100)
    plan = open_plan(written(tmp_path, rows, seed=7))
    found = plan.rows(0, len(rows))
    assert [list(row.samples) for row in found] == rows
    assert [row.tokens for row in found] == [sum(place.tokens for place in row) for row in rows]
    assert plan.about == about_of(len(rows), 4, seed=7)
    assert plan.steps == len(rows) // 4


@pytest.fixture(scope="module")
def long_plan(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalFolder, list[list[Place]]]:
    rows = rows_of(2 * BATCH_ROWS + 100)
    return written(tmp_path_factory.mktemp("plan"), rows), rows


@settings(max_examples=40)
@given(st.data())
def test_any_stretch_of_rows_is_that_of_a_list(
    long_plan: tuple[LocalFolder, list[list[Place]]], data: st.DataObject
) -> None:
    folder, rows = long_plan
    start = data.draw(st.integers(0, len(rows)))
    stop = data.draw(st.integers(start, len(rows)))
    every = data.draw(st.integers(1, 3000))
    found = open_plan(folder).rows(start, stop, every)
    assert [list(row.samples) for row in found] == rows[start:stop:every]


MANY = batch_of(rows_of(2100))


@settings(max_examples=30)
@given(st.lists(st.integers(0, 1500), max_size=5))
def test_bytes_do_not_depend_on_how_rows_are_handed_over(sizes: list[int]) -> None:
    whole, pieces = io.BytesIO(), io.BytesIO()
    batch = MANY
    write_plan(whole, about_of(2100, 4), iter([batch]))
    cuts = [0, *sorted(min(sum(sizes[: n + 1]), 2100) for n in range(len(sizes))), 2100]
    write_plan(pieces, about_of(2100, 4), (batch.slice(a, b - a) for a, b in pairwise(cuts)))
    assert pieces.getvalue() == whole.getvalue()


def test_a_plan_of_no_rows_has_no_steps(tmp_path: Path) -> None:
    plan = open_plan(written(tmp_path, []))
    assert (plan.steps, plan.rows(0, 0)) == (0, [])


def test_rows_beyond_the_last_are_an_error(tmp_path: Path) -> None:
    plan = open_plan(written(tmp_path, rows_of(8)))
    with pytest.raises(IndexError, match="of a plan with 8"):
        plan.rows(4, 9)


def test_a_copy_for_another_process_reads_the_same(tmp_path: Path) -> None:
    plan = open_plan(written(tmp_path, rows_of(8)))
    assert pickle.loads(pickle.dumps(plan)).rows(2, 8, 2) == plan.rows(2, 8, 2)


def test_plans_of_other_settings_have_other_digests(tmp_path: Path) -> None:
    digests = {open_plan(written(tmp_path, rows_of(8), seed=seed)).digest for seed in range(3)}
    assert len(digests) == 3


def test_more_rows_than_announced_are_refused() -> None:
    with pytest.raises(ValueError, match="a plan of 4 rows was given 8"):
        write_plan(io.BytesIO(), about_of(4, 4), iter([batch_of(rows_of(8))]))


def test_other_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="the columns of a plan are"):
        write_plan(io.BytesIO(), about_of(4, 4), iter([batch_of(rows_of(4)).drop_columns(["cost"])]))


def test_rows_that_fill_no_whole_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="rows are not steps x rows_per_step"):
        about_of(6, 4)


def test_no_plan_is_told_with_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"plan\.arrow: there is none; make it again: curate shards plan DIR"):
        open_plan(LocalFolder(tmp_path))


def test_a_plan_cut_off_anywhere_is_told(tmp_path: Path) -> None:
    folder = written(tmp_path, rows_of(64))
    whole = (tmp_path / "plan.arrow").read_bytes()
    for size in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "plan.arrow").write_bytes(whole[:size])
        with pytest.raises(PlanError, match="truncated or damaged"):
            open_plan(folder)


def test_a_flipped_bit_is_told_or_changes_no_row(tmp_path: Path) -> None:
    folder = written(tmp_path, rows_of(64))
    expected = open_plan(folder).rows(0, 64)
    whole = (tmp_path / "plan.arrow").read_bytes()
    for at in range(0, len(whole), 23):
        data = bytearray(whole)
        data[at] ^= 1 << at % 8
        (tmp_path / "plan.arrow").write_bytes(data)
        with suppress(PlanError):
            assert open_plan(folder).rows(0, 64) == expected


def test_a_plan_of_another_version_is_refused_by_number(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="format 2, this curate reads 1"):
        open_plan(changed_about(tmp_path, format=2))


def test_an_about_that_lacks_a_key_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="tokenizer: Input should be a valid string"):
        open_plan(changed_about(tmp_path, tokenizer=3))


def test_an_arrow_file_of_others_is_no_plan(tmp_path: Path) -> None:
    table = pa.table({"x": [1]})
    with pa.OSFile(str(tmp_path / "plan.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(PlanError, match="not a plan that curate wrote"):
        open_plan(LocalFolder(tmp_path))
