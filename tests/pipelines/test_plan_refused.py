"""Planning where a file that no reader can cut ends nothing: it is bound by its bytes, and read once."""

from pathlib import Path

import blake3
import orjson
import pytest

from pipelines.isolation import KILLS_BEFORE_ISOLATION
from pipelines.plan import PlanIfReadableTask, Planned, Refused, input_listing, plan_fragments
from pipelines.recipe import Recipe, SourceEntry
from pipelines.session import Session
from pipelines.work import Commit, Work
from sources.identity import Identity
from sources.records import Corpus, CorpusError
from sources.storage import LocalFolder
from tests.pipelines.deadly import install, lines
from tests.pipelines.in_process import InProcess
from tests.sources.corpora import corpus_in

BROKEN = orjson.dumps([{"text": "Lost."}] * 5000) + b"[]"
"""Behind the records that tell its columns."""


def corpus_of(folder: Path, name: str, data: bytes, reader: str = "json") -> Corpus:
    (folder / "corpus").mkdir(exist_ok=True)
    (folder / "corpus" / name).write_bytes(data)
    fields = {"text": "text"} if reader == "json" else {"question": "question", "answer": "answer"}
    return corpus_in(folder / "corpus", reader, "*", fields=fields, task="text" if reader == "json" else "text_qa")


def planned(folder: Path, corpus: Corpus, attempt: int = 0) -> Commit:
    recipe = Recipe(stage="mid", sources=(SourceEntry(name="x"),))
    session = Session(recipe, (corpus,), Work(LocalFolder(folder / "run")), (None,))
    return PlanIfReadableTask(0, corpus.files[0], attempt).run(session)


def test_a_file_that_breaks_late_is_listed_by_its_bytes_and_found_again(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "late.json", BROKEN)
    first, again = planned(tmp_path, corpus), planned(tmp_path, corpus)
    assert (first.facts, first.reused, again.facts, again.reused) == (first.facts, False, first.facts, True)
    gone = Refused("late.json", **first.facts["refused"])
    assert input_listing(corpus, Planned(0, (), (gone,))) == {
        "files": 1, "bytes": len(BROKEN),
        "listing": [{"path": "late.json", "bytes": len(BROKEN), "digest": blake3.blake3(BROKEN).hexdigest()}],
    }  # fmt: skip


def test_one_byte_more_or_a_site_key_changes_its_digest(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "late.json", BROKEN)
    keyed = Corpus(corpus.name, corpus.root, corpus.card, Identity("test", b"k" * 32), corpus.files)
    one = planned(tmp_path / "a", corpus).facts["refused"]
    other = planned(tmp_path / "b", keyed).facts["refused"]
    longer = planned(tmp_path / "c", corpus_of(tmp_path, "late.json", BROKEN + b" ")).facts["refused"]
    assert len({one["digest"], other["digest"], longer["digest"]}) == 3


def test_a_file_that_kills_as_it_is_cut_is_refused_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(install(tmp_path / "site"))
    data = lines(["a"]).encode()
    corpus = corpus_of(tmp_path, "a.jsonl", data, "uncut")
    facts = planned(tmp_path, corpus, KILLS_BEFORE_ISOLATION).facts
    assert facts == {"fragments": [], "refused": {"size": len(data), "digest": blake3.blake3(data).hexdigest()}}


def test_a_folder_whose_table_cannot_be_read_is_refused_with_the_reason_where_that_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "metadata.csv").write_text("a,b\n1,2\n")
    (tmp_path / "corpus" / "film.png").write_bytes(b"never opened")
    corpus = corpus_in(tmp_path / "corpus", "image_folder", "*.png", fields={"text": "text"}, task="caption")
    recipe = Recipe(stage="mid", sources=(SourceEntry(name="test"),))
    session = Session(recipe, (corpus,), Work(LocalFolder(tmp_path / "run")), (None,))
    why = "test: metadata.csv: no column 'file_name'; it has a, b"
    (plan,) = plan_fragments(InProcess(session), session, (corpus,), task_of=PlanIfReadableTask)
    (refused,) = plan.refused
    assert plan == Planned(0, (), (Refused(".", 0, None, refused.why),))
    assert refused.why.startswith(why)
    with pytest.raises(CorpusError, match=why):
        plan_fragments(InProcess(session), session, (corpus,))
