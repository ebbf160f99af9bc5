"""The exchange on real commits: the answer is that of a search over all keys, however they are cut into runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dedup.keys import KEY_BYTES, KEYS, SENT_KEYS, followers, sent_keys
from pipelines import exchange, sorted_runs
from pipelines.exchange import NUMBERED_KEYS, exchanged
from pipelines.partitions import partitions_for
from pipelines.recipe import Recipe, SourceEntry
from pipelines.session import Session
from pipelines.sorted_runs import MAX_FRAGMENTS, cut_runs
from pipelines.work import Commit, Part, Work
from sources.storage import LocalFolder

FRAGMENTS, ROWS, KINDS = 23, 40, 90


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Recipe(stage="mid", sources=(SourceEntry(name="x"),)), (), Work(LocalFolder(tmp_path)))


def keys_of(fragment: int, count: int, kinds: Sequence[bytes]) -> pa.Table:
    """Keys drawn from few kinds, so that many meet; ids say fragment and row."""
    random = np.random.default_rng(fragment)
    keys = [kinds[number] for number in random.integers(0, len(kinds), count)]
    ids = [fragment.to_bytes(8, "big") + row.to_bytes(8, "big") for row in range(count)]
    columns = [pa.array(keys, pa.binary(KEY_BYTES)), pa.array(random.integers(0, 2, count), pa.int32()),
               pa.array(range(count), pa.int32()), pa.array(ids, pa.binary(KEY_BYTES))]  # fmt: skip
    return sent_keys(pa.table(columns, schema=KEYS), 0)


@pytest.fixture
def tables() -> list[pa.Table]:
    """Keys of some fragments; two are empty."""
    random = np.random.default_rng(3)
    kinds = [random.bytes(KEY_BYTES) for _ in range(KINDS)]
    return [keys_of(fragment, 0 if fragment in (3, 22) else ROWS, kinds) for fragment in range(FRAGMENTS)]


@pytest.fixture(autouse=True)
def _short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorted_runs, "CUT_EVERY", 4)
    monkeypatch.setattr(sorted_runs, "GROUP_BYTES", 1000)


class Each:
    """Runs the tasks of an exchange, and remembers which had to work."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.worked: dict[str, int] = {}

    def __call__(self, name: str, tasks: Sequence[Any]) -> list[Commit]:
        commits = [task.run(self.session) for task in tasks]
        self.worked[name] = sum(not commit.reused for commit in commits)
        return commits


def sent(session: Session, tables: Sequence[pa.Table]) -> list[Part]:
    return [
        session.work.put("keys", str(number) + str(table.to_pydict()), {"keys": table}).parts["keys"]
        for number, table in enumerate(tables)
    ]


def answers(session: Session, tables: Sequence[pa.Table], each: Each | None = None) -> list[list[dict[str, Any]]]:
    parts = exchanged(each or Each(session), "t", sent(session, tables))
    return [session.work.read(part).to_pylist() for part in parts]


def searched(tables: Sequence[pa.Table]) -> list[list[dict[str, Any]]]:
    """The answers of one search over the keys of all fragments."""
    numbered = [
        table.append_column(NUMBERED_KEYS.field("fragment"), pa.array(np.full(table.num_rows, number, np.int32)))
        for number, table in enumerate(tables)
    ]
    found: list[list[dict[str, Any]]] = [[] for _ in tables]
    for row in followers(pa.concat_tables(numbered)).to_pylist():
        found[row.pop("fragment")].append(row)
    return found


@pytest.mark.parametrize("partition_rows", [10_000, 100, 8])
@pytest.mark.parametrize("longest_run", [1, 5, 128])
def test_neither_runs_nor_partitions_change_the_answer(
    session: Session, tables: list[pa.Table], monkeypatch: pytest.MonkeyPatch, partition_rows: int, longest_run: int
) -> None:
    monkeypatch.setattr(exchange, "PARTITION_ROWS", partition_rows)
    monkeypatch.setattr(exchange, "RUN_ROWS", longest_run * ROWS)
    found = answers(session, tables)
    assert found == searched(tables)
    assert sum(map(len, found)) >= (FRAGMENTS - 2) * ROWS - KINDS


def test_one_fragment_is_solved_without_being_merged(session: Session, tables: list[pa.Table]) -> None:
    each = Each(session)
    assert answers(session, tables[:1], each) == searched(tables[:1])
    assert each.worked == {"t solve": 1, "t answers": 1}


def test_leaders_never_follow_anyone(session: Session, tables: list[pa.Table]) -> None:
    found = answers(session, tables)
    following = {(fragment, row["row"]) for fragment, rows in enumerate(found) for row in rows}
    leaders = {row["leader"] for rows in found for row in rows}
    for leader in leaders:
        assert (int.from_bytes(leader[:8], "big"), int.from_bytes(leader[8:], "big")) not in following


def test_nothing_is_done_twice(session: Session, tables: list[pa.Table]) -> None:
    answers(session, tables)
    each = Each(session)
    answers(session, tables, each)
    assert not any(each.worked.values())


def test_a_fragment_that_nothing_changed_for_keeps_its_part(session: Session, tables: list[pa.Table]) -> None:
    columns = [pa.array([b"\0" * KEY_BYTES], pa.binary(KEY_BYTES)), pa.array([0], pa.int32())]
    columns += [pa.array([0], pa.int32()), pa.array([b"\1" * KEY_BYTES], pa.binary(KEY_BYTES))]
    lonely = sent_keys(pa.table(columns, schema=KEYS), 0)
    before = exchanged(Each(session), "t", sent(session, tables))
    after = exchanged(Each(session), "t", sent(session, [lonely, *tables]))
    assert after[1:] == before  # though the numbers of all fragments have moved by one


def test_one_changed_key_costs_one_run_and_the_partitions_it_is_in(
    session: Session, tables: list[pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "PARTITION_ROWS", ROWS)
    answers(session, tables)
    changed = tables[6].to_pylist()
    changed[0]["key"] = changed[0]["key"][:1] + bytes(KEY_BYTES - 1)  # in the same partition
    tables[6] = sent_keys(pa.Table.from_pylist(changed, schema=SENT_KEYS).select(KEYS.names), 0)
    each = Each(session)
    assert answers(session, tables, each) == searched(tables)
    assert partitions_for((FRAGMENTS - 2) * ROWS, ROWS) == 32
    assert each.worked["t runs"] == 1
    assert each.worked["t solve"] == 1


def test_runs_are_cut_where_content_says_so_that_a_new_part_moves_no_other_cut() -> None:
    digests = [f"{number * 2654435761 % 2**32:08x}" for number in range(2000)]
    parts = [Part("", digest, 1, 1) for digest in digests]

    def cuts(given: Sequence[Part]) -> set[str]:
        return {given[span.stop - 1].digest for span in cut_runs(given, [1] * len(given), 2**30)}

    spans = cut_runs(parts, [1] * len(parts), 2**30)
    assert [number for span in spans for number in span] == list(range(len(parts)))
    assert max(map(len, spans)) <= MAX_FRAGMENTS
    assert cuts([*parts[:700], Part("", "00000001", 1, 1), *parts[700:]]) == cuts(parts)


@pytest.mark.parametrize(("weights", "spans"), [([3, 3, 3, 3], [2, 2]), ([9, 1, 1, 9], [1, 2, 1]), ([], [])])
def test_a_run_is_no_heavier_than_allowed_unless_it_is_one_part(weights: list[int], spans: list[int]) -> None:
    parts = [Part("", "00000001", 1, 1)] * len(weights)
    assert [len(span) for span in cut_runs(parts, weights, 6)] == spans
