"""`curate shards merge` and `preview` on the shards of real builds."""

import re
import shutil
import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from typing import Any

import datasets
import orjson
import pyarrow as pa
import pytest
import webdataset

from pipelines.preview import preview_page
from shards.index_file import PART, open_index, parts_of, write_index
from shards.manifest import read_manifest
from shards.plan_file import open_plan
from shards.verify import verify_shards
from sources.storage import LocalFolder
from tests.end_to_end.browser import browser, chromium
from tests.end_to_end.runs import curate, curate_json
from tests.end_to_end.takedowns import corpus, listed, words
from tests.object_store.server import s3_server, use


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One with all films and reads, and one of the same corpora with more of them."""
    runs = []
    for name, films, reads in (("small", 6, 3), ("large", 12, 8)):
        place = tmp_path_factory.mktemp(name)
        curate_json("build", *corpus(place, films, reads), "--out", place / "run")
        runs.append(place / "run")
    return runs[0], runs[1]


def keys_in(shards: Path) -> list[str]:
    names = [str(shards / entry.name) for entry in read_manifest(LocalFolder(shards)).shards]
    return [sample["__key__"] for sample in webdataset.WebDataset(names, shardshuffle=False)]


def files_in(place: Path) -> dict[str, bytes]:
    return {
        path.relative_to(place).as_posix(): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()
    }


def flip(place: Path, at: int) -> None:
    data = bytearray(place.read_bytes())
    data[at] ^= 1
    place.write_bytes(data)


@pytest.fixture(scope="module")
def merged(builds: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("union") / "shards"
    return out, curate_json("shards", "merge", *builds, "--out", out, "--drop-repeated")


def test_builds_that_repeat_one_another_are_refused_and_nothing_is_made(
    builds: tuple[Path, Path], tmp_path: Path
) -> None:
    done = curate("shards", "merge", *builds, "--out", tmp_path / "union")
    assert done.returncode == 1
    assert "samples are in several shards that differ" in done.stderr
    assert "--drop-repeated keeps each once" in done.stderr
    assert not (tmp_path / "union").exists()


def test_a_union_has_every_sample_once_and_everything_beside_it_is_true(
    builds: tuple[Path, Path], merged: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out, answer = merged
    expected = {key for run in builds for key in keys_in(run / "shards")}
    found = keys_in(out)
    assert len(found) == len(set(found)) == answer["samples"]
    assert set(found) == expected
    assert verify_shards(LocalFolder(out), 1) == []
    assert answer["audit"] is None
    assert answer["repeated_samples_dropped"] > 0
    assert open_plan(LocalFolder(out), "plan.arrow").about.samples == len(expected)
    data = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path))
    assert sorted(row["json"]["sample_id"] for row in data) == sorted(expected)
    card = (out / "README.md").read_text()
    assert all(f"- `{read_manifest(LocalFolder(run / 'shards')).build}`" in card for run in builds)
    assert not {name for name in files_in(out) if name.startswith("work/")}


def test_the_same_shard_is_one_file_on_disk_and_a_merge_that_is_repeated_changes_nothing(
    builds: tuple[Path, Path], merged: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out, answer = merged
    shared = [path for path in out.glob("*.tar") if path.stat().st_nlink > 1]
    assert len(shared) >= answer["shards"] - 3
    before = files_in(out)
    curate_json("shards", "plan", out, "--set", "seed=3", "--out", "third.arrow")
    assert curate_json("shards", "merge", *builds, "--out", out, "--drop-repeated") == answer
    (out / "third.arrow").unlink()
    (out / "manifest.json").unlink()  # as a merge that was killed leaves it
    assert curate_json("shards", "merge", *builds, "--out", out, "--drop-repeated") == answer
    assert files_in(out) == before
    (out / "mine.txt").write_text("x")
    done = curate("shards", "merge", *builds, "--out", out, "--drop-repeated")
    assert done.returncode == 1
    assert "holds mine.txt, which is none of the union" in done.stderr
    (out / "mine.txt").unlink()


def test_no_build_is_merged_into_however_its_folder_is_named(builds: tuple[Path, Path], tmp_path: Path) -> None:
    runs = [tmp_path / "one", tmp_path / "other", tmp_path / "third"]
    for run, build in zip(runs, (*builds, builds[0]), strict=True):
        shutil.copytree(build, run)
    for run in runs:
        (run / "shards" / "contamination.json").unlink(missing_ok=True)
    (tmp_path / "link").symlink_to(runs[0] / "shards")
    before = files_in(tmp_path)
    for given, out in (
        (runs[:2], runs[0] / "shards"),
        (runs[:2], tmp_path / "other" / ".." / "one" / "shards"),
        (runs[:2], tmp_path / "link"),
        (runs[1::-1], runs[0] / "shards"),
    ):
        done = curate("shards", "merge", *given, "--out", out, "--drop-repeated")
        assert done.returncode == 1
        assert "is one of the builds" in done.stderr
    done = curate("shards", "merge", *runs[:2], "--out", runs[2] / "shards", "--drop-repeated")
    assert done.returncode == 1
    assert "is a build of its own, not this union" in done.stderr
    assert files_in(tmp_path) == before


def test_a_union_in_a_bucket_is_the_one_on_a_disk(
    builds: tuple[Path, Path],
    merged: tuple[Path, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with s3_server() as server:
        use(monkeypatch, server.environment(server.url))
        for number, run in enumerate(builds):
            for name, data in files_in(run / "shards").items():
                server.put(f"{number}/{name}", data)
        places = [f"s3://corpora/{number}" for number in range(2)]
        curate_json("shards", "merge", *places, "--out", "s3://corpora/union", "--drop-repeated")
        found = {name.removeprefix("union/"): data for name, data in server.keys("union/").items()}
        assert found == files_in(merged[0])
        plan = ("--set", "seed=3", "--out", "third.arrow")
        there, here = tmp_path / "there.html", tmp_path / "here.html"
        shutil.copytree(merged[0], tmp_path / "copy")
        for union, page in (("s3://corpora/union", there), (tmp_path / "copy", here)):
            curate_json("shards", "plan", union, *plan)
            curate_json("shards", "preview", union, "--plan", "third.arrow", "--out", page)
        assert server.keys("union/third.arrow")["union/third.arrow"] == (tmp_path / "copy/third.arrow").read_bytes()
        assert curate_json("shards", "stats", "s3://corpora/union") == curate_json("shards", "stats", merged[0])
    assert there.read_text().replace("s3://corpora/union", "") == here.read_text().replace(str(tmp_path / "copy"), "")


def other_place(place: Path) -> None:
    with closing(sqlite3.connect(place / ".nv-meta" / "index.sqlite")) as database, database:
        database.execute("UPDATE sample_parts SET content_byte_offset = content_byte_offset + 512 WHERE rowid = 3")


def inside_rows(place: Path) -> int:
    row = open_plan(LocalFolder(place)).rows(0, 1)[0]
    return (place / "plan.arrow").read_bytes().index(struct.pack("<d", row.cost))


def test_verify_finds_an_index_a_plan_and_a_tar_index_that_do_not_fit(
    merged: tuple[Path, dict[str, Any]], builds: tuple[Path, Path], tmp_path: Path
) -> None:
    def problems(change: Any) -> dict[str, str]:
        place = tmp_path / "copy"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(merged[0], place)
        change(place)
        found: dict[str, str] = {}
        for problem in verify_shards(LocalFolder(place), 1):
            found[problem.shard] = f"{found.get(problem.shard, '')}{problem.reason}\n"
        return found

    def other(name: str) -> Any:
        return lambda place: shutil.copy(builds[0] / "shards" / name, place / name)

    def moved(place: Path) -> None:
        first = read_manifest(LocalFolder(place)).shards[0].name
        data = bytearray((place / f"{first}.idx").read_bytes())
        data[8] ^= 1
        (place / f"{first}.idx").write_bytes(data)

    def another_size(place: Path) -> None:
        index = open_index(LocalFolder(place))
        first, *others = parts_of(index, read_manifest(LocalFolder(place)))
        sizes = pa.array([512, *first["size"].to_pylist()[1:]], pa.int64())
        changed = first.set_column(first.schema.get_field_index("size"), PART.field("size"), sizes)
        about = index.about
        with (place / "other").open("wb") as file:
            write_index(file, about, [changed, *others])
        (place / "other").replace(place / "index.arrow")

    assert "build is" in problems(other("index.arrow"))["index.arrow"]
    assert re.search("build is .*make another", problems(other("plan.arrow"))["plan.arrow"])
    assert list(problems(moved)) == [f"{read_manifest(LocalFolder(merged[0])).shards[0].name}.idx"]
    told = problems(another_size)
    assert "size is 512, the shard says" in told["index.arrow"]
    assert "a document of another size than in the index" in told["plan.arrow"]
    assert "truncated" in problems(lambda place: (place / "plan.arrow").write_bytes(b"ARROW1"))["plan.arrow"]
    assert problems(other(".nv-meta/index.uuid")) == {
        ".nv-meta/index.uuid": "not what the manifest says: of other shards, or changed\n"
    }
    assert "other numbers of samples" in problems(other(".nv-meta/index.sqlite"))[".nv-meta/index.sqlite"]
    assert "does not say where the samples of" in problems(other_place)[".nv-meta/index.sqlite"]
    assert "batch 0 is damaged" in problems(lambda place: flip(place / "plan.arrow", inside_rows(place)))["plan.arrow"]


def test_a_takedown_keeps_what_readers_read_true_and_plans_as_they_were_asked_for(
    builds: tuple[Path, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(builds[1], run)
    shards = run / "shards"
    curate_json("clean", run)
    curate_json("shards", "plan", run, "--set", "epochs=2", "--set", "weights.source.reads=2")
    curate_json("shards", "plan", run, "--set", "context=2048", "--out", "plan-short.arrow")
    (shards / "plan-short.arrow").write_bytes(b"ARROW1")
    curate_json("shards", "plan", run, "--set", "context=2048", "--out", "plan-2k.arrow")
    (shards / ".nv-meta" / "index.sqlite").write_bytes(b"no database any more")
    curate_json("remove", run, "--list", listed(tmp_path, "patient,PAT-0", "source,stacks"))
    assert verify_shards(LocalFolder(shards), 1) == []
    plans = {name: open_plan(LocalFolder(shards), name).about for name in ("plan.arrow", "plan-2k.arrow")}
    assert [(about.epochs, about.context) for about in plans.values()] == [(2, 131072), (2, 2048)]
    assert {about.mixture.weights["source"]["reads"] for about in plans.values()} == {2.0}
    assert not (shards / "plan-short.arrow").exists()
    assert not (shards / ".nv-meta" / "split-stacks.yaml").exists()
    assert {path.name.removesuffix(".idx") for path in shards.glob("*.idx")} == {
        path.name for path in shards.glob("*.tar")
    }


def test_the_preview_shows_turns_with_their_loss_in_a_real_browser(builds: tuple[Path, Path], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    curate_json("shards", "preview", builds[1], "--out", page)
    program = chromium()
    if program is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with browser(program, tmp_path / "profile") as tab:
        tab.open(page.as_uri(), 1200)
        assert tab.value("document.querySelectorAll('article').length") >= 9
        with_loss = tab.value("[...document.querySelectorAll('.loss')].map(e => e.textContent).join('')")
        assert words("film", 0) in with_loss or words("film", 4) in with_loss
        assert "<|channel|>final<|message|>" in with_loss
        assert "about, in one line?" not in with_loss  # what a user asks
        assert "about, in one line?" in tab.value("document.body.textContent")
        shown = "[...document.images].every(i => i.naturalWidth > 0) && document.images.length"
        assert tab.value(shown) >= 4
        assert tab.value("document.querySelectorAll('.bar span').length") > 0
        assert tab.value("document.documentElement.scrollWidth") <= 1200
        assert [url for url in tab.requests if not url.startswith(("file:", "data:"))] == []
        assert tab.complaints == []


def test_the_preview_has_no_content_of_sources_that_nobody_says_are_public(
    builds: tuple[Path, Path], merged: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    alone = preview_page(LocalFolder(merged[0]))
    key = keys_in(merged[0])[0]
    assert "Marked" not in alone
    assert "data:image" not in alone
    assert key not in alone
    assert "No content is shown of films, reads, stacks" in alone
    said = preview_page(LocalFolder(merged[0]), allowed=["reads"])
    assert words("read", 0) in said
    assert words("film", 0) not in said
    run = tmp_path / "run"
    shutil.copytree(builds[0], run)
    document = orjson.loads((run / "run.json").read_bytes())
    for entry in document["inputs"]:
        entry["identifiers"] = "keyed" if entry["source"] == "films" else "public"
    (run / "run.json").write_bytes(orjson.dumps(document))
    for given in (run, run / "shards"):
        page = preview_page(LocalFolder(given), allowed=["films"])
        assert "Marked film" not in page
        assert "Marked read" in page
