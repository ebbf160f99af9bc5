"""The embedded corpus: every kind of sample, every verdict, and shards that plain readers open."""

import subprocess
import sys
from pathlib import Path

import orjson
import polars as pl
import pytest
import webdataset

from sources.schema import LEDGER, SAMPLES, TASKS, Reason
from tests.end_to_end.runs import curate, curate_json, published
from workflows.demo import examples


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "workflows.demo", str(place)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "curate why" in done.stderr
    return place


def test_it_shows_every_verdict_of_its_steps(demo: Path) -> None:
    shown = {row["reason"] for row in examples(demo / "run")}
    not_its_own = ("modality.", "quality.", "phi.")  # steps that its recipe does not name, or of sources with a key
    assert shown >= {reason.value for reason in Reason if not reason.startswith(not_its_own)}
    assert None in shown  # kept


def test_it_holds_every_kind_of_sample(demo: Path) -> None:
    kept = pl.read_parquet(demo / "run" / "tables" / "samples" / "*.parquet")
    assert {"caption", "vqa", "report", "text_qa", "dialogue", "text"} <= set(kept["task"]) <= set(TASKS)


def test_tables_have_the_contract_s_columns(demo: Path) -> None:
    for name, schema in (("samples", SAMPLES), ("ledger", LEDGER)):
        table = pl.read_parquet(demo / "run" / "tables" / name / "*.parquet")
        assert table.columns == schema.names


def test_webdataset_reads_every_kept_sample_with_its_pictures(demo: Path) -> None:
    shards = demo / "run" / "shards"
    manifest = orjson.loads((shards / "manifest.json").read_bytes())
    names = [str(shards / shard["name"]) for shard in manifest["shards"]]
    read = list(webdataset.WebDataset(names, shardshuffle=False).decode("pil"))
    assert len(read) == sum(shard["samples"] for shard in manifest["shards"])
    for sample in read:
        content = sample["json"]
        assert content["sample_id"] == sample["__key__"]
        for image in content["images"]:
            assert sample[image["member"]].size == (image["width"], image["height"])


def test_running_it_again_changes_nothing(demo: Path) -> None:
    before = published(demo / "run")
    answer = curate_json(
        "build", "--stage", "mid", "--recipe", demo / "demo.yaml", "--data", demo / "corpora", "--out", demo / "run",
        "--evals", demo / "corpora" / "evals",
        contracts=True,
    )  # fmt: skip
    assert published(demo / "run") == before
    assert all(step["reused"] for step in answer["steps"])
    assert answer["audit"] == "clean"


def test_why_explains_each_verdict_in_words(demo: Path) -> None:
    for example in examples(demo / "run"):
        told = curate("why", demo / "run", example["sample_id"])
        assert told.returncode == 0
        assert example["sample_id"] in told.stderr
        if example["reason"]:
            assert example["reason"] in told.stderr
