"""Records that kill whoever reads them cost a build themselves and nothing else, whatever engine it runs on."""

from pathlib import Path

import polars as pl
import pytest
import yaml

from tests.end_to_end.other_steps import environment
from tests.end_to_end.runs import balances, curate_json, published
from tests.pipelines.deadly import install, lines

READERS = ("parsing", "mapping")
KILLERS = (5, 11)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[object], dict[str, str]]:
    """What to give `curate` to build two corpora with such records, and the environment that has their readers."""
    place = tmp_path_factory.mktemp("deadly")
    answers = [f"It shows the lungs of patient number {number}, and nothing else of note." for number in range(16)]
    entries = []
    for reader in READERS:
        held = [f"{reader} {'KILL' if number in KILLERS else ''} {answer}" for number, answer in enumerate(answers)]
        (place / f"{reader}.jsonl").write_text(lines(held))
        entries.append({"name": reader, "reader": reader, "path": f"{reader}.jsonl", "task": "text_qa",
                        "access": "open", "license": "CC0-1.0",
                        "fields": {"id": "id", "question": "question", "answer": "answer"}})  # fmt: skip
    recipe = {"stage": "mid", "sources": entries, "steps": {"tokens": {"min": 1}}}
    (place / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    arguments = ["build", "--stage", "mid", "--recipe", place / "recipe.yaml", "--data", place]
    return arguments, environment(install(place / "site"))


@pytest.fixture(scope="module")
def local(build: tuple[list[object], dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    arguments, environment = build
    run = tmp_path_factory.mktemp("local") / "run"
    answer = curate_json(*arguments, "--out", run, "--workers", 2, env=environment)
    assert balances(answer)
    counts = answer["counts"]
    assert (counts["ingested"], counts["kept"], counts["quarantined"]) == (32, 28, 4)
    return run


def test_each_is_quarantined_with_what_is_known_of_it(local: Path) -> None:
    samples = pl.read_parquet(local / "tables" / "samples" / "*.parquet")
    ledger = pl.read_parquet(local / "tables" / "ledger" / "*.parquet").filter(pl.col("verdict") == "quarantine")
    assert set(ledger["step"]) == {"ingest"}
    assert set(ledger["reason"]) == {"record.malformed"}
    assert set(ledger["evidence"]) == {'{"exception":"CrashedError","at":[]}'}
    keys = samples.filter(pl.col("sample_id").is_in(ledger["sample_id"].to_list()))["source_key"].to_list()
    assert sorted(keys) == sorted(f"{reader}.jsonl#{number}" for reader in READERS for number in KILLERS)


def test_on_ray_they_cost_the_same(build: tuple[list[object], dict[str, str]], local: Path, tmp_path: Path) -> None:
    arguments, environment = build
    run = tmp_path / "run"
    answer = curate_json(*arguments, "--out", run, "--engine", "ray", "--workers", 2, env=environment)
    assert answer["engine"] == "ray"
    assert published(run) == published(local)
