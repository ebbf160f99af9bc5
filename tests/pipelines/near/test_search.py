"""The search for near-duplicates over several fragments, however they are put together on the way."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from benchmarks.near_text_corpus import as_samples
from dedup.text import NearText
from pipelines.near import propose
from pipelines.near.decide import NearDecideTask
from pipelines.near.search import search
from pipelines.near.texts import Texts
from pipelines.recipe import Recipe, SourceEntry
from pipelines.session import Session
from pipelines.view import View, rows_table
from pipelines.work import Commit, Work
from sources.records import Fragment
from sources.storage import LocalFolder
from tests.pipelines.in_process import InProcess

FRAGMENTS, TEXTS, WORDS = 5, 40, 60
WORD = [f"word{chr(97 + number % 26)}{chr(97 + number // 26)}" for number in range(500)]


def fragments() -> list[list[str]]:
    """Texts of which every fifth is one of an earlier fragment with a word replaced, and every tenth with a number."""
    chance = random.Random(5)
    made: list[list[str]] = []
    for number in range(FRAGMENTS):
        texts = [" ".join(chance.choices(WORD, k=WORDS)) for _ in range(TEXTS)]
        for place in range(0, TEXTS, 5) if number else ():
            words = made[chance.randrange(number)][place + 1].split()
            words[chance.randrange(WORDS)] = "another" if place % 10 else "7"
            texts[place] = " ".join(words)
        made.append(texts)
    return made


def verdicts(place: Path, count: int = FRAGMENTS) -> tuple[list[dict[str, Any]], Work]:
    """Of the first fragments."""
    work = Work(LocalFolder(place))
    engine = InProcess(Session(Recipe(stage="mid", sources=(SourceEntry(name="made"),)), (), work))
    views = []
    for number, texts in enumerate(fragments()[:count]):
        tables = {
            "samples": as_samples(pa.array(texts, pa.large_string()), number * TEXTS),
            "alive": rows_table(np.arange(TEXTS, dtype=np.int32)),
        }
        parts = work.put("ingest", str(number), tables, compression="lz4").parts
        fragment = Fragment("texts.parquet", str(number), records=TEXTS)
        views.append(View(0, fragment, (parts["samples"],), {"alive": parts["alive"]}))

    def each(name: str, tasks: Any) -> list[Commit]:
        return [commit for _, commit in engine.run(tasks)]

    step = NearText()
    found = search(each, work, Texts(step.name, step, ("made",)), views)
    answers = zip(views, found.answers, found.edges, strict=True)
    tasks = [NearDecideTask(step, view, number, *rest) for number, (view, *rest) in enumerate(answers)]
    rows = [work.read(commit.parts["verdicts"]).to_pylist() for commit in each(step.name, tasks)]
    return [{**row, "fragment": number} for number, own in enumerate(rows) for row in own], work


def test_fragments_that_were_merged_to_runs_get_the_verdicts_of_those_that_were_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart, work = verdicts(tmp_path / "apart")
    assert not list(work.folder.files("work/near_text_bands_runs"))
    monkeypatch.setattr(propose, "FEW_FRAGMENTS", 0)
    merged, work = verdicts(tmp_path / "merged")
    assert list(work.folder.files("work/near_text_bands_runs"))
    assert merged == apart
    assert sum(row["verdict"] == "drop" for row in merged) == (FRAGMENTS - 1) * TEXTS // 10


def test_a_fragment_that_nothing_new_was_sent_to_is_not_verified_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(propose, "FEW_FRAGMENTS", 0)  # all fragments are one run, which changes as it grows
    _, work = verdicts(tmp_path, FRAGMENTS - 1)
    verified = {file.path for file in work.folder.files("work/near_text_verify") if file.path.endswith(".parquet")}
    verdicts(tmp_path)
    again = {file.path for file in work.folder.files("work/near_text_verify") if file.path.endswith(".parquet")}
    assert len(verified) == FRAGMENTS - 1
    assert len(again - verified) == 1


def test_evidence_names_the_kept_text_of_a_dropped_one_and_what_tells_a_kept_one_apart(tmp_path: Path) -> None:
    rows, _ = verdicts(tmp_path)
    for row in rows:
        evidence = orjson.loads(row["evidence"]) if row["evidence"] else {}
        if row["verdict"] == "drop":
            assert set(evidence) == {"kept", "jaccard", "edits"}
            assert evidence["edits"] in {2, 4}  # a word goes and a word comes; two copies of one text differ in two
            assert evidence["jaccard"] == round(row["score"], 4)
        elif row["fragment"] and row["row"] % 10 == 0:
            assert set(evidence) == {"apart_from", "because", "jaccard"}
            assert evidence["because"] == "numerals"
