"""Planning of a file that has killed three workers: the records looked into are passed over, the file is cut."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines import isolation, plan_apart
from pipelines.errors import CurateError
from pipelines.isolation import KILLS_BEFORE_ISOLATION
from pipelines.plan import PlanTask
from pipelines.recipe import Recipe, SourceEntry
from pipelines.session import Session
from pipelines.work import Work
from sources.identity import Identity
from sources.records import Corpus, CorpusError
from sources.storage import LocalFolder
from tests.pipelines.deadly import install, lines
from tests.sources.corpora import corpus_in

FIELDS = {"question": "question", "answer": "answer"}


@pytest.fixture(autouse=True)
def deadly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(install(tmp_path / "site"))


def lines_in(folder: Path, reader: str, text: str, **fields: str) -> Corpus:
    (folder / "corpus").mkdir()
    (folder / "corpus" / "a.jsonl").write_text(text)
    return corpus_in(folder / "corpus", reader, "*.jsonl", fields={**FIELDS, **fields}, task="text_qa")


def plan(folder: Path, corpus: Corpus) -> list[dict[str, Any]]:
    """What is known of the fragments of the one file."""
    recipe = Recipe(stage="mid", sources=(SourceEntry(name="x"),))
    session = Session(recipe, (corpus,), Work(LocalFolder(folder / "run")), (None,))
    fragments: list[dict[str, Any]] = PlanTask(0, "a.jsonl", KILLS_BEFORE_ISOLATION).run(session).facts["fragments"]
    return fragments


@pytest.mark.parametrize("answers", [["KILL", "b"], ["KILL"] * 6])
@pytest.mark.parametrize("reader", ["parsing", "opaque"])
def test_a_file_is_cut_whatever_its_first_records_kill(tmp_path: Path, reader: str, answers: list[str]) -> None:
    text = lines(answers)
    (fragment,) = plan(tmp_path, lines_in(tmp_path, reader, text))
    assert (fragment["records"], fragment["stop"]) == (len(answers), len(text) - 1)


def test_a_file_is_cut_though_its_first_record_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = lines_in(tmp_path, "parsing", lines(["HANG", "b"]))
    monkeypatch.setattr(isolation, "DEADLINE_S", 8.0)  # a child needs some seconds to start
    assert [fragment["records"] for fragment in plan(tmp_path, corpus)] == [2]


def test_behind_a_record_that_kills_a_misspelt_column_is_still_found(tmp_path: Path) -> None:
    corpus = lines_in(tmp_path, "parsing", lines(["KILL", "b"]), answer="anser")
    with pytest.raises(CorpusError, match="no column 'anser'; did you mean 'answer'"):
        plan(tmp_path, corpus)


def test_a_file_that_kills_as_it_is_cut_ends_the_build_and_is_named_as_it_may_be(tmp_path: Path) -> None:
    corpus = lines_in(tmp_path, "uncut", lines(["a"]))
    with pytest.raises(CurateError, match=r"^test: a\.jsonl: its plan: .* died, or hung") as caught:
        plan(tmp_path, corpus)
    assert "fewer --workers" in caught.value.hint
    with pytest.raises(CurateError, match=r"its plan: .* died, or hung") as caught:
        plan(tmp_path, replace(corpus, identity=Identity("test", b"k" * 32)))
    assert "a.jsonl" not in str(caught.value)


def test_one_that_cuts_for_long_is_not_taken_to_hang_while_fragments_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "DEADLINE_S", 8.0)
    monkeypatch.setattr(plan_apart, "PLAN_S", 0.0)
    code = (tmp_path / "site" / "deadly.py").read_text()
    slow = "        for fragment in super().plan(corpus, paths):\n            for _ in range(4):\n"
    slow += "                time.sleep(3)\n                yield fragment\n"
    code = code.replace("        end()\n        yield from super().plan(corpus, paths)\n", slow)
    (tmp_path / "site" / "deadly.py").write_text(code)
    assert len(plan(tmp_path, lines_in(tmp_path, "uncut", lines(["a"])))) == 4
