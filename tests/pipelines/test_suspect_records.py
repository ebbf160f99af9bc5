"""Ingest of a fragment that has killed three workers: who kills is quarantined, the others are read."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines import isolation
from pipelines.errors import CurateError
from pipelines.ingest import IngestTask
from pipelines.isolation import KILLS_BEFORE_ISOLATION
from pipelines.recipe import Recipe, SourceEntry
from pipelines.session import Session, locate
from pipelines.work import Commit, Work
from sources.identity import Identity
from sources.joins import Companion
from sources.records import Corpus, JoinedRows
from sources.storage import LocalFolder
from tests.pipelines import suspects
from tests.pipelines.deadly import install, lines
from tests.sources.corpora import corpus_in, planned

FIELDS = {"question": "question", "answer": "answer"}


@pytest.fixture(autouse=True)
def deadly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(install(tmp_path / "site"))


Ingest = Callable[..., tuple[Commit, list[tuple[str, str, str | None]]]]


@pytest.fixture
def ingest(tmp_path: Path) -> Ingest:
    """Ingest the one fragment of a corpus; returns the commit and (source key, verdict, evidence) of each record."""

    def ingest(
        corpus: Corpus, attempt: int = KILLS_BEFORE_ISOLATION, limit: int | None = None
    ) -> tuple[Commit, list[tuple[str, str, str | None]]]:
        session = session_of(tmp_path, corpus)
        (fragment,) = planned(corpus)
        commit = IngestTask(0, fragment, 0, limit, attempt).run(session)
        samples, verdicts = (session.work.read(commit.parts[name]) for name in ("samples", "verdicts"))
        columns = (samples["source_key"], verdicts["verdict"], verdicts["evidence"])
        return commit, list(zip(*(column.to_pylist() for column in columns), strict=True))

    return ingest


def session_of(folder: Path, corpus: Corpus) -> Session:
    recipe = Recipe(stage="mid", sources=(SourceEntry(name="x"),))
    return Session(recipe, (corpus,), Work(LocalFolder(folder / "run")), (None,))


def lines_in(folder: Path, reader: str, answers: list[str]) -> Corpus:
    (folder / "corpus").mkdir()
    (folder / "corpus" / "a.jsonl").write_text(lines(answers))
    return corpus_in(folder / "corpus", reader, "*.jsonl", fields=FIELDS, task="text_qa")


def files_in(folder: Path, files: dict[str, str]) -> Corpus:
    (folder / "corpus").mkdir()
    for name, text in files.items():
        (folder / "corpus" / name).write_text(text)
    return corpus_in(folder / "corpus", "files", "*.txt", fields=FIELDS, task="text_qa")


def quarantined(rows: list[tuple[str, str, str | None]]) -> list[str]:
    return [key for key, verdict, _ in rows if verdict == "quarantine"]


CRASHED = '{"exception":"CrashedError","at":[]}'


@pytest.mark.parametrize("reader", ["parsing", "mapping"])
def test_records_that_kill_who_reads_or_maps_them_are_the_only_ones_quarantined(
    reader: str, tmp_path: Path, ingest: Ingest
) -> None:
    corpus = lines_in(tmp_path, reader, ["a", "b", "KILL", "d", "e", "KILL", "g"])
    commit, rows = ingest(corpus)
    assert [key for key, _, _ in rows] == [f"a.jsonl#{number}" for number in range(7)]
    assert quarantined(rows) == ["a.jsonl#2", "a.jsonl#5"]
    assert {evidence for _, verdict, evidence in rows if verdict == "quarantine"} == {CRASHED}
    assert commit.facts["counts"]["quarantined"] == {"record.malformed": 2}
    assert commit.facts["counts"]["in"] == 7


def test_behind_a_record_that_its_reader_cannot_pass_over_the_rest_is_quarantined_one_by_one(
    tmp_path: Path, ingest: Ingest
) -> None:
    commit, rows = ingest(lines_in(tmp_path, "opaque", ["a", "b", "KILL", "d", "e"]))
    assert quarantined(rows) == ["a.jsonl#2", "a.jsonl#3", "a.jsonl#4"]
    assert rows[2][2] == CRASHED
    assert "not reached" in str(rows[3][2])
    assert commit.facts["counts"]["in"] == 5


def test_a_limit_before_the_killer_never_meets_it_and_one_behind_it_counts_it(tmp_path: Path, ingest: Ingest) -> None:
    corpus = lines_in(tmp_path, "opaque", ["a", "b", "KILL", "d", "e"])
    assert [len(ingest(corpus, limit=limit)[1]) for limit in (2, 3, 4)] == [2, 3, 4]
    assert quarantined(ingest(corpus, limit=2)[1]) == []


def test_of_a_folder_only_the_record_or_the_file_that_kills_is_lost(tmp_path: Path, ingest: Ingest) -> None:
    corpus = files_in(tmp_path, {"a.txt": "one\ntwo\n", "b.txt": "KILL\nfour\n", "c.txt": "five\n", "d.txt": "six"})
    commit, rows = ingest(corpus)
    assert [key for key, _, _ in rows] == ["a.txt#0", "a.txt#1", "b.txt", "c.txt#0", "d.txt#0"]
    assert quarantined(rows) == ["b.txt"]
    assert commit.facts["counts"]["in"] == 5


@pytest.mark.usefixtures("few_processes")
def test_what_dies_before_its_first_record_ends_the_build_and_says_what_it_was(tmp_path: Path) -> None:
    corpus = lines_in(tmp_path, "parsing", ["a", "b", "c"])
    session = session_of(tmp_path, corpus)
    table = pa.table({"key": pa.array([b"k" * 16], pa.binary(16)), "sealed": [b"{}"]})
    rows = session.work.put("join", "0", {"rows": table}).parts["rows"]
    companion = Companion(("cc",), (), {}, "0", suspects.HeavySeal(corpus.identity))
    session = replace(session, corpora=(replace(corpus, companion=companion),))
    (fragment,) = planned(corpus)
    fragment = replace(fragment, joined=JoinedRows(rows.path, rows.digest, rows.rows, rows.size, ("cc",)))
    with pytest.raises(CurateError, match=r"^test: a.jsonl: a fragment of 3 records: .* died") as caught:
        IngestTask(0, fragment, 0, None, KILLS_BEFORE_ISOLATION).run(session)
    assert "fewer --workers" in caught.value.hint


@pytest.mark.usefixtures("few_processes")
@pytest.mark.parametrize("limit", [None, 2])
def test_a_reader_that_dies_behind_its_last_record_or_as_it_is_closed_costs_none(
    tmp_path: Path, ingest: Ingest, limit: int | None
) -> None:
    commit, rows = ingest(lines_in(tmp_path, "ending", ["a", "b", "c"]), limit=limit)
    assert rows == [(f"a.jsonl#{number}", "keep", None) for number in range(limit or 3)]
    assert commit.facts["counts"]["in"] == len(rows)


@pytest.mark.usefixtures("few_processes")
def test_of_a_folder_whose_files_are_the_records_none_is_lost_that_is_died_behind(
    tmp_path: Path, ingest: Ingest
) -> None:
    texts = {"a.txt": "one", "b.txt": "two AFTER", "c.txt": "three"}
    (tmp_path / "corpus").mkdir()
    for name, text in texts.items():
        (tmp_path / "corpus" / name).write_text(text)
    _, rows = ingest(corpus_in(tmp_path / "corpus", "notes", "*.txt", fields=FIELDS, task="text_qa"))
    assert rows == [(name, "keep", None) for name in texts]


@pytest.fixture
def few_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What starts process after process fails, and does not go on for ever."""
    hired: list[isolation.Apart[object]] = []
    hire = isolation.Apart._hire

    def counted(self: isolation.Apart[object]) -> object:
        hired.append(self)
        assert len(hired) < 20, "it starts process after process"
        return hire(self)

    monkeypatch.setattr(isolation.Apart, "_hire", counted)


def test_a_record_that_hangs_its_reader_is_quarantined(
    tmp_path: Path, ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "ROW_S", 0.0)
    monkeypatch.setattr(isolation, "DEADLINE_S", 8.0)  # a child needs some seconds to start
    _, rows = ingest(lines_in(tmp_path, "parsing", ["a", "HANG", "c"]))
    assert quarantined(rows) == ["a.jsonl#1"]


def test_where_nothing_kills_the_answer_is_that_of_a_worker(tmp_path: Path, ingest: Ingest) -> None:
    corpus = lines_in(tmp_path, "parsing", ["a", "", "c"])
    (tmp_path / "corpus" / "a.jsonl").open("a").write("{broken\n")
    apart = ingest(corpus)[0].parts
    for path in (tmp_path / "run").rglob("*.json"):
        path.unlink()
    assert ingest(corpus, attempt=0)[0].parts == apart


def test_a_defect_of_a_reader_ends_the_run_as_in_a_worker(tmp_path: Path, ingest: Ingest) -> None:
    code = (tmp_path / "site" / "deadly.py").read_text()
    (tmp_path / "site" / "deadly.py").write_text(code.replace("look(line)", "raise ValueError('MRN 0012345')"))
    with pytest.raises(CurateError, match="ValueError at") as caught:
        ingest(files_in(tmp_path, {"a.txt": "x", "b.txt": "y"}))
    assert "0012345" not in str(caught.value)


def test_pictures_of_a_keyed_corpus_are_found_without_the_record_that_kills(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    rows = "".join(f'{{"image": "{name}.png", "text": "x"}}\n' for name in ("a", "KILL", "c"))
    (tmp_path / "corpus" / "a.jsonl").write_text(rows)
    corpus = corpus_in(tmp_path / "corpus", "parsing", "*.jsonl", fields={"text": "text", "image": "image"})
    corpus = replace(corpus, identity=Identity("x", b"k" * 32))
    (fragment,) = planned(corpus)
    located = locate(session_of(tmp_path, corpus), 0, fragment, KILLS_BEFORE_ISOLATION)
    assert {located.path(corpus.identity.name("path", f"{name}.png")) for name in "ac"} == {"a.png", "c.png"}
    assert len(located.paths or ()) == 2
