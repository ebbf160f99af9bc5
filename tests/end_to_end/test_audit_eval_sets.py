"""Eval sets that are not what they are called: other items than were fetched, or fewer than the benchmark has."""

from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
import yaml

from dedup.evalsets.locating import evalset_in
from dedup.evalsets.reading import content_hash, items_of
from sources.storage import folder_at
from tests.end_to_end.audits import AUDIT, FREE, document, eval_set
from tests.end_to_end.runs import curate_json
from tests.pipelines.audit.forms import ROWS


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "d.jsonl"
    path.write_bytes(orjson.dumps({"question": "Where is the spleen?", "answer": "Under the left ribs"}))
    return path


def fetched(root: Path, **more: Any) -> Path:
    """An eval set whose description has the hash of its items."""
    folder = eval_set(root, **more)
    found = evalset_in(folder_at(folder))
    assert found is not None
    said = yaml.safe_load((folder / "evalset.yaml").read_text())
    (folder / "evalset.yaml").write_text(yaml.safe_dump({**said, "content": content_hash(items_of(found).items)}))
    return folder


def test_items_that_are_not_those_that_were_fetched_make_an_audit_incomplete(tmp_path: Path, data: Path) -> None:
    folder = fetched(tmp_path)
    assert curate_json(*AUDIT, data, "--against", folder, "--out", tmp_path / "a")["reasons"] == []
    assert curate_json("evals", "check", folder)["content_as_fetched"] is True
    (folder / "test.jsonl").write_bytes(b"\n".join(map(orjson.dumps, [ROWS[1], FREE])))
    answer = curate_json(*AUDIT, data, "--against", folder, "--out", tmp_path / "b", status=1)
    assert answer["verdict"] == "incomplete"
    assert "not those that were fetched" in answer["reasons"][0]
    checked = curate_json("evals", "check", folder, status=1)
    assert checked["mismatches"] == ["the items are not those that were fetched"]


def test_a_set_with_fewer_items_than_its_card_says_so(tmp_path: Path, data: Path) -> None:
    folder = tmp_path / "evals" / "medqa"
    folder.mkdir(parents=True)
    (folder / "evalset.yaml").write_text("name: medqa\n")
    row = {"question": FREE["question"], "options": {"A": "t(14;18)", "B": "t(8;14)"}, "answer_idx": "A"}
    path = folder / "data_clean" / "questions" / "US" / "4_options" / "phrases_no_exclude_test.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(orjson.dumps(row))
    answer = curate_json(*AUDIT, data, "--against", "medqa", "--evals", tmp_path / "evals", "--out", tmp_path / "a")
    assert answer["items"] == 1
    assert "eval set medqa: 1 items; Lingshu Table 25 has 1,273" in document(tmp_path / "a")["not_covered"]


def test_how_often_words_are_elsewhere_does_not_depend_on_how_files_are_cut(tmp_path: Path) -> None:
    folder = eval_set(tmp_path)
    rows = [{"question": f"Which translocation is in lymphoma {n}?", "answer": f"number {n}"} for n in range(80)]
    lines = [orjson.dumps(row) for row in rows]
    counted = []
    for name, at_once in (("one", 80), ("many", 2)):
        for low in range(0, 80, at_once):
            path = tmp_path / name / f"{low:03}.jsonl"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"\n".join(lines[low : low + at_once]))
        out = tmp_path / f"audit_{name}"
        curate_json(*AUDIT, tmp_path / name, "--against", folder, "--out", out)
        (total,) = (out / "work" / "audit_background_sum").rglob("*.parquet")
        counted.append(pl.read_parquet(total)["df"].to_list())
    assert max(counted[0]) == 80
    assert counted[0] == counted[1]


def test_an_article_is_found_by_its_other_name_with_ncbi_s_table(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "test.jsonl").write_bytes(orjson.dumps({**FREE, "article": "PMC13900"}))
    fields = {"id": "id", "question": "question", "answer": "answer", "article": "article"}
    said = {"name": "mine", "reader": "jsonl", "path": "test.jsonl", "fields": fields, "groups": ["article"]}
    (folder / "evalset.yaml").write_text(yaml.safe_dump(said))
    row = {"question": "Where is the spleen?", "answer": "Under the left ribs", "article": "PMID11250746"}
    (tmp_path / "d.jsonl").write_bytes(orjson.dumps(row))
    (tmp_path / "f.yaml").write_text(yaml.safe_dump({"question": "question", "answer": "answer", "article": "article"}))
    (tmp_path / "PMC-ids.csv").write_text("Journal,PMCID,PMID\nJ,PMC13900,11250746\nJ,PMC13901,11250747\n")
    command = (*AUDIT, tmp_path / "d.jsonl", "--against", folder, "--fields", tmp_path / "f.yaml")
    assert curate_json(*command, "--out", tmp_path / "a")["findings"] == {}
    answer = curate_json(*command, "--articles", tmp_path / "PMC-ids.csv", "--out", tmp_path / "b")
    assert answer["findings"] == {"same_group": 1}
    refused = curate_json(*command, "--articles", tmp_path / "f.yaml", "--out", tmp_path / "c", status=2)
    assert "PMCID" in refused["error"]


def test_what_a_set_shares_with_its_own_training_split_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    rows = [
        {**FREE, "article": "PMC1", "split": "test"},
        {"id": "other", "question": "Where is the liver?", "answer": "Right", "article": "PMC2", "split": "test"},
        {"id": "own", "question": "What did the biopsy say?", "answer": "Cancer", "article": "PMC1", "split": "train"},
    ]
    (folder / "all.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    fields = {"id": "id", "question": "question", "answer": "answer", "article": "article", "split": "split"}
    said = {"name": "mine", "reader": "jsonl", "path": "all.jsonl", "fields": fields, "split": "test"}
    (folder / "evalset.yaml").write_text(yaml.safe_dump({**said, "groups": ["article"]}))
    (tmp_path / "d.jsonl").write_bytes(orjson.dumps({"question": "Where is the spleen?", "answer": "Left"}))
    curate_json(*AUDIT, tmp_path / "d.jsonl", "--against", folder, "--out", tmp_path / "a")
    (inside,) = document(tmp_path / "a")["eval_sets"]["mine"]["inside"]
    assert (inside["with"], inside["items"], inside["items_shared"], inside["by_kind"]) == (
        "train",
        2,
        1,
        {"article": 1},
    )
    page = (tmp_path / "a" / "reports" / "contamination.html").read_text()
    assert "1 of 2 items share a picture, group or question with its own train" in page
