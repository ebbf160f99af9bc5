"""`curate evals`."""

import json
from pathlib import Path
from typing import Any

import pytest

from dedup.evalsets.registry import registry, suites
from workflows.cli import run


def answer(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any]]:
    status = run([str(argument) for argument in arguments] + ["--json"])
    document: dict[str, Any] = json.loads(capfd.readouterr().out)
    return status, document


def test_list_names_every_set_or_those_of_a_suite(capfd: pytest.CaptureFixture[str]) -> None:
    status, listed = answer(capfd, "evals", "list")
    assert status == 0
    assert [row["name"] for row in listed["eval_sets"]] == list(registry())
    _, lingshu = answer(capfd, "evals", "list", "--suite", "lingshu")
    assert {row["name"] for row in lingshu["eval_sets"]} == set(suites()["lingshu"])
    assert next(row for row in listed["eval_sets"] if row["name"] == "medmcqa")["split"] == ["validation"]


def test_an_unknown_name_is_wrong_usage_with_the_nearest(capfd: pytest.CaptureFixture[str]) -> None:
    for arguments in (("show", "vqa_red"), ("check", "vqa_red", "--evals", "."), ("fetch", "vqa_red")):
        status, refused = answer(capfd, "evals", *arguments)
        assert (status, refused["hint"]) == (2, "did you mean 'vqa_rad'?")


def test_show_prints_the_card(capfd: pytest.CaptureFixture[str]) -> None:
    status, card = answer(capfd, "evals", "show", "slake")
    assert (status, card["hub"]["repo"], card["split"]) == (0, "BoKelvin/SLAKE", ["test"])


def test_check_reads_a_registered_set(shared_data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status, looked = answer(capfd, "evals", "check", "vqa_rad", "--evals", shared_data)
    assert (status, looked["items"], looked["images"], looked["problems"]) == (0, 451, 203, [])
    assert looked["inside"][0]["images_shared"] == 203
    assert len(looked["samples"]) == 3


def test_check_reads_a_folder_of_one_s_own_and_fails_where_records_do(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "evalset.yaml").write_text("name: mine\n")
    (tmp_path / "a.jsonl").write_text('{"question": "What is this?", "answer": "a spleen"}\n')
    status, looked = answer(capfd, "evals", "check", tmp_path)
    assert (status, looked["items"], looked["samples"][0]["question"]) == (0, 1, "What is this?")
    (tmp_path / "a.jsonl").write_text('{"question": "What is this?"}\n{"question": \n')
    status, looked = answer(capfd, "evals", "check", tmp_path)
    assert (status, looked["problems"]) == (1, [{"what": "record.malformed", "count": 1}])


def test_a_set_that_is_not_there_says_how_to_get_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status, refused = answer(capfd, "evals", "check", "medqa", "--evals", tmp_path)
    assert (status, refused["hint"][:26]) == (2, "`curate evals fetch medqa`")
    status, refused = answer(capfd, "evals", "check", "medqa")
    assert (status, "--evals" in refused["hint"]) == (2, True)


def test_a_keyed_set_needs_the_site_key(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "mimic_cxr_report"
    folder.mkdir()
    record = {"id": "1", "image": ["p10/p10000032/s50414267/a.jpg"], "findings": "Clear.", "impression": ""}
    (folder / "test.json").write_text(json.dumps([record]))
    status, refused = answer(capfd, "evals", "check", "mimic_cxr_report", "--evals", tmp_path)
    assert (status, "--id-key" in refused["hint"]) == (2, True)
    key = tmp_path / "key"
    key.write_bytes(b"a site key of a test")
    status, looked = answer(capfd, "evals", "check", "mimic_cxr_report", "--evals", tmp_path, "--id-key", key)
    assert (status, looked["items"], looked["images_absent"]) == (0, 1, 1)
    assert looked["groups"] == {"patient": {"items": 1, "groups": 1}, "study": {"items": 1, "groups": 1}}
    assert "10000032" not in json.dumps(looked)


def test_fetch_says_where_to_sign_and_fails_where_an_open_one_is_not_had(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    status, fetched = answer(capfd, "evals", "fetch", "mimic_cxr_report", "--evals", tmp_path)
    assert (status, fetched["fetched"], fetched["failed"]) == (0, [], [])
    assert fetched["sign"][0]["home"].startswith("https://physionet.org")
    status, fetched = answer(capfd, "evals", "fetch", "slake", "--evals", tmp_path)
    assert (status, fetched["failed"][0]["name"]) == (1, "slake")
    status, refused = answer(capfd, "evals", "fetch", "slake", "--evals", "s3://bucket/evals")
    assert (status, "this machine" in refused["error"]) == (2, True)
