"""Records and rows of a join that kill, or hang, whoever reads them."""

from pathlib import Path

import orjson
import pytest

from pipelines import isolation
from pipelines.errors import CurateError
from pipelines.isolation import KILLS_BEFORE_ISOLATION
from pipelines.joins.rows import RowsTask, TablePlanTask, WantedTask
from pipelines.recipe import Recipe, SourceEntry
from pipelines.session import Session
from pipelines.work import Work
from sources.readers import ranges
from sources.readers.companions import awaiting_rows
from sources.records import Fragment
from sources.sealing import Seal
from sources.storage import LocalFolder
from tests.pipelines.deadly import install, lines
from tests.sources.corpora import corpus_in, planned

CODEC = """
import os, signal, time
import orjson
loads = orjson.loads
def dying(data):
    if b"KILL" in bytes(data):
        os.kill(os.getpid(), signal.SIGKILL)
    if b"HANG" in bytes(data):
        time.sleep(3600)
    return loads(data)
orjson.loads = dying
"""
"""A codec that dies of what some rows hold, in the process apart alone."""


@pytest.fixture(autouse=True)
def deadly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(install(tmp_path / "site"))
    monkeypatch.setattr(ranges, "FRAGMENT_RECORDS", 4096)


def session_of(folder: Path, reader: str, answers: list[str], rows: list[str], keyed: bool = False) -> Session:
    """A corpus of questions `r0`, `r1` .. joined by exchange to a table of texts by the same ids."""
    data = folder / "corpus"
    data.mkdir()
    (data / "notes.jsonl").write_text(lines(answers))
    side = [{"id": f"r{number}", "cc": text} for number, text in enumerate(rows)]
    (data / "side.jsonl").write_bytes(b"\n".join(map(orjson.dumps, side)))
    fields = {"question": "question", "answer": "answer", "license": "cc"}
    join = {"path": "side.jsonl", "left": "id", "right": "id"}
    identifiers = "keyed" if keyed else "public"
    corpus = corpus_in(data, reader, "notes.jsonl", fields=fields, join=join, task="text_qa", identifiers=identifiers)
    recipe = Recipe(stage="mid", sources=(SourceEntry(name="test"),))
    return Session(recipe, (awaiting_rows(corpus),), Work(LocalFolder(folder / "run")), (None,))


def table_of(session: Session) -> list[Fragment]:
    commit = TablePlanTask(0, KILLS_BEFORE_ISOLATION).run(session)
    return [Fragment("", **row) for row in commit.facts["fragments"]]


@pytest.mark.parametrize(("reader", "word"), [("parsing", "KILL"), ("mapping", "KILL"), ("parsing", "HANG")])
def test_the_values_of_all_records_but_the_one_that_kills_are_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, word: str
) -> None:
    session = session_of(tmp_path, reader, ["a", "b", word, "d"], ["MIT"])
    (fragment,) = planned(session.corpora[0])
    if word == "HANG":
        monkeypatch.setattr(isolation, "ROW_S", 0.0)
        monkeypatch.setattr(isolation, "DEADLINE_S", 8.0)  # a child needs some seconds to start
    commit = WantedTask(0, fragment, 0, None, KILLS_BEFORE_ISOLATION).run(session)
    seal = Seal(session.corpora[0].identity)
    assert session.work.read(commit.parts["rows"])["key"].to_pylist() == sorted(seal.key(f"r{n}") for n in (0, 1, 3))


def test_where_nothing_kills_what_is_wanted_is_the_same_apart_and_in_a_worker(tmp_path: Path) -> None:
    session = session_of(tmp_path, "parsing", ["a", "b", "c"], ["MIT"] * 5)
    (fragment,) = planned(session.corpora[0])
    (part,) = table_of(session)
    tasks = (WantedTask(0, fragment, 0, 2), RowsTask(0, part, 0), TablePlanTask(0))
    apart = [task.again().again().again().run(session) for task in tasks]
    for path in (tmp_path / "run").rglob("*.json"):
        path.unlink()
    found = [task.run(session) for task in tasks]
    assert not any(commit.reused for commit in found)
    assert [(commit.parts, commit.facts) for commit in found] == [(commit.parts, commit.facts) for commit in apart]


@pytest.mark.parametrize("word", ["KILL", "HANG"])
def test_a_row_that_kills_ends_the_build_and_is_named_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    session = session_of(tmp_path, "parsing", ["a"], ["MIT", "MIT", word, "MIT"], keyed=True)
    (part,) = table_of(session)
    (tmp_path / "site" / "sitecustomize.py").write_text(CODEC)
    if word == "HANG":
        monkeypatch.setattr(isolation, "ROW_S", 0.0)
        monkeypatch.setattr(isolation, "DEADLINE_S", 8.0)
    with pytest.raises(CurateError, match=r"^test: \S+: row 2 kills the process") as caught:
        RowsTask(0, part, 0, KILLS_BEFORE_ISOLATION).run(session)
    assert "repair the row" in caught.value.hint
    assert "side.jsonl" in str(caught.value)  # as the card names it: it holds no one's name


def test_all_that_reads_for_a_join_can_be_tried_apart() -> None:
    fragment = Fragment("", "d")
    for task in (WantedTask(0, fragment, 0), RowsTask(0, fragment, 0), TablePlanTask(0)):
        assert task.again().attempt == 1
