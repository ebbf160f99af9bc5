"""Contracts as a user meets them: the whole command, a real corpus of every kind of sample, reports to look at."""

from functools import partial
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
import yaml

from tests.end_to_end import runs
from tests.end_to_end.runs import published
from workflows.demo_corpus import write_demo_corpus

pytest.importorskip("great_expectations", reason="contracts need great_expectations")

curate, curate_json = partial(runs.curate, contracts=True), partial(runs.curate_json, contracts=True)
ATTRIBUTION = {"expect": "expect_column_values_to_be_in_set", "column": "license", "value_set": ["CC-BY-4.0"]}
SHORT = {"expect": "expect_column_values_to_be_between", "column": "tokens", "max_value": 20}


def write_recipe(place: Path, name: str = "demo", **changes: Any) -> Path:
    document = yaml.safe_load((place / "demo.yaml").read_text())
    path = place / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**document, **changes}))
    return path


def build(place: Path, recipe: Path, out: str, *more: object) -> tuple[object, ...]:
    without = (*runs.WITHOUT_NEAR, *runs.WITHOUT_READING)
    return ("build", "--recipe", recipe, "--data", place / "corpora", "--out", place / out, *without, *more)


def contracts(place: Path, out: str) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads((place / out / "reports" / "contracts.json").read_bytes())
    return document


def gate(document: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [one for one in document["gates"] if one["gate"] == name]
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo corpus and a run of it with two expectations that do not hold and do not stop."""
    place = tmp_path_factory.mktemp("contracts")
    write_demo_corpus(place / "corpora")
    asked = {"samples": [{**ATTRIBUTION, "severity": "warning"}], "kept": [{**SHORT, "severity": "info"}]}
    curate_json(*build(place, write_recipe(place, "asked", contracts=asked), "run"))
    return place


def test_every_gate_was_passed_and_says_how_many_rows_it_saw(place: Path) -> None:
    document = contracts(place, "run")
    run = orjson.loads((place / "run" / "run.json").read_bytes())
    assert document["ok"] is True
    assert {one["gate"]: one["rows"] for one in document["gates"]} == {
        "samples": run["steps"][0]["in"],
        "images": run["images"],
        "kept": run["counts"]["kept"],
        "manifest": run["shards"],
    }


def test_what_does_not_hold_is_what_polars_finds_in_the_tables(place: Path) -> None:
    samples = pl.read_parquet(place / "run" / "tables" / "samples" / "*.parquet")
    wrong = samples.filter(pl.col("license") != "CC-BY-4.0")
    failed = [row for row in gate(contracts(place, "run"), "samples")["expectations"] if not row["success"]]
    assert {row["source"]: row["unexpected"] for row in failed} == dict(wrong.group_by("source").len().iter_rows())
    assert len(wrong) > 10

    shards = place / "run" / "shards"
    tokens = {row["sample_id"]: (row["source"], row["tokens"]) for row in sample_rows(shards)}
    long = {name: source for name, (source, count) in tokens.items() if count > 20}
    failed = [row for row in gate(contracts(place, "run"), "kept")["expectations"] if not row["success"]]
    assert sum(row["unexpected"] for row in failed) == len(long) > 0
    assert all(row["severity"] == "info" and row["column"] == "tokens" for row in failed)
    assert all(long[name] == row["source"] for row in failed for name in row["examples"])


def sample_rows(shards: Path) -> list[dict[str, Any]]:
    import tarfile

    rows = []
    for tar in shards.glob("*.tar"):
        with tarfile.open(tar) as members:
            names = [name for name in members.getnames() if name.endswith(".json")]
            rows += [orjson.loads(members.extractfile(name).read()) for name in names]  # type: ignore[union-attr]
    return rows


def test_contracts_change_no_table_and_no_shard(place: Path) -> None:
    curate_json(*build(place, write_recipe(place, "off", contracts={"enabled": False}), "off"))
    with_contracts, without = published(place / "run"), published(place / "off")
    data = [path for path in with_contracts | without if path.endswith((".parquet", ".tar"))]
    assert [path for path in data if with_contracts.get(path) != without.get(path)] == []
    assert {path.partition("/")[0] for path in data} == {"tables", "shards"}
    assert not (place / "off" / "reports" / "contracts.json").exists()


def test_the_same_command_checks_nothing_twice_and_keeps_the_reports(place: Path) -> None:
    reports = {path: path.stat().st_mtime_ns for path in (place / "run" / "reports").rglob("*contracts*")}
    curate_json(*build(place, place / "asked.yaml", "run"))
    assert {path: path.stat().st_mtime_ns for path in (place / "run" / "reports").rglob("*contracts*")} == reports
    assert len(reports) == 2


def test_a_lost_page_is_made_again(place: Path) -> None:
    index = place / "run" / "reports" / "contracts" / "index.html"
    before = index.read_bytes()
    index.unlink()
    curate_json(*build(place, place / "asked.yaml", "run"))
    assert index.read_bytes() == before


def test_a_changed_contract_is_another_recipe_whose_work_can_be_reused(place: Path) -> None:
    recipe = write_recipe(place, "other", contracts={"kept": [{**SHORT, "severity": "warning"}]})
    refused = curate_json(*build(place, recipe, "run"), status=2)
    assert "contracts" in refused["error"]
    answer = curate_json(*build(place, recipe, "again", "--reuse", place / "run"))
    assert all(step["reused"] == step["fragments"] for step in answer["steps"])


def test_a_broken_contract_ends_the_build_before_shards_and_names_rows(place: Path) -> None:
    recipe = write_recipe(place, "strict", contracts={"kept": [SHORT]})
    answer = curate_json(*build(place, recipe, "strict"), status=1)
    assert "contract kept: expect_column_values_to_be_between on tokens does not hold for" in answer["error"]
    assert "reports/contracts/index.html" in answer["hint"]
    failed = [row for row in gate(contracts(place, "strict"), "kept")["expectations"] if not row["success"]]
    assert all(row["examples"][0] in answer["error"] for row in failed[:1])
    assert contracts(place, "strict")["ok"] is False
    assert not (place / "strict" / "shards").exists()
    assert not (place / "strict" / "run.json").exists()
    assert not (place / "strict" / "work" / "write").exists()


def test_a_card_that_promises_too_much_is_found_out(place: Path) -> None:
    document = yaml.safe_load((place / "demo.yaml").read_text())
    for source in document["sources"]:
        if source["name"] == "reports":
            source["groups"] = ["patient", "study"]
    (place / "promises.yaml").write_text(yaml.safe_dump(document))
    answer = curate_json(*build(place, place / "promises.yaml", "promises"), status=1)
    assert "contract kept: expect_column_values_to_be_between on group_study does not hold" in answer["error"]
    assert "source reports" in answer["error"]
    assert "group_patient" not in answer["error"]


def test_a_misspelt_expectation_is_wrong_usage(place: Path) -> None:
    recipe = write_recipe(place, "misspelt", contracts={"samples": [{**ATTRIBUTION, "column": "licence"}]})
    done = curate(*build(place, recipe, "misspelt"))
    assert done.returncode == 2
    assert "did you mean 'license'?" in done.stderr
    assert not (place / "misspelt").exists()


def test_nothing_is_written_outside_the_run(place: Path, tmp_path: Path) -> None:
    import os

    home, scratch = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    scratch.mkdir()
    environment = {**os.environ, "HOME": str(home), "TMPDIR": str(scratch), "GX_ANALYTICS_ENABLED": "true"}
    reading = ("--set", "steps.phi.ocr=auto")
    curate_json(*build(place, place / "demo.yaml", "home", *reading), env=environment)
    assert list(home.rglob("*")) == []
    assert list(scratch.rglob("*")) == []
