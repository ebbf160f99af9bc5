"""The whole of the shared test data through the shipped recipe: real corpora as their owners publish them."""

import fcntl
import os
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
import webdataset

from tests.end_to_end.runs import WITHOUT_READING, balances, curate_json, published

HERE = {
    "aci_bench", "biomedparse_files", "chatdoctor", "cornerstone_files", "covid_chestxray", "deid_files",
    "highdicom_files", "indiana_reports", "medicat", "medquad", "mts_dialog", "pubmedqa", "pydicom_files", "roco",
    "slake", "suyashkumar_files", "vqa_rad",
}  # fmt: skip
"""The corpora of the shared data that the recipe names."""
UNCHECKED = ("--set", "steps.decontaminate.enabled=false")
"""Eval sets are sought in builds by test_audit_in_a_build.py, in the shared data by benchmarks/leaks.py."""
UNLABELLED = ("--set", "steps.modality.enabled=false")
"""Two thirds of the time of a picture; the two builds that are compared have it, of some pictures of each corpus."""


@pytest.fixture(scope="module")
def built(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """One build for all workers of a test run: it takes a minute, and workers share out the tests below."""
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    place.mkdir(exist_ok=True)
    run, answer = place / "run", place / "answer.json"
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not answer.exists():
            arguments = ("--stage", "mid", "--data", shared_data, "--out", run, "--workers", 2)
            arguments += (*UNCHECKED, *UNLABELLED)
            answer.write_bytes(orjson.dumps(curate_json("build", *arguments, contracts=True)))
    return run, orjson.loads(answer.read_bytes())


def table(run: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(run / "tables" / name / "*.parquet")


def test_counts_balance_and_every_source_of_the_recipe_is_found(built: tuple[Path, dict[str, Any]]) -> None:
    run, answer = built
    assert balances(answer)
    assert not set(answer["missing"]) & HERE
    samples = table(run, "samples")
    assert len(samples) == answer["counts"]["ingested"] == samples["sample_id"].n_unique()
    images = table(run, "images")
    assert len(images) == answer["images"] == images["image_id"].n_unique()


def test_the_share_of_samples_with_a_known_group_is_told_by_source(built: tuple[Path, dict[str, Any]]) -> None:
    run, _ = built
    samples = table(run, "samples").select("source", "groups")
    kinds = ("article", "figure", "patient", "study", "series", "case")
    has = {kind: pl.col("groups").list.eval(pl.element().struct.field("kind") == kind).list.any() for kind in kinds}
    covered = samples.group_by("source").agg(pl.len(), *(has[kind].mean().alias(kind) for kind in kinds)).sort("source")
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=160, tbl_formatting="ASCII_MARKDOWN"):
        print(covered.with_columns(pl.col(kinds).round(3)))  # what somebody who runs this by hand wants to see
    share = {row["source"]: row for row in covered.iter_rows(named=True)}
    for source, kind in (("roco", "article"), ("roco", "figure"), ("medicat", "article"), ("pubmedqa", "article"),
                         ("medquad", "article"), ("slake", "case"), ("vqa_rad", "case"), ("indiana_reports", "study"),
                         ("aci_bench", "case")):  # fmt: skip
        assert share[source][kind] == 1, (source, kind)
    assert share["covid_chestxray"]["patient"] > 0.8
    assert share["chatdoctor"] == {"source": "chatdoctor", "len": 5452, **dict.fromkeys(kinds, 0)}


def test_the_ledger_has_one_row_for_every_step_that_saw_a_sample(built: tuple[Path, dict[str, Any]]) -> None:
    run, answer = built
    ledger = table(run, "ledger")
    rows = ledger.group_by("step").len()
    seen = dict(zip(rows["step"], rows["len"], strict=True))
    assert seen == {step["name"]: step["in"] + step["made"] for step in answer["steps"]}
    ended = ledger.filter(pl.col("verdict").is_in(["drop", "quarantine"]))
    assert ended["sample_id"].n_unique() == len(ended)


def test_shards_verify_and_webdataset_reads_them(built: tuple[Path, dict[str, Any]]) -> None:
    run, answer = built
    assert curate_json("shards", "verify", run / "shards") == {"ok": True, "problems": []}
    manifest = orjson.loads((run / "shards" / "manifest.json").read_bytes())
    names = [str(run / "shards" / shard["name"]) for shard in manifest["shards"]]
    tokens = count = 0
    for sample in webdataset.WebDataset(names, shardshuffle=False).decode("pil"):
        content = sample["json"]
        tokens += content["tokens"]
        count += 1
        placeholders = sum(turn["text"].count("<image>") for turn in content["turns"])
        assert placeholders == len(content["images"]) == sum(image["member"] in sample for image in content["images"])
    assert count == answer["samples_written"]
    assert tokens == sum(shard["tokens"] for shard in manifest["shards"])


def test_no_test_item_of_a_corpus_with_splits_is_in_the_shards(built: tuple[Path, dict[str, Any]]) -> None:
    run, _ = built
    ended = table(run, "ledger").filter(pl.col("verdict").is_in(["drop", "quarantine"]))
    kept = table(run, "samples").join(ended, on="sample_id", how="anti")
    assert "test" not in set(kept["split"])


def test_no_labelled_test_article_of_pubmedqa_is_kept(built: tuple[Path, dict[str, Any]], shared_data: Path) -> None:
    run, _ = built
    truth = orjson.loads((shared_data / "text" / "eval_pubmedqa" / "data" / "test_ground_truth.json").read_bytes())
    ended = table(run, "ledger").filter(pl.col("verdict").is_in(["drop", "quarantine"]))
    samples = table(run, "samples").filter(pl.col("source") == "pubmedqa")
    kept = samples.join(ended, on="sample_id", how="anti")["source_key"].str.split("#").list.last()
    assert len(kept) == 500
    assert not set(kept) & set(truth)


def test_roco_articles_are_those_of_its_licence_list(built: tuple[Path, dict[str, Any]], shared_data: Path) -> None:
    run, _ = built
    roco = table(run, "samples").filter(pl.col("source") == "roco").select("source_key", "groups")
    told = {
        key.split("#")[1]: next(group["id"] for group in groups if group["kind"] == "article")
        for key, groups in roco.iter_rows()
    }
    listed = {}
    for path in (shared_data / "text" / "caption_roco" / "data" / "train").rglob("licences.txt"):
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            roco_id, pmc, _ = line.split(",")
            listed[roco_id] = pmc.partition("_")[0]
    assert told == {roco_id: listed[roco_id] for roco_id in told}
    assert len(told) > 4000


def test_one_worker_and_two_write_the_same_bytes(shared_data: Path, tmp_path: Path) -> None:
    arguments = ("--stage", "mid", "--data", shared_data, "--limit", 10, *UNCHECKED, *WITHOUT_READING)
    for workers in (1, 2):
        curate_json("build", *arguments, "--out", tmp_path / str(workers), "--workers", workers, near=True)
    assert published(tmp_path / "1") == published(tmp_path / "2")
