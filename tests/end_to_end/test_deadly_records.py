"""Records that kill whoever reads them cost a build themselves and nothing else, whatever engine it runs on."""

from pathlib import Path

import polars as pl
import pytest
import yaml

from sources import joins
from tests.end_to_end.other_steps import environment
from tests.end_to_end.runs import balances, curate_json, published
from tests.pipelines.deadly import install, lines

READERS = ("parsing", "mapping")
KILLERS = (0, 11)  # planning looks into the first record


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[object], Path]:
    """What to give `curate` to build two corpora with such records, and where the package of their readers is."""
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
    return arguments, install(place / "site")


@pytest.fixture(scope="module")
def local(build: tuple[list[object], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    arguments, site = build
    run = tmp_path_factory.mktemp("local") / "run"
    answer = curate_json(*arguments, "--out", run, "--workers", 2, packages=[site])
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


def test_in_a_corpus_that_joins_a_table_by_exchange_they_cost_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joins, "IN_MEMORY_BYTES", 10)
    (tmp_path / "data").mkdir()
    answers = [f"{'KILL' if number in KILLERS else ''} A note on film number {number}." for number in range(16)]
    entries = []
    for reader in READERS:
        (tmp_path / "data" / f"{reader}.jsonl").write_text(lines(answers))
        rows = "".join(f"r{number},MIT\n" for number in range(16))
        (tmp_path / "data" / f"{reader}.csv").write_text(f"id,cc\n{rows}")
        join = {"path": f"{reader}.csv", "left": "id", "right": "id"}
        fields = {"id": "id", "question": "question", "answer": "answer", "license": "cc"}
        entries.append({"name": reader, "reader": reader, "path": f"{reader}.jsonl", "task": "text_qa",
                        "access": "open", "fields": fields, "join": join})  # fmt: skip
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"stage": "mid", "sources": entries, "steps": {"tokens": {"min": 1}}}))
    run = tmp_path / "run"
    arguments = ("--recipe", recipe, "--data", tmp_path / "data", "--out", run, "--workers", 2)
    assert balances(curate_json("build", *arguments, packages=[install(tmp_path / "site")]))
    samples = pl.read_parquet(run / "tables" / "samples" / "*.parquet")
    ledger = pl.read_parquet(run / "tables" / "ledger" / "*.parquet").filter(pl.col("verdict") == "quarantine")
    assert (len(samples), set(ledger["evidence"])) == (32, {'{"exception":"CrashedError","at":[]}'})
    lost = samples["sample_id"].is_in(ledger["sample_id"].to_list())
    keys = samples.filter(lost)["source_key"].to_list()
    assert sorted(keys) == sorted(f"{reader}.jsonl#{number}" for reader in READERS for number in KILLERS)
    assert set(samples.filter(~lost)["license"]) == {"MIT"}


def test_on_ray_they_cost_the_same(build: tuple[list[object], Path], local: Path, tmp_path: Path) -> None:
    arguments, site = build
    run = tmp_path / "run"
    answer = curate_json(*arguments, "--out", run, "--engine", "ray", "--workers", 2, env=environment(site))
    assert answer["engine"] == "ray"
    assert published(run) == published(local)
