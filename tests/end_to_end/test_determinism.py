"""Same inputs, same bytes: any number of workers, any history of the run directory."""

import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from tests.end_to_end.runs import WITHOUT_READING, balances, curate, curate_json, published
from workflows.demo_corpus import write_demo_corpus


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The demo corpus and a run of it, which no test changes, and what the build answered."""
    place = tmp_path_factory.mktemp("built")
    write_demo_corpus(place / "corpora")
    return place, curate_json(*arguments(place, "--out", place / "run"))


@pytest.fixture
def corpus(built: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """The demo corpus and the run of it, to be changed."""
    shutil.copytree(built[0], tmp_path, dirs_exist_ok=True)
    return tmp_path


def arguments(place: Path, *more: object) -> list[object]:
    """Of a build of the demo corpus; its scans are read in the first test only."""
    return [*read(place, *more), *WITHOUT_READING]


def read(place: Path, *more: object) -> list[object]:
    return ["build", "--stage", "mid", "--recipe", place / "demo.yaml", "--data", place / "corpora", *more]


def test_one_worker_and_two_write_the_same_bytes(corpus: Path) -> None:
    one = curate_json(*read(corpus, "--out", corpus / "one", "--workers", 1))
    two = curate_json(*read(corpus, "--out", corpus / "two", "--workers", 2))
    assert published(corpus / "one") == published(corpus / "two")
    assert one["counts"] == two["counts"]
    assert balances(one)


def test_the_place_of_corpora_and_run_is_not_part_of_the_bytes(built: tuple[Path, Any], corpus: Path) -> None:
    curate_json(*arguments(corpus, "--out", corpus / "fresh"))
    assert published(built[0] / "run") == published(corpus / "fresh")


def test_growing_a_corpus_costs_its_own_work_and_ends_where_a_fresh_build_ends(corpus: Path) -> None:
    run = corpus / "run"
    rows = [{"id": 100 + n, "question": f"Which unit has entry {n} of the annex?", "answer": "hertz"} for n in range(3)]
    annex = corpus / "corpora" / "handbook" / "annex.jsonl"
    annex.write_bytes(b"\n".join(orjson.dumps({**row, "options": ["litre", "hertz"]}) for row in rows))
    grown = curate_json(*arguments(corpus, "--out", run))
    fresh = curate_json(*arguments(corpus, "--out", corpus / "fresh"))
    assert published(run) == published(corpus / "fresh")
    assert grown["counts"] == fresh["counts"]
    steps = {step["name"]: step for step in grown["steps"]}
    fragments = orjson.loads((run / "run.json").read_bytes())["steps"][0]["fragments"]
    assert [steps[name]["reused"] for name in ("ingest", "measure", "license", "tokens", "exact")] == [
        fragments - 1
    ] * 5


def test_another_run_s_work_is_used_only_when_it_is_named(corpus: Path) -> None:
    changed = ["--set", "steps.tokens.max=500"]
    apart = curate_json(*arguments(corpus, "--out", corpus / "apart", *changed))
    reused = curate_json(*arguments(corpus, "--out", corpus / "reused", "--reuse", corpus / "run", *changed))
    assert published(corpus / "apart") == published(corpus / "reused")
    steps = {
        step["name"]: (mine["reused"], step["reused"])
        for mine, step in zip(apart["steps"], reused["steps"], strict=True)
    }
    assert steps["ingest"][1] > 0 == steps["ingest"][0]
    assert steps["measure"][1] > 0 == steps["measure"][0]
    assert steps["tokens"] == (0, 0)


def test_a_changed_recipe_in_the_same_directory_is_refused_and_says_what_changed(corpus: Path) -> None:
    run = corpus / "run"
    before = published(run)
    answer = curate_json(*arguments(corpus, "--out", run, "--set", "steps.tokens.max=500"), status=2)
    assert "steps.tokens.max: 1024 is now 500" in answer["error"]
    assert "--reuse" in answer["hint"]
    assert published(run) == before


def test_after_clean_the_same_build_is_a_no_op_and_a_larger_one_starts_over(corpus: Path) -> None:
    run = corpus / "run"
    before = published(run)
    assert curate_json("clean", run)["freed_bytes"] > 0
    assert not (run / "work").exists()
    again = curate_json(*arguments(corpus, "--out", run))
    assert published(run) == before
    assert not (run / "work" / "ingest").exists()
    assert all(step["reused"] for step in again["steps"])
    (corpus / "corpora" / "handbook" / "more.jsonl").write_text(
        '{"id": 1, "question": "Which?", "options": ["a", "b"], "answer": "a"}'
    )
    assert curate_json(*arguments(corpus, "--out", run))["counts"]["ingested"] == again["counts"]["ingested"] + 1


def test_a_repaired_picture_is_measured_again(built: tuple[Path, dict[str, Any]], corpus: Path) -> None:
    run, before = corpus / "run", built[1]
    figures = corpus / "corpora" / "figures"
    shutil.copy(figures / "PMC1005_Fig1.png", figures / "truncated.png")
    after = curate_json(*arguments(corpus, "--out", run))
    assert after["counts"]["quarantined"] == before["counts"]["quarantined"] - 1
    assert after["counts"]["kept"] == before["counts"]["kept"] + 1


def test_a_dry_run_says_what_it_takes_and_writes_nothing(corpus: Path) -> None:
    plan = curate_json(*arguments(corpus, "--out", corpus / "new", "--dry-run"))
    assert not (corpus / "new").exists()
    assert plan["units"]["run"] > 0 == plan["units"]["reuse"]
    assert {row["name"] for row in plan["sources"]} >= {"figures", "scans"}
    assert plan["warnings"] == []
    assert all(plan["predicted"][name] > 0 for name in ("seconds", "disk_bytes", "memory_bytes"))
    assert curate_json(*arguments(corpus, "--out", corpus / "run", "--dry-run"))["units"]["run"] == 0


def test_limit_takes_the_first_records_of_each_source(corpus: Path) -> None:
    answer = curate_json(*arguments(corpus, "--out", corpus / "new", "--limit", 2))
    sources = yaml.safe_load((corpus / "demo.yaml").read_bytes())["sources"]
    assert answer["counts"]["ingested"] == 2 * len(sources) - 1  # one of them has a single record
    assert balances(answer)


def test_diff_names_the_setting_and_the_step_that_changed_a_sample(corpus: Path) -> None:
    curate_json(*arguments(corpus, "--out", corpus / "b", "--set", "steps.tokens.max=3000"))
    found = curate_json("diff", corpus / "run", corpus / "b")
    assert "recipe.steps.tokens.max: 1024 is now 3000" in found["settings"]
    (changed,) = [row for row in found["changed"] if row["source"] == "notes"]
    assert (changed["a"], changed["b"], changed["samples"]) == ("tokens: tokens.too_long", "kept", 1)
    assert curate("diff", corpus / "run", corpus / "run").stderr.strip() == "no difference"
