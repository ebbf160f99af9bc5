"""`decontaminate`: what a build drops for eval sets, and the audit of the shards that it wrote."""

import hashlib
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
import yaml

from shards.verify import verify_shards
from sources.storage import LocalFolder
from tests.end_to_end.audits import LEAKED, eval_set, what
from tests.end_to_end.runs import balances, curate, curate_json, published
from tests.pipelines.audit.forms import ROWS, write_csv

FIELDS = {"id": "id", "image": "image", "question": "question", "answer": "answer"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("audited")
    write_csv(root / "csv")
    eval_set(root / "evals")
    return root


def training_split_alone(evals: Path) -> None:
    """VQA-RAD as it lies where only its training split was downloaded."""
    folder = evals / "vqa_rad" / "data"
    folder.mkdir(parents=True)
    record = {"qid": 1, "image_name": "synpic1.jpg", "question": "Is the lung clear?", "answer": "yes"}
    (folder / "trainset.json").write_bytes(orjson.dumps([record]))


def recipe(place: Path, **decontaminate: Any) -> Path:
    source = {"name": "src", "reader": "csv", "path": "csv/data.csv", "task": "vqa", "access": "open",
              "fields": FIELDS, "images": "csv"}  # fmt: skip
    settings = {"against": ["mine"], "calibrate": {"enabled": False}, **decontaminate}
    path = place / "recipe.yaml"
    path.write_text(yaml.safe_dump({"stage": "mid", "sources": [source], "steps": {"decontaminate": settings}}))
    return path


def build(place: Path, run: Path, *more: object, **decontaminate: Any) -> dict[str, Any]:
    where = ("--data", place, "--evals", place / "evals", "--out", run)
    return curate_json("build", "--recipe", recipe(run.parent, **decontaminate), *where, *more)


def audit_in(run: Path) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads((run / "shards" / "contamination.json").read_bytes())
    return document


@pytest.fixture(scope="module")
def built(place: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    run = tmp_path_factory.mktemp("built") / "run"
    return run, build(place, run)


def test_leaks_are_dropped_and_the_shards_are_audited(built: tuple[Path, dict[str, Any]]) -> None:
    run, answer = built
    assert answer["counts"]["dropped"] == {"leak.exact": 2}
    assert (answer["counts"]["kept"], answer["audit"]) == (1, "clean")
    assert balances(answer)
    assert [step["name"] for step in answer["steps"]][-1] == "decontaminate"
    assert what(run) == []
    told = audit_in(run)
    manifest = (run / "shards" / "manifest.json").read_bytes()
    assert told["shards"]["manifest_sha256"] == hashlib.sha256(manifest).hexdigest()
    assert orjson.loads(manifest)["audit"] == "contamination.json"
    assert told["sources"]["src"]["samples"] == 1
    assert verify_shards(LocalFolder(run / "shards"), 1) == []


def test_why_shows_which_item_and_how(built: tuple[Path, dict[str, Any]]) -> None:
    run, _ = built
    told = curate_json("why", run, "data.csv#one" if not _named(run, "csv/data.csv#one") else "csv/data.csv#one")
    assert (told["verdict"], told["reason"]) == ("drop", "leak.exact")
    evidence = told["verdicts"][-1]["evidence"]
    assert {name: evidence[name] for name in ("channel", "eval_set", "eval_id")} == {
        "channel": "pair", "eval_set": "mine", "eval_id": "one",
    }  # fmt: skip


def _named(run: Path, key: str) -> bool:
    return key in pl.read_parquet(run / "tables" / "samples" / "*.parquet")["source_key"].to_list()


def test_what_is_not_dropped_is_found_in_the_shards(place: Path, tmp_path: Path) -> None:
    answer = build(place, tmp_path / "run", drop=[])
    assert (answer["counts"]["kept"], answer["audit"]) == (3, "leaks")
    assert what(tmp_path / "run") == [("mine", name, "pair", "exact") for name in LEAKED]
    clean = orjson.loads((tmp_path / "run" / "reports" / "clean_subset" / "mine.json").read_bytes())
    assert clean["clean"] == ["free"]
    against = ("--against", place / "evals" / "mine", "--no-calibrate")
    again = curate_json("audit", tmp_path / "run", *against, "--out", tmp_path / "a", status=3)
    assert again["findings"] == audit_in(tmp_path / "run")["findings"]


def test_the_same_build_again_is_a_no_op_also_when_its_work_was_cleaned(place: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = build(place, run)
    before = published(run)
    assert build(place, run)["audit"] == first["audit"]
    assert curate("clean", run).returncode == 0
    assert build(place, run)["audit"] == first["audit"]
    assert published(run) == before


def test_any_number_of_workers_writes_the_same_bytes(place: Path, tmp_path: Path, built: tuple[Path, object]) -> None:
    build(place, tmp_path / "run", "--workers", "2")
    assert published(tmp_path / "run") == published(built[0])


def test_a_changed_eval_set_is_work_of_its_own(place: Path, tmp_path: Path) -> None:
    evals = tmp_path / "evals"
    folder = eval_set(evals)
    where = ("--data", place, "--evals", evals, "--out", tmp_path / "run")
    command = ("build", "--recipe", recipe(tmp_path), *where)
    assert curate_json(*command)["counts"]["dropped"] == {"leak.exact": 2}
    with (folder / "test.jsonl").open("ab") as file:
        file.write(b"\n" + orjson.dumps(ROWS[2]))
    after = curate_json(*command)
    assert after["counts"]["dropped"] == {"leak.exact": 3}
    assert next(step for step in after["steps"] if step["name"] == "ingest")["reused"] == 1


def test_eval_sets_that_are_not_there(place: Path, tmp_path: Path) -> None:
    absent = {"against": ["mine", "medqa"]}
    answer = build(place, tmp_path / "required", **absent)
    assert answer["audit"] == "incomplete"
    answer = build(place, tmp_path / "optional", **absent, required=["mine"])
    assert answer["audit"] == "clean"
    assert audit_in(tmp_path / "optional")["not_covered"][0] == "eval set medqa: not there (it is optional)"
    answer = build(place, tmp_path / "none", against=["medqa"], required=[])
    assert (answer["audit"], answer["counts"]["kept"]) == ("not_run", 3)
    assert orjson.loads((tmp_path / "none" / "shards" / "manifest.json").read_bytes())["audit"] is None


def test_an_optional_eval_set_without_an_item_counts_as_not_there(place: Path, tmp_path: Path) -> None:
    evals = tmp_path / "evals"
    training_split_alone(evals)
    eval_set(evals, "wards", where={"id": ["nobody"]})
    where = ("--data", place, "--evals", evals)
    run = tmp_path / "nothing left"
    empty = ["vqa_rad", "wards"]
    told = curate("build", "--recipe", recipe(tmp_path, against=empty, required=[]), *where, "--out", run)
    assert "audit: not_run" in told.stderr
    assert "eval set vqa_rad holds no item (optional: not covered)" in told.stderr
    assert orjson.loads((run / "shards" / "manifest.json").read_bytes())["audit"] is None
    eval_set(evals)
    run = tmp_path / "one left"
    command = ("build", "--recipe", recipe(tmp_path, against=["mine", *empty], required=["mine"]), *where, "--out", run)
    assert curate_json(*command)["audit"] == "clean"
    document = audit_in(run)
    assert (list(document["eval_sets"]), [one["name"] for one in document["missing"]]) == (["mine"], empty)
    assert document["not_covered"][:2] == [f"eval set {name} holds no item (it is optional)" for name in empty]


def test_a_required_eval_set_without_an_item_makes_the_audit_incomplete(place: Path, tmp_path: Path) -> None:
    training_split_alone(tmp_path / "evals")
    where = ("--data", place, "--evals", tmp_path / "evals", "--out", tmp_path / "run")
    assert curate_json("build", "--recipe", recipe(tmp_path, against=["vqa_rad"]), *where)["audit"] == "incomplete"
    assert audit_in(tmp_path / "run")["reasons"] == ["eval set vqa_rad holds no item"]


def test_a_build_that_goes_on_without_its_eval_sets_keeps_no_report_of_them(place: Path, tmp_path: Path) -> None:
    run, nothing = tmp_path / "run", tmp_path / "nothing"
    nothing.mkdir()
    eval_set(tmp_path / "evals", "medqa")
    command = ("build", "--recipe", recipe(tmp_path, against=["medqa"], required=[]), "--data", place, "--out", run)
    assert curate_json(*command, "--evals", tmp_path / "evals")["audit"] == "clean"
    stale = [run / "reports" / name for name in ("contamination.html", "shortcuts.html", "shortcuts.json")]
    subsets = run / "reports" / "clean_subset"
    assert [path for path in [*stale, subsets] if not path.exists()] == []
    for _ in range(2):  # published anew, then found finished with a page that a killed build left
        assert curate_json(*command, "--evals", nothing)["audit"] == "not_run"
        assert [path for path in [*stale, subsets] if path.exists()] == []
        stale[0].write_text("stale")


@pytest.mark.parametrize(("settings", "said"), [
    ({"against": ["mnie"]}, "mnie"),
    ({"drop": ["template_sibling"]}, "never removes"),
    ({"fail_on": "near"}, "fail_on"),
    ({"againts": []}, "did you mean 'against'"),
])  # fmt: skip
def test_wrong_settings_are_told_before_anything_is_read(
    place: Path, tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    path = recipe(tmp_path, **settings)
    done = curate("build", "--recipe", path, "--data", place, "--evals", place / "evals", "--out", tmp_path / "run")
    assert done.returncode == 2
    assert said in done.stderr


def test_a_takedown_takes_the_audit_and_its_findings_with_it(place: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    build(place, run, drop=[])
    (tmp_path / "list.txt").write_text("article PMC1\n")
    samples = pl.read_parquet(run / "tables" / "samples" / "*.parquet")
    (tmp_path / "list.txt").write_text(f"{samples['sample_id'][0]}\n")
    assert curate("remove", run, "--list", tmp_path / "list.txt").returncode == 0
    assert not (run / "shards" / "contamination.json").exists()
    assert not list((run / "tables" / "findings").glob("*"))
    assert orjson.loads((run / "shards" / "manifest.json").read_bytes())["audit"] is None


@pytest.mark.parametrize("sources", ["keyed", "all"])
def test_where_every_source_is_searched_for_identifiers_no_page_shows_a_text_or_picture_of_any(
    place: Path, tmp_path: Path, sources: str
) -> None:
    phi = {"sources": sources, "names": "rules", "ocr": "none", "burned_in_text": "keep"}
    where = ("--data", place, "--evals", place / "evals", "--out", tmp_path / "run")
    path = recipe(tmp_path, drop=[])
    document = yaml.safe_load(path.read_text())
    document["steps"]["phi"] = phi
    path.write_text(yaml.safe_dump(document))
    assert curate_json("build", "--recipe", path, *where)["audit"] == "leaks"
    pages = {name: (tmp_path / "run" / "reports" / f"{name}.html").read_text() for name in ("build", "contamination")}
    pictures = {name: page.count("data:image/jpeg") for name, page in pages.items()}
    said = ROWS[0]["question"].rstrip("?")
    if sources == "keyed":
        assert pictures == {"build": 3, "contamination": 4}
        assert all(said in page for page in pages.values())
    else:
        assert pictures == {"build": 0, "contamination": 2}, "those of the eval set, which is open"
        assert not any(said in page for page in pages.values())
        assert "they may tell of people" in pages["contamination"]
