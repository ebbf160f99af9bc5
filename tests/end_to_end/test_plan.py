"""Member index and packing plan: made by a build, kept true by a takedown, planned anew by `curate shards plan`."""

import gzip
import hashlib
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from polars import read_parquet

from shards.harmony import lengths, render
from shards.index_file import open_index
from shards.manifest import Manifest, read_manifest
from shards.plan_file import open_plan
from sources.storage import LocalFolder
from tests.end_to_end.runs import curate, curate_json, published
from tests.end_to_end.takedowns import corpus, listed
from tests.shards.test_harmony import rendered_by_openai


def samples_of(folder: LocalFolder) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each row of the index and the `{key}.json` at the place it tells."""
    manifest = read_manifest(folder)
    found = []
    for row in open_index(folder).table().to_pylist():
        tar = folder.root / manifest.every_shard[row["shard"]].name
        with tar.open("rb") as file:
            file.seek(row["offset"])
            piece = file.read(row["size"])
        size = int(piece[124:135], 8)
        found.append((row, orjson.loads(piece[512 : 512 + size])))
    return found


def check(shards: Path) -> Manifest:
    """Index, plan and tars say the same."""
    folder = LocalFolder(shards)
    manifest = read_manifest(folder)
    assert (manifest.index, manifest.plan) == ("index.arrow", "plan.arrow")
    samples = samples_of(folder)
    assert len({content["sample_id"] for _, content in samples}) == sum(shard.samples for shard in manifest.every_shard)
    for row, content in samples:
        long = lengths(content["turns"])
        assert (row["tokens"], row["loss_tokens"]) == (long.tokens, long.loss_tokens)
        assert [row[name] for name in ("source", "task", "license")] == [
            content[name] for name in ("source", "task", "license")
        ]
        assert row["images"] == [{"width": image["width"], "height": image["height"]} for image in content["images"]]
    plan = open_plan(folder)
    assert plan.about.manifest == hashlib.sha256((shards / "manifest.json").read_bytes()).hexdigest()
    assert plan.about.build == manifest.build == open_index(folder).about.build
    known = {(row["shard"], row["offset"], row["size"]): row for row, _ in samples}
    planned = [place for row in plan.rows(0, plan.about.rows) for place in row.samples]
    for place in planned:
        row = known[place.shard, place.offset, place.size]
        assert place.tokens == row["tokens"] + 576 * len(row["images"])
        assert place.shard < len(manifest.shards)
    assert {(place.shard, place.offset) for place in planned} == {
        (row["shard"], row["offset"]) for row, _ in samples if row["shard"] < len(manifest.shards)
    }
    return manifest


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("planned")
    arguments = corpus(place)
    recipe = yaml.safe_load((place / "recipe.yaml").read_text())
    recipe |= {"context_tokens": 2048, "mixture": {"seed": 5, "epochs": 2, "rows_per_step": 2}}
    recipe["holdout"] = {"fraction": 0.4, "by": ["patient", "article"]}
    (place / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    curate_json("build", *arguments, "--out", place / "run")
    return place / "run"


@pytest.fixture
def run(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "run")


def test_a_build_writes_an_index_and_the_plan_of_its_recipe(built: Path) -> None:
    manifest = check(built / "shards")
    assert manifest.validation
    about = open_plan(LocalFolder(built / "shards")).about
    assert (about.context, about.epochs, about.seed, about.rows_per_step) == (2048, 2, 5, 2)
    assert about.steps > 2


def test_a_takedown_leaves_an_index_and_a_plan_of_what_is_left(run: Path, tmp_path: Path) -> None:
    before = read_manifest(LocalFolder(run / "shards"))
    film = next(content for _, content in samples_of(LocalFolder(run / "shards")) if content["source"] == "films")
    taken = listed(tmp_path, "kind,value", f"sample_id,{film['sample_id']}")
    curate_json("remove", run, "--list", taken, "--reason", "withdrawn")
    after = check(run / "shards")
    assert after.build != before.build
    assert sum(shard.samples for shard in after.every_shard) == sum(shard.samples for shard in before.every_shard) - 1
    assert all(content["sample_id"] != film["sample_id"] for _, content in samples_of(LocalFolder(run / "shards")))
    assert open_plan(LocalFolder(run / "shards")).about.seed == 5
    assert curate("shards", "verify", run / "shards").returncode == 0


def test_a_takedown_from_a_run_whose_index_is_damaged_changes_nothing(run: Path, tmp_path: Path) -> None:
    (run / "shards" / "index.arrow").write_bytes(b"ARROW1")
    before = published(run)
    (sample_id,) = read_parquet(run / "tables" / "samples" / "*.parquet")["sample_id"].head(1)
    taken = listed(tmp_path, "kind,value", f"sample_id,{sample_id}")
    answer = curate_json("remove", run, "--list", taken, status=1)
    assert "index.arrow: damaged" in answer["error"]
    assert published(run) == before


def test_another_plan_touches_no_tar_and_is_the_same_each_time(run: Path) -> None:
    tars = {path: path.stat() for path in (run / "shards").glob("*.tar")}
    values = [
        "--set",
        "context=1024",
        "--set",
        "rows_per_step=1",
        "--set",
        "weights.source.films=0",
        "--set",
        "epochs=1",
    ]
    first = curate_json("shards", "plan", run / "shards", *values, "--out", "plan-1k.arrow")
    data = (run / "shards" / "plan-1k.arrow").read_bytes()
    assert curate_json("shards", "plan", run, *values, "--out", "plan-1k.arrow") == first
    assert (run / "shards" / "plan-1k.arrow").read_bytes() == data
    assert {path: path.stat() for path in tars} == tars
    assert first["context"] == 1024
    assert first["excluded"]["mixture.no_weight"] > 0
    about = open_plan(LocalFolder(run / "shards"), "plan-1k.arrow").about
    assert about.mixture.weights["source"]["films"] == 0
    assert about.seed == 5  # of the plan that is there


def test_a_setting_that_is_none_is_wrong_usage_and_writes_nothing(run: Path) -> None:
    before = sorted(path.name for path in (run / "shards").iterdir())
    answer = curate_json(
        "shards", "plan", run / "shards", "--set", "weights.source.film=2", "--out", "x.arrow", status=2
    )
    assert answer["hint"] == "did you mean 'films'?"
    assert curate_json("shards", "plan", run / "shards", "--out", "../x.arrow", status=2)["error"].startswith("--out")
    index = (run / "shards" / "index.arrow").read_bytes()
    for name in ("index.arrow", "my plan.arrow"):
        assert curate_json("shards", "plan", run, "--out", name, status=2)["error"].startswith(f"--out {name}: ")
    assert (run / "shards" / "index.arrow").read_bytes() == index
    assert curate_json("shards", "plan", run / "tables", status=2)["hint"] == "give the shards/ folder of a run"
    assert sorted(path.name for path in (run / "shards").iterdir()) == before


def test_shards_without_an_index_cannot_be_planned(run: Path) -> None:
    manifest = orjson.loads((run / "shards" / "manifest.json").read_bytes())
    (run / "shards" / "manifest.json").write_bytes(orjson.dumps(manifest | {"index": None}))
    answer = curate_json("shards", "plan", run / "shards", status=1)
    assert "has no member index" in answer["error"]


def test_a_damaged_index_is_named(run: Path) -> None:
    (run / "shards" / "index.arrow").write_bytes(b"ARROW1")
    answer = curate_json("shards", "plan", run / "shards", status=1)
    assert "index.arrow: damaged" in answer["error"]


def test_stats_count_what_the_tars_hold(built: Path) -> None:
    answer = curate_json("shards", "stats", built / "shards")
    samples = samples_of(LocalFolder(built / "shards"))
    assert answer["samples"] == len(samples)
    assert answer["shards"] == len(list((built / "shards").glob("*.tar")))
    assert answer["tokens"] == sum(content["tokens"] for _, content in samples)
    assert answer["rendered_tokens"] == sum(row["tokens"] for row, _ in samples)
    assert answer["packing"]["context"] == 2048
    assert 0 < answer["packing"]["fill"] <= 1
    for group in ("source", "task", "license", "access"):
        assert {name: row["samples"] for name, row in answer[f"by_{group}"].items()} == {
            name: sum(content[group] == name for _, content in samples)
            for name in {content[group] for _, content in samples}
        }
    assert answer["by_modality"]["none"]["images"] == 0
    assert curate_json("shards", "stats", built) == answer


def test_the_report_tells_steps_and_fill(built: Path) -> None:
    steps = open_plan(LocalFolder(built / "shards")).steps
    assert f'<b id="steps">{steps}</b>' in (built / "reports" / "build.html").read_text()


def test_real_conversations_are_the_tokens_of_openai_harmony(shared_data: Path, tmp_path: Path) -> None:
    harmony = pytest.importorskip("openai_harmony", reason="the oracle openai-harmony is a development dependency")
    packed = (files("bpe_openai") / "data" / "o200k_base.tiktoken.gz").read_bytes()
    (tmp_path / "o200k_base.tiktoken").write_bytes(gzip.decompress(packed))
    names = ("vqa_rad", "slake", "medquad", "mts_dialog", "aci_bench", "chatdoctor", "indiana_reports")
    recipe = yaml.safe_load((Path(__file__).parents[2] / "pipelines" / "recipes" / "mid.yaml").read_text())
    recipe["sources"] = [{"name": name, "optional": True} for name in names]
    recipe["steps"]["decontaminate"] = {"enabled": False}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    run = tmp_path / "run"
    curate_json("build", "--recipe", tmp_path / "recipe.yaml", "--data", shared_data, "--out", run, "--limit", 60)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TIKTOKEN_ENCODINGS_BASE", str(tmp_path))
        oracle = harmony.load_harmony_encoding(harmony.HarmonyEncodingName.HARMONY_GPT_OSS)
    samples = samples_of(LocalFolder(run / "shards"))
    assert len(samples) > 200
    for row, content in samples:
        found = render(content["turns"], [0] * len(content["images"]))
        assert found.ids.tolist() == rendered_by_openai(oracle, content["turns"])
        assert (len(found.ids), int(found.loss.sum())) == (row["tokens"], row["loss_tokens"])
