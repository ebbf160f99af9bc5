"""The hold-out: whole groups are set aside, in shards of their own, the same on any machine."""

import re
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
import webdataset
import yaml

from pipelines.takedown.remove import remove
from shards.verify import verify_shards
from sources.storage import LocalFolder
from tests.end_to_end.runs import balances, curate_json, published
from tests.end_to_end.takedowns import corpus, drawn, in_shards, listed

PATIENTS = 60


def sharing(place: Path, patients: int = PATIENTS) -> list[object]:
    """Three films a patient; every tenth patient's last film has the picture of the next one's first; loose reads."""
    arguments = corpus(place, films=4)
    data = place / "data"
    rows = []
    for number in range(3 * patients):
        shown = number + 1 if number % 30 == 2 else number
        drawn(data / "films" / f"p{shown}.png", 1000 + shown)
        rows.append({"id": f"p{number}", "image": f"p{shown}.png", "text": f"Film {number}, the lungs are clear here.",
                     "patient": f"PAT-{number // 3}", "study": f"ST-{number}"})  # fmt: skip
    (data / "films.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    recipe = yaml.safe_load((place / "recipe.yaml").read_text())
    recipe["holdout"] = {"fraction": 0.2, "by": ["patient", "article"]}
    recipe["shards"]["max_samples"] = 20
    (place / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return arguments


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[object], dict[str, Any]]:
    place = tmp_path_factory.mktemp("built")
    arguments = sharing(place)
    answer = curate_json("build", *arguments, "--out", place / "run", "--workers", 2)
    return place / "run", arguments, answer


def test_the_page_about_the_run_directory_names_every_key_of_run_json(built: tuple[Path, object, object]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "run_directory.md").read_text()
    table = page.partition("| key of `run.json` |")[2].partition("\n\n")[0]
    cells = re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE)
    keys = {key for cell in cells for key in re.findall(r"\w+", cell)}
    assert keys - {"removed"} == orjson.loads((built[0] / "run.json").read_bytes()).keys()


def sides(run: Path) -> dict[str, set[str]]:
    """Side -> ids of the samples in its shards, as the manifest has them."""
    manifest = orjson.loads((run / "shards" / "manifest.json").read_bytes())
    found = {}
    for side, key in (("training", "shards"), ("validation", "validation")):
        names = [str(run / "shards" / shard["name"]) for shard in manifest[key]]
        assert all(("validation-mid-" in name) == (side == "validation") for name in names)
        read = webdataset.WebDataset(names, shardshuffle=False, empty_check=False) if names else ()
        found[side] = {sample["__key__"] for sample in read}
    return found


def test_both_sides_are_written_counted_and_verified(built: tuple[Path, list[object], dict[str, Any]]) -> None:
    run, _, answer = built
    assert balances(answer)
    found = sides(run)
    assert found["training"].isdisjoint(found["validation"])
    assert len(found["training"]) + len(found["validation"]) == answer["counts"]["kept"]
    assert answer["holdout"]["samples"] == len(found["validation"])
    assert 0.1 < len(found["validation"]) / answer["counts"]["kept"] < 0.35
    assert verify_shards(LocalFolder(run / "shards"), 1) == []
    held = next((run / "shards").glob("validation-*.tar"))
    data = held.read_bytes()
    held.write_bytes(data[:-1] + b"x")
    assert verify_shards(LocalFolder(run / "shards"), 1) != []
    held.write_bytes(data)


def test_no_group_no_picture_and_no_parent_is_on_both_sides(
    built: tuple[Path, list[object], dict[str, Any]],
) -> None:
    run, _, answer = built
    found = sides(run)
    images = pl.read_parquet(run / "tables" / "images" / "*.parquet")
    pixels = dict(images.select("image_id", "pixel_hash").iter_rows())
    seen = defaultdict(set)
    for sample in pl.read_parquet(run / "tables" / "samples" / "*.parquet").iter_rows(named=True):
        side = {name for name, ids in found.items() if sample["sample_id"] in ids}
        for group in sample["groups"] or ():
            if group["kind"] in ("patient", "article"):
                seen[group["kind"], group["id"]] |= side
        for image in sample["images"] or ():
            seen["image", pixels.get(image["image_id"])] |= side
        seen["parent", sample["parent_id"] or sample["sample_id"]] |= side
    assert [key for key, both in seen.items() if len(both) == 2] == []
    patients = {key[1] for key, side in seen.items() if key[0] == "patient" and side == {"validation"}}
    joined = {frozenset({f"PAT-{n}", f"PAT-{n + 1}"}) for n in range(0, PATIENTS, 10)}
    assert all(len(patients & pair) != 1 for pair in joined)
    assert any(pair <= patients for pair in joined) or len(patients) > 3
    assert answer["holdout"]["groups"] <= len({key for key, side in seen.items() if side == {"validation"}})


def test_any_number_of_workers_writes_the_same_bytes(
    built: tuple[Path, list[object], dict[str, Any]], tmp_path: Path
) -> None:
    run, arguments, answer = built
    other = curate_json("build", *arguments, "--out", tmp_path / "one", "--workers", 1)
    assert published(tmp_path / "one") == published(run)
    assert other["holdout"] == answer["holdout"]


def test_the_ledger_says_which_side_and_why_reads_it(
    built: tuple[Path, list[object], dict[str, Any]],
) -> None:
    run, _, _ = built
    held = min(sides(run)["validation"])
    told = curate_json("why", run, held)
    (verdict,) = [row for row in told["verdicts"] if row["step"] == "holdout"]
    assert verdict["evidence"]["side"] == "validation"
    assert told["verdict"] == "keep"
    ledger = pl.read_parquet(run / "tables" / "ledger" / "*.parquet")
    marked = ledger.filter((pl.col("step") == "holdout") & pl.col("evidence").is_not_null())
    assert set(marked["sample_id"]) == sides(run)["validation"]


def test_more_data_moves_only_what_it_joins(built: tuple[Path, list[object], dict[str, Any]], tmp_path: Path) -> None:
    before = sides(built[0])
    arguments = sharing(tmp_path, PATIENTS + 20)
    curate_json("build", *arguments, "--out", tmp_path / "run")
    after = sides(tmp_path / "run")
    # The film that shows patient 60's first picture joined patient 59's component to nothing before.
    moved = {side: before[side] - after[side] for side in before}
    assert len(moved["training"] | moved["validation"]) <= 3


def test_another_seed_holds_out_others_and_off_is_no_hold_out(
    built: tuple[Path, list[object], dict[str, Any]], tmp_path: Path
) -> None:
    run, arguments, _ = built
    reuse = ("--reuse", run)
    curate_json("build", *arguments, "--out", tmp_path / "seed", *reuse, "--set", "holdout.seed=1")
    assert sides(tmp_path / "seed")["validation"] != sides(run)["validation"]
    answer = curate_json("build", *arguments, "--out", tmp_path / "off", *reuse, "--set", "holdout=null")
    assert "holdout" not in answer
    assert "validation" not in orjson.loads((tmp_path / "off" / "shards" / "manifest.json").read_bytes())


@pytest.mark.parametrize("setting", ["fraction=0", "fraction=1", "by=[patients]", "by=[]", "share=0.1"])
def test_a_hold_out_that_cannot_be_is_wrong_usage(tmp_path: Path, setting: str) -> None:
    arguments = corpus(tmp_path, films=4, reads=1)
    answer = curate_json("build", *arguments, "--out", tmp_path / "run", "--set", f"holdout.{setting}", status=2)
    assert "holdout." in answer["error"]


def test_a_takedown_reaches_the_held_out_side(built: tuple[Path, list[object], dict[str, Any]], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(built[0], run)
    held = sides(run)["validation"]
    samples = pl.read_parquet(run / "tables" / "samples" / "*.parquet").filter(pl.col("sample_id").is_in(list(held)))
    patients = samples["groups"].list.first().struct.field("id").drop_nulls()
    patient = min(name for name in patients if name.startswith("PAT-"))
    before = {path.name: path.read_bytes() for path in (run / "shards").glob("*.tar")}
    answer = remove(LocalFolder(run), listed(tmp_path, f"patient,{patient}"))
    changed = [*answer["shards"]["rewritten"], *answer["shards"]["deleted"]]
    assert changed
    assert all(name.startswith("validation-mid-films-") for name in changed)
    assert all((run / "shards" / name).read_bytes() == data for name, data in before.items() if name not in changed)
    assert verify_shards(LocalFolder(run / "shards"), 1) == []
    document = orjson.loads((run / "run.json").read_bytes())
    now = sides(run)["validation"]
    assert document["holdout"]["samples"] == len(now) == len(held) - answer["from_shards"]
    assert document["samples_written"] == len(in_shards(run))
    again = curate_json("build", *built[1], "--out", run)
    assert again["holdout"] == document["holdout"]
    assert sides(run)["validation"] == now
