"""Eval sets that are not what they are called: other items than were fetched, or fewer than the benchmark has."""

from pathlib import Path
from typing import Any

import orjson
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
