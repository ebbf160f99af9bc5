"""The exchange on real commits: the answer does not depend on the number of partitions."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dedup.keys import KEY_BYTES, KEYS, sorted_keys
from pipelines.exchange import PARTITION_ROWS, GatherTask, SolveTask, partitions_for
from pipelines.recipe import Recipe, SourceEntry
from pipelines.session import Session
from pipelines.work import Part, Work
from sources.storage import LocalFolder

FRAGMENTS, ROWS, KINDS = 7, 40, 90


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Recipe(stage="mid", sources=(SourceEntry(name="x"),)), (), Work(LocalFolder(tmp_path)))


@pytest.fixture
def sent(session: Session) -> tuple[Part, ...]:
    """Keys of some fragments, drawn from few kinds so that many meet; one fragment is empty."""
    random = np.random.default_rng(3)
    kinds = [random.bytes(KEY_BYTES) for _ in range(KINDS)]
    parts = []
    for fragment in range(FRAGMENTS):
        count = 0 if fragment == 3 else ROWS
        keys = [kinds[number] for number in random.integers(0, KINDS, count)]
        ids = [fragment.to_bytes(8, "big") + row.to_bytes(8, "big") for row in range(count)]
        columns = [pa.array(keys, pa.binary(KEY_BYTES)), pa.array(random.integers(0, 2, count), pa.int32()),
                   pa.array(range(count), pa.int32()), pa.array(ids, pa.binary(KEY_BYTES))]  # fmt: skip
        table = sorted_keys(pa.table(columns, schema=KEYS))
        parts.append(session.work.put("keys", f"k{fragment}", {"keys": table}).parts["keys"])
    return tuple(parts)


def answers(session: Session, sent: tuple[Part, ...], partitions: int) -> list[list[dict[str, object]]]:
    solved = tuple(
        SolveTask(f"t{partitions}", number, partitions, sent).run(session).parts["followers"]
        for number in range(partitions)
    )
    gathered = [GatherTask(f"t{partitions}", solved, number).run(session) for number in range(len(sent))]
    return [session.work.read(commit.parts["followers"]).to_pylist() for commit in gathered]


@pytest.mark.parametrize("partitions", [2, 16, 128])
def test_partitions_do_not_change_the_answer(session: Session, sent: tuple[Part, ...], partitions: int) -> None:
    whole = answers(session, sent, 1)
    assert answers(session, sent, partitions) == whole
    assert sum(map(len, whole)) >= (FRAGMENTS - 1) * ROWS - KINDS


def test_leaders_never_follow_anyone(session: Session, sent: tuple[Part, ...]) -> None:
    found = answers(session, sent, 4)
    followers = {(fragment, row["row"]) for fragment, rows in enumerate(found) for row in rows}
    leaders = {row["leader"] for rows in found for row in rows}
    for leader in leaders:
        assert isinstance(leader, bytes)
        assert (int.from_bytes(leader[:8], "big"), int.from_bytes(leader[8:], "big")) not in followers


def test_a_fragment_that_nothing_changed_for_keeps_its_commit(session: Session, sent: tuple[Part, ...]) -> None:
    columns = [pa.array([b"\0" * KEY_BYTES], pa.binary(KEY_BYTES)), pa.array([0], pa.int32())]
    columns += [pa.array([0], pa.int32()), pa.array([b"\1" * KEY_BYTES], pa.binary(KEY_BYTES))]
    lonely = pa.table(columns, schema=KEYS)
    part = session.work.put("keys", "lonely", {"keys": lonely}).parts["keys"]
    answers(session, sent, 1)
    solved = SolveTask("t1", 0, 1, (part, *sent)).run(session).parts["followers"]
    for number in range(len(sent)):  # the numbers of all fragments have moved by one
        assert GatherTask("t1", (solved,), number + 1).run(session).reused


def test_partitions_grow_with_the_keys_and_are_powers_of_two() -> None:
    assert [partitions_for(keys) for keys in (0, 1, PARTITION_ROWS, PARTITION_ROWS + 1, 5 * PARTITION_ROWS)] == [
        1, 1, 1, 2, 8,
    ]  # fmt: skip
