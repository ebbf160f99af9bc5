"""After a takedown: no later build, and none that uses its work, brings anything back, not even into `work/`."""

import shutil
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
import yaml

from pipelines.nodes import OF_AN_EXCHANGE, WITHOUT_CONTENT, is_ours
from pipelines.takedown.record import digest_of
from pipelines.takedown.remove import remove
from pipelines.takedown.sift import SIFTED
from sources import joins
from sources.identity import keyed_digest
from sources.storage import LocalFolder
from tests.end_to_end.runs import curate, curate_json, published
from tests.end_to_end.takedowns import (
    FILMS,
    build_killed_in,
    corpus,
    drawn,
    everything_in,
    film,
    in_shards,
    listed,
    words,
)

KEY = "a-site-key-of-enough-bytes"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("kept")
    curate_json("build", *corpus(place), "--out", place / "run")
    return place


@pytest.fixture
def place(kept: Path, tmp_path: Path) -> Path:
    """A corpus, its recipe and its run, to be changed at will."""
    return Path(shutil.copytree(kept, tmp_path / "place"))


def command(place: Path, out: str, *more: object) -> tuple[object, ...]:
    return ("build", "--recipe", place / "recipe.yaml", "--data", place / "data", "--out", place / out, *more)


def take_down(run: Path, *lines: str) -> dict[str, Any]:
    return remove(LocalFolder(run), listed(run.parent, *lines))


def one_more_film(place: Path, **fields: object) -> None:
    drawn(place / "data" / "films" / "f20.png", 20)
    rows = [*(film(number) for number in range(FILMS)), film(20) | {"image": "f20.png"} | fields]
    (place / "data" / "films.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))


def test_nothing_that_was_taken_down_is_copied_from_a_run_that_still_has_it(place: Path) -> None:
    shutil.copytree(place / "run", place / "untouched")
    take_down(place / "run", "patient,PAT-0")
    reuse = ("--reuse", place / "run", "--reuse", place / "untouched")
    answer = curate_json(*command(place, "new", *reuse))
    assert answer["counts"]["dropped"]["removed.takedown"] == 3
    assert {step["name"]: step["reused"] for step in answer["steps"]}["ingest"] == 2  # the third is read again
    held = everything_in(place / "new")
    assert words("film", 3).encode() in held
    assert [n for n in range(3) if words("film", n).encode() in held] == []


def test_a_run_that_learns_of_a_takedown_elsewhere_forgets_its_own_work_of_it(place: Path) -> None:
    shutil.copytree(place / "run", place / "second")
    one_more_film(place)
    take_down(place / "run", "patient,PAT-0")
    curate_json(*command(place, "second", "--reuse", place / "run"))
    held = everything_in(place / "second")
    assert words("film", 20).encode() in held
    assert [n for n in range(3) if words("film", n).encode() in held] == []


def test_frames_that_only_the_last_step_knows_are_shown_by_no_later_build(place: Path) -> None:
    samples = pl.read_parquet(place / "run" / "tables" / "samples" / "*.parquet")
    frame = samples.filter(pl.col("source_key").str.ends_with("s0@1")).row(0, named=True)
    thumbnails = pl.read_parquet(place / "run" / "tables" / "images" / "*.parquet").filter(
        pl.col("image_id") == frame["images"][0]["image_id"]
    )
    take_down(place / "run", f"sample_id,{frame['sample_id']}")
    one_more_film(place)
    for out, more in (("run", ()), ("new", ("--reuse", place / "run"))):
        curate_json(*command(place, out, *more))
        assert in_shards(place / out) & {"s0", "s0@1", "s0@2", "f20"} == {"s0", "s0@2", "f20"}
        shown = pl.read_parquet(place / out / "tables" / "images" / "*.parquet")
        row = shown.filter(pl.col("image_id") == frame["images"][0]["image_id"]).row(0, named=True)
        assert (row["thumbnail"], row["facts"]) == (None, None)
        assert repr(thumbnails["thumbnail"][0]).encode() not in everything_in(place / out)
        assert "build.html" in {path.name for path in (place / out / "reports").iterdir()}
    before = published(place / "run")
    curate_json(*command(place, "run"))
    assert published(place / "run") == before


def test_who_is_listed_before_anything_of_them_came_stays_out(place: Path) -> None:
    before = published(place / "run")
    done = curate("remove", place / "run", "--list", listed(place, "patient,PAT-77", "license,MIT-0"))
    assert "1 of them" not in done.stderr
    assert "2 of them are looked for by later builds" in done.stderr
    after = published(place / "run")
    about = {"run.json", "shards/README.md", "shards/croissant.json"}  # the steps that ran
    assert {name for name in after if after[name] != before[name]} == about
    again = take_down(place / "run", "patient,PAT-77")
    assert (again["nothing_left"], again["remembered"]) == (True, [1])
    assert curate_json(*command(place, "run"))["steps"][-1]["name"] == "removed"
    assert published(place / "run") == after
    one_more_film(place, patient="PAT-77")
    answer = curate_json(*command(place, "run"))
    assert answer["counts"]["dropped"]["removed.takedown"] == 1
    assert "f20" not in in_shards(place / "run")
    assert words("film", 20).encode() not in everything_in(place / "run")
    assert b"PAT-77" not in (place / "run" / "removed.json").read_bytes()


def test_what_a_killed_build_committed_and_never_published_goes_from_work_too(place: Path) -> None:
    one_more_film(place)
    build_killed_in("publish", place / "recipe.yaml", place / "data", LocalFolder(place / "run"))
    assert words("film", 20).encode() in everything_in(place / "run" / "work")
    answer = take_down(place / "run", "patient,PAT-6")
    assert (answer["samples"], answer["remembered"]) == (0, [1])
    assert words("film", 20).encode() not in everything_in(place / "run")
    curate_json(*command(place, "run"))
    assert in_shards(place / "run") >= {"f3", "r0", "s0@1"}
    assert "f20" not in in_shards(place / "run")
    assert words("film", 20).encode() not in everything_in(place / "run")


def show_again_what_was_taken_down(place: Path) -> None:
    """Take down film 1 by its picture; film 20, which comes then, shows it: only the last step knows."""
    samples, images = (pl.read_parquet(place / "run" / "tables" / name / "*.parquet") for name in ("samples", "images"))
    row = samples.filter(pl.col("source_key").str.ends_with("#f1")).row(0, named=True)
    shown = images.filter(pl.col("image_id") == row["images"][0]["image_id"]).row(0, named=True)
    take_down(place / "run", f"pixel_hash,{shown['pixel_hash']}")
    one_more_film(place, image="f1.png")


def test_what_a_killed_build_left_to_be_cleared_is_cleared_by_another_takedown(place: Path) -> None:
    show_again_what_was_taken_down(place)
    build_killed_in("clear_work", place / "recipe.yaml", place / "data", LocalFolder(place / "run"))
    assert words("film", 20).encode() in everything_in(place / "run" / "work")
    take_down(place / "run", "patient,PAT-77")  # matches nothing: the next build finds the run done
    curate_json(*command(place, "run"))
    assert words("film", 20).encode() not in everything_in(place / "run")


def test_what_nobody_knows_to_be_of_others_goes_with_what_the_last_step_drops(place: Path) -> None:
    show_again_what_was_taken_down(place)
    for node in ("contracts_kept", *(f"theirs_{part}" for part in OF_AN_EXCHANGE)):
        LocalFolder(place / "run").write(f"work/{node}/aa/k.values.parquet", b"")
    answer = curate_json(*command(place, "run"))
    assert answer["counts"]["dropped"]["removed.takedown"] == 3  # films 1 and 3, and the new one
    nodes = {path.name for path in (place / "run" / "work").iterdir() if path.is_dir()} - {"tmp"}
    assert nodes - WITHOUT_CONTENT - SIFTED == {"survey"}  # for the page, from the tables without them
    assert words("film", 20).encode() not in everything_in(place / "run")


def test_of_keyed_sources_a_name_is_remembered_under_the_site_key_only(place: Path) -> None:
    recipe = yaml.safe_load((place / "recipe.yaml").read_text())
    recipe["sources"][0]["identifiers"] = "keyed"
    (place / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (place / "site.key").write_text(KEY)
    key = ("--id-key", place / "site.key")
    curate_json(*command(place, "keyed", *key))
    answer = curate_json("remove", place / "keyed", "--list", listed(place, "patient,PAT-77", "article,PMC99"), *key)
    assert answer["remembered"] == [1, 2]
    held = everything_in(place / "keyed").decode(errors="replace")
    assert digest_of("patient", keyed_digest(KEY.encode(), "patient", "PAT-77")) in held
    assert digest_of("patient", "PAT-77") not in held
    assert "PAT-77" not in held
    one_more_film(place, patient="PAT-77")
    assert curate_json(*command(place, "keyed", *key))["counts"]["dropped"]["removed.takedown"] == 1
    assert "f20" not in in_shards(place / "keyed")


def test_reports_of_contracts_that_were_checked_before_go(tmp_path: Path) -> None:
    run = tmp_path / "run"
    curate_json("build", *corpus(tmp_path), "--out", run, contracts=True)
    nodes = {path.name for path in (run / "work").iterdir() if path.is_dir()}
    assert {"ingest", "contracts_kept", "exact_answers", "survey"} <= nodes
    assert [node for node in nodes if not is_ours(node)] == []
    assert (run / "reports" / "contracts.json").exists()
    take_down(run, "patient,PAT-77")  # changes no sample, so no report
    assert (run / "reports" / "contracts" / "index.html").exists()
    take_down(run, "patient,PAT-0")
    assert {path.name for path in (run / "reports").iterdir()} == {"build.html"}
    assert "contracts/index.html" not in (run / "reports" / "build.html").read_text()
    batches = orjson.loads((run / "run.json").read_bytes())["removed"]
    assert [batch["contracts"] for batch in batches] == [None, "deleted"]


def test_rows_of_a_joined_table_do_not_stay_in_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "side.csv").write_text("uid,findings\n" + "".join(f"{n},{words('side', n)} was seen\n" for n in range(9)))
    join = {"path": "side.csv", "left": "uid", "right": "uid"}
    source = {"name": "notes", "reader": "jsonl", "path": "notes.jsonl", "task": "text", "license": "CC0-1.0",
              "access": "open", "identifiers": "public", "join": join,
              "fields": {"id": "id", "text": ["body", "findings"], "patient": "uid"}}  # fmt: skip
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"stage": "mid", "sources": [source], "holdout": {"fraction": 0.2},
                                      "steps": {"tokens": {"min": 1}}}))  # fmt: skip
    monkeypatch.setattr(joins, "IN_MEMORY_BYTES", 10)
    run = tmp_path / "run"

    def built(notes: int) -> None:
        rows = [{"id": n, "uid": n, "body": f"A note of some length, number {n}."} for n in range(notes)]
        (data / "notes.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
        curate_json("build", "--recipe", recipe, "--data", data, "--out", run, near=True)

    built(6)
    nodes = {path.name for path in (run / "work").iterdir() if path.is_dir()}
    assert {"join_rows", "join_answers", "join_plan", "holdout_solve"} <= nodes
    assert [node for node in nodes if not is_ours(node)] == []
    take_down(run, "patient,3")
    for notes in (8, 8, 9):
        built(notes)
        held = everything_in(run)
        assert words("side", 3).encode() not in held
        assert words("side", notes - 1).encode() in held
