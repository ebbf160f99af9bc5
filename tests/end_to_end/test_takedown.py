"""`curate remove`: what is listed leaves shards, tables and work, the rest keeps its bytes, and nothing comes back."""

import shutil
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
import yaml

from pipelines.errors import CurateError, UsageError
from pipelines.takedown.remove import remove
from pipelines.why import explain
from shards.verify import verify_shards
from sources.storage import LocalFolder
from tests.end_to_end.runs import curate, curate_json, published
from tests.end_to_end.takedowns import (
    FILMS,
    READS,
    corpus,
    drawn,
    everything_in,
    film,
    in_shards,
    listed,
    samples_of,
    words,
)  # fmt: skip

EVERYTHING = {*(f"f{n}" for n in range(FILMS)), *(f"r{n}" for n in range(READS - 1)), "s0", "s0@1", "s0@2"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[object]]:
    place = tmp_path_factory.mktemp("built")
    arguments = corpus(place)
    answer = curate_json("build", *arguments, "--out", place / "run")
    assert answer["counts"]["dropped"] == {"exact.text": 1}
    assert in_shards(place / "run") == EVERYTHING
    return place / "run", arguments


@pytest.fixture
def run(built: tuple[Path, list[object]], tmp_path: Path) -> Path:
    shutil.copytree(built[0], tmp_path / "run")
    return tmp_path / "run"


def take_down(run: Path, *lines: str, **options: Any) -> dict[str, Any]:
    """In this process: the command around it is looked at where it matters."""
    return remove(LocalFolder(run), listed(run.parent, *lines), **options)


def why(run: Path, name: str) -> dict[str, Any]:
    return explain(LocalFolder(run), name)[0]


def checked(run: Path) -> dict[str, Any]:
    """`run.json`, after everything that must hold of any run has been looked at."""
    assert verify_shards(LocalFolder(run / "shards"), 1) == []
    document: dict[str, Any] = orjson.loads((run / "run.json").read_bytes())
    counts, given = document["counts"], document["counts"]["ingested"]
    assert given == counts["kept"] + sum(counts["dropped"].values()) + counts["quarantined"]
    assert document["samples_written"] == counts["kept"] == len(in_shards(run))
    assert sum(source["kept"] for source in document["sources"].values()) == counts["kept"]
    for step, after in zip(document["steps"], [*document["steps"][1:], None], strict=True):
        assert step["in"] + step["made"] == step["kept"] + sum(step["dropped"].values()) + sum(
            step["quarantined"].values()
        )
        assert after is None or after["in"] == step["kept"]
    ledger = pl.read_parquet(run / "tables" / "ledger" / "*.parquet")
    ended = ledger.filter(pl.col("verdict").is_in(["drop", "quarantine"]))
    assert ended.group_by("reason").len().rows_by_key("reason") == {
        reason: [(number,)] for reason, number in counts["dropped"].items()
    }
    return document


def id_of(run: Path, name: str, column: str = "sample_id") -> str:
    value: str = samples_of(run).filter(pl.col("name") == name)[column][0]
    return value


def picture_of(run: Path, name: str, column: str = "image_id") -> str:
    image_id = samples_of(run).filter(pl.col("name") == name)["images"][0][0]["image_id"]
    images = pl.read_parquet(run / "tables" / "images" / "*.parquet")
    value: str = images.filter(pl.col("image_id") == image_id)[column][0]
    return value


def test_a_patient_leaves_and_every_other_shard_keeps_its_bytes(run: Path) -> None:
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in (run / "shards").glob("*.tar")}
    fingerprint = orjson.loads((run / "run.json").read_bytes())["fingerprint"]
    answer = take_down(run, "patient,PAT-0", reason="opt-out 7")
    assert (answer["samples"], answer["from_shards"], answer["by"]) == (3, 3, {"patient": 3})
    assert answer["shards"] == {"rewritten": ["mid-films-000000.tar"], "deleted": []}
    document = checked(run)
    assert in_shards(run) == EVERYTHING - {"f0", "f1", "f2"}
    after = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in (run / "shards").glob("*.tar")}
    assert {name for name in before if before[name] != after.get(name)} == {"mid-films-000000.tar"}
    assert document["counts"]["dropped"]["removed.takedown"] == 3
    (batch,) = document["removed"]
    assert (batch["previous"], batch["reason"]) == (fingerprint, "opt-out 7")
    assert batch["fingerprint"] == document["fingerprint"] != fingerprint
    told = why(run, id_of(run, "f0"))
    assert (told["verdict"], told["reason"], told["removed"]) == ("drop", "removed.takedown", True)
    assert told["verdicts"][-1]["evidence"] == {"batch": 1, "by": ["patient"], "reason": "opt-out 7"}


def test_what_was_removed_is_nowhere_in_the_run_any_more(run: Path) -> None:
    thumbnail = picture_of(run, "f0", "thumbnail")
    assert words("film", 0).encode() in everything_in(run)
    take_down(run, "patient,PAT-0", "article,PMC1")
    held = everything_in(run)
    for gone in (words("film", 0), words("film", 1), words("film", 2), words("read", 2), words("read", 3)):
        assert gone.encode() not in held, gone
    assert words("film", 3).encode() in held
    assert words("read", 1).encode() in held
    assert repr(thumbnail).encode() not in held
    row = samples_of(run).filter(pl.col("name") == "f0").row(0, named=True)
    assert [row[name] for name in ("turns", "question", "answer", "options", "meta")] == [None] * 5
    assert row["groups"][0] == {"kind": "patient", "id": "PAT-0"}  # who it was stays, for the lineage


def test_a_second_time_there_is_nothing_left_and_no_byte_changes(run: Path) -> None:
    take_down(run, "patient,PAT-0")
    before = published(run)
    again = take_down(run, "patient,PAT-0")
    assert again["nothing_left"]
    assert again["samples"] == 0
    assert published(run) == before


def test_two_takedowns_end_where_one_does(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other)
    take_down(run, "patient,PAT-0")
    take_down(run, "article,PMC1", "patient,PAT-1")
    take_down(other, "patient,PAT-0", "article,PMC1", "patient,PAT-1")
    one, two = checked(run), checked(other)
    assert one["counts"] == two["counts"]
    assert one["steps"] == two["steps"]
    assert [batch["number"] for batch in one["removed"]] == [1, 2]
    shards = {name: digest for name, digest in published(run).items() if name.endswith(".tar")}
    assert shards == {name: digest for name, digest in published(other).items() if name.endswith(".tar")}


@pytest.mark.parametrize(
    ("entry", "gone", "by"),
    [
        ("sample_id,{id:f6}", {"f6"}, {"sample_id": 1}),
        ("{id:f6}", {"f6"}, {"sample_id": 1}),
        ("source_key,films.jsonl#f6", {"f6"}, {"source_key": 1}),
        ("study,ST-6", {"f6"}, {"study": 1}),
        ("image_id,{picture:f4}", {"f4", "f5"}, {"image_id": 2}),
        ("{picture:f5}", {"f4", "f5"}, {"image_id": 2}),
        ("image,{picture:f1}", {"f1", "f3"}, {"image_id": 2}),
        ("pixel_hash,{pixels:f3}", {"f1", "f3"}, {"image_id": 2}),
        ("license,cc by-nc 4.0", {"r4", "r5", "r6"}, {"license": 4}),
        ("source,stacks", {"s0", "s0@1", "s0@2"}, {"source": 3}),
        ("sample_id,{id:s0}", {"s0", "s0@1", "s0@2"}, {"sample_id": 3}),
        ("image_id,{picture:s0}", {"s0", "s0@1", "s0@2"}, {"image_id": 1, "parent": 2}),
        ("sample_id,{id:s0@1}", {"s0@1"}, {"sample_id": 1}),
        ("sample_id,{id:r0}", {"r0"}, {"duplicate": 1, "sample_id": 1}),
        ("sample_id,{id:r7}", set(), {"sample_id": 1}),
    ],
)
def test_every_kind_of_entry_finds_what_it_concerns(run: Path, entry: str, gone: set[str], by: dict[str, int]) -> None:
    kind, _, name = entry.rpartition("{")[2].rstrip("}").partition(":")
    values = {"id": id_of, "picture": picture_of}
    if kind == "pixels":
        entry = entry.replace(f"{{{kind}:{name}}}", picture_of(run, name, "pixel_hash"))
    elif kind in values:
        entry = entry.replace(f"{{{kind}:{name}}}", values[kind](run, name))
    answer = take_down(run, entry)
    assert in_shards(run) == EVERYTHING - gone
    checked(run)
    assert answer["by"] == by
    assert answer["unmatched"] == []


def test_a_dry_run_says_the_same_and_changes_nothing(run: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    arguments = ("remove", run, "--list", listed(run.parent, "patient,PAT-1"))
    plan = curate_json(*arguments, "--dry-run")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    done = curate_json(*arguments, "--reason", "as planned")
    same = ("samples", "from_shards", "by", "sources", "images", "shards", "entries", "unmatched", "previous")
    assert {name: plan[name] for name in same} == {name: done[name] for name in same}


def test_a_picture_that_a_kept_sample_still_shows_stays(run: Path) -> None:
    answer = take_down(run, f"sample_id,{id_of(run, 'f4')}", f"sample_id,{id_of(run, 'f6')}")
    assert answer["images"] == 1
    assert picture_of(run, "f5", "thumbnail") is not None
    assert picture_of(run, "f6", "thumbnail") is None


def test_a_shard_of_which_nothing_is_left_goes_and_so_may_all(run: Path) -> None:
    answer = take_down(run, "source,stacks", *(f"study,ST-{number}" for number in range(4, 9)))
    assert answer["shards"] == {"rewritten": ["mid-films-000002.tar"],
                                "deleted": ["mid-films-000001.tar", "mid-stacks-000000.tar"]}  # fmt: skip
    checked(run)
    take_down(run, "source,films", "source,reads")
    assert checked(run)["samples_written"] == 0
    assert list((run / "shards").glob("*.tar")) == []


def test_what_matches_nothing_is_named_by_its_line_and_remembered_as_a_hash(run: Path) -> None:
    answer = take_down(run, "kind,value", "# a comment", "", "patient,PAT-77", "study,ST-6", "f" * 32)
    assert (answer["unmatched"], answer["remembered"]) == ([4, 6], [4])
    assert orjson.loads((run / "run.json").read_bytes())["removed"][0]["remembered"] == 1
    assert answer["entries"] == [{"line": 5, "as": "study", "matched": 1}]
    assert "PAT-77" not in (run / "removed.json").read_text()


def test_the_same_build_afterwards_is_done_already(run: Path, built: tuple[Path, list[object]]) -> None:
    take_down(run, "patient,PAT-0")
    before = published(run)
    answer = curate_json("build", *built[1], "--out", run)
    assert answer["samples_written"] == len(EVERYTHING) - 3
    assert published(run) == before


def test_a_build_with_more_data_brings_nothing_back_and_decodes_only_what_is_new(tmp_path: Path) -> None:
    arguments, run = corpus(tmp_path), tmp_path / "run"
    curate_json("build", *arguments, "--out", run)
    picture = picture_of(run, "f6")
    take_down(run, "patient,PAT-0", f"image_id,{picture}", "sample_id," + id_of(run, "r0"))
    later = [
        {**film(20), "image": "f20.png", "patient": "PAT-0"},  # the patient again
        {**film(21), "image": "f6.png"},  # the picture again
        {**film(22), "image": "f22.png"},
    ]
    for number in (20, 22):
        drawn(tmp_path / "data" / "films" / f"f{number}.png", number)
    rows = [*(film(number) for number in range(FILMS)), *later]
    (tmp_path / "data" / "films.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    for number, (out, more) in enumerate([(run, []), (tmp_path / "new", ["--reuse", run])]):
        answer = curate_json("build", *arguments, "--out", out, *more, "--workers", number + 1)
        assert in_shards(out) == (EVERYTHING | {"f22"}) - {"f0", "f1", "f2", "f6", "r0"}
        document = checked(out)
        assert document["counts"]["dropped"] == {"removed.takedown": answer["counts"]["dropped"]["removed.takedown"]}
        held = everything_in(out / "tables") + everything_in(out / "shards") + everything_in(out / "reports")
        for gone in (words("film", 0), words("film", 6), words("film", 20), words("film", 21), words("read", 0)):
            assert gone.encode() not in held, (out.name, gone)
        assert why(out, "films.jsonl#f20")["reason"] == "removed.takedown"
    assert orjson.loads((run / "run.json").read_bytes())["removed"][0]["number"] == 1
    tables = [path for path in published(run) if path.startswith(("tables/", "shards/mid"))]
    assert {name: published(run)[name] for name in tables} == {
        name: published(tmp_path / "new")[name] for name in tables
    }
    later = take_down(run, "patient,PAT-0")
    assert later["nothing_left"]


def test_a_build_that_reuses_work_from_before_a_takedown_needs_no_list(tmp_path: Path) -> None:
    arguments = corpus(tmp_path)
    curate_json("build", *arguments, "--out", tmp_path / "run")
    take_down(tmp_path / "run", "patient,PAT-0")
    setting = ("--set", "steps.tokens.max=2000")
    answer = curate_json("build", *arguments, "--out", tmp_path / "b", "--reuse", tmp_path / "run", *setting)
    assert answer["counts"]["dropped"]["removed.takedown"] == 3
    reused = {step["name"]: step["reused"] for step in answer["steps"]}
    assert reused["ingest"] == 2  # of three fragments, the one concerned is read again
    clean = curate_json("build", *arguments, "--out", tmp_path / "b", *setting)
    assert clean["counts"] == answer["counts"]


def test_a_cleaned_run_is_taken_down_just_as_well(run: Path, built: tuple[Path, list[object]]) -> None:
    curate_json("clean", run)
    take_down(run, "patient,PAT-0")
    checked(run)
    before = published(run)
    curate_json("build", *built[1], "--out", run)
    assert published(run) == before


def test_a_damaged_shard_stops_it_before_anything_is_changed(run: Path) -> None:
    shard = run / "shards" / "mid-films-000000.tar"
    data = bytearray(shard.read_bytes())
    data[700] ^= 1
    shard.unlink()
    shard.write_bytes(data)
    before = published(run)
    with pytest.raises(CurateError, match=r"mid-films-000000\.tar"):
        take_down(run, "patient,PAT-0")
    (run / "shards" / "manifest.json").rename(run / "aside")
    with pytest.raises(CurateError, match=r"manifest\.json: there is none"):
        take_down(run, "patient,PAT-0")
    (run / "aside").rename(run / "shards" / "manifest.json")
    assert published(run) == before
    assert take_down(run, "study,ST-10")["shards"]["rewritten"] == ["mid-films-000002.tar"]


@pytest.mark.parametrize(
    ("lines", "name", "error"),
    [
        (["PAT-SECRET-1"], "list.txt", "line 1: no kind, and no id of 32 hex digits"),
        (["study,ST-1", "patients,PAT-SECRET-1"], "list.csv", "line 2: not a kind of entry"),
        (["patient,"], "list.csv", "line 1: no value"),
        (['patient,"PAT-SECRET-1'], "list.csv", "a quote is not closed"),
        (['{"kind": "patient", "valeu": "PAT-SECRET-1"}'], "list.jsonl", "line 1: not an object with"),
        (["PAT-SECRET-1"], "list.jsonl", "line 1: not an object with"),
    ],
)
def test_a_list_that_is_wrong_is_refused_by_line_and_never_quoted(
    run: Path, lines: list[str], name: str, error: str
) -> None:
    before = published(run)
    with pytest.raises(UsageError) as caught:
        remove(LocalFolder(run), listed(run.parent, *lines, name=name))
    assert error in caught.value.message
    assert "SECRET" not in f"{caught.value.message} {caught.value.hint}"
    assert published(run) == before


def test_a_list_as_json_lines_is_read_like_any_other(run: Path) -> None:
    rows = ['{"kind": "study", "value": "ST-6"}', f'{{"value": "{id_of(run, "f7")}"}}']
    answer = remove(LocalFolder(run), listed(run.parent, *rows, name="list.jsonl"))
    assert in_shards(run) == EVERYTHING - {"f6", "f7"}
    assert [row["as"] for row in answer["entries"]] == ["study", "sample_id"]


KEY = "a-site-key-of-enough-bytes"


def test_raw_ids_of_keyed_sources_work_with_the_key_and_are_written_nowhere(tmp_path: Path) -> None:
    arguments = corpus(tmp_path)
    recipe = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    recipe["sources"][0]["identifiers"] = "keyed"
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    key, other, run = tmp_path / "site.key", tmp_path / "other.key", tmp_path / "run"
    key.write_text(KEY)
    other.write_text(KEY[::-1])
    curate_json("build", *arguments, "--out", run, "--id-key", key)
    entries = listed(tmp_path, "patient,PAT-2", "source_key,films.jsonl#f0")
    without = curate_json("remove", run, "--list", entries)
    assert (without["nothing_left"], without["unmatched"], without["remembered"]) == (True, [1, 2], [])
    wrong = curate_json("remove", run, "--list", entries, "--id-key", other, status=2)
    assert "another site key" in wrong["error"]
    done = curate("remove", run, "--list", entries, "--id-key", key, "--reason", "opt-out")
    assert done.returncode == 0, done.stderr
    assert "removed 4 samples" in done.stderr
    checked(run)
    held = everything_in(run) + (done.stderr + done.stdout).encode()
    for said in ("PAT-2", "films.jsonl", words("film", 6), words("film", 0), KEY):
        assert said.encode() not in held, said
    assert words("film", 1).encode() in held


def test_no_run_and_no_list_are_wrong_usage(run: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    curate_json("remove", nowhere, "--list", listed(tmp_path, "study,ST-6"), status=2)
    assert not nowhere.exists()
    curate_json("remove", run, "--list", tmp_path / "no.csv", status=2)
