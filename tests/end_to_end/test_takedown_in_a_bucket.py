"""A takedown from a run that lies in a bucket: what it leaves is what one on a disk leaves, byte for byte."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import polars as pl
import pytest
import yaml

from pipelines.build import BuildOptions, build
from pipelines.recipe_file import load_recipe
from pipelines.takedown.remove import remove
from shards.verify import verify_shards
from sources.storage import LocalFolder, folder_at
from sources.storage.bucket import BucketFolder
from tests.end_to_end.runs import curate_json, published
from tests.end_to_end.takedowns import SETTINGS, corpus, drawn, everything_in, listed, words
from tests.end_to_end.warm_workers import warm_workers
from tests.object_store.server import BUCKET, S3Server, s3_server, use

RUN = "runs/mid"


@pytest.fixture(scope="module")
def started() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def server(started: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """A server whose bucket holds no run."""
    use(monkeypatch, started.environment())
    for key in started.keys(RUN):
        started.client().delete_object(Bucket=BUCKET, Key=key)
    return started


def test_a_run_in_a_bucket_ends_as_one_on_a_disk(server: S3Server, tmp_path: Path) -> None:
    run, fetched = tmp_path / "run", tmp_path / "fetched"
    curate_json("build", *corpus(tmp_path), "--out", run)
    for path in run.rglob("*"):
        if path.is_file():
            server.put(f"{RUN}/{path.relative_to(run).as_posix()}", path.read_bytes())
    entries = listed(tmp_path, "patient,PAT-0", "source,stacks", "article,PMC2")
    there = remove(folder_at(f"s3://corpora/{RUN}"), entries, "opt-out")
    here = remove(LocalFolder(run), entries, "opt-out")
    assert {**there, "run": ""} == {**here, "run": ""}
    for key, data in server.keys(RUN).items():
        place = fetched / key.removeprefix(f"{RUN}/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    assert published(fetched) == published(run)
    assert (fetched / "removed.json").read_bytes() == (run / "removed.json").read_bytes()
    assert words("film", 0).encode() not in everything_in(fetched)
    assert words("film", 3).encode() in everything_in(fetched)
    assert verify_shards(folder_at(f"s3://corpora/{RUN}/shards"), 1) == []
    assert remove(folder_at(f"s3://corpora/{RUN}"), entries)["nothing_left"]
    assert server.unfinished() == []


class Killed(BaseException):
    """What no handler of errors catches."""


def _films(place: Path, *names: str) -> None:
    """Two sources of the same films; the picture of a film is told by the first letter of its name."""
    for source in ("left", "right"):
        rows = [{"id": name, "image": f"{name[0]}.png", "text": f"{source} {name} of the series."} for name in names]
        (place / f"{source}.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
        for name in names:
            drawn(place / source / f"{name[0]}.png", ord(name[0]))


@pytest.mark.parametrize("left_of_ingest", ["some", "nothing"])
def test_a_build_killed_while_it_clears_work_leaves_what_the_next_one_finishes(
    server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_of_ingest: str
) -> None:
    fields = {"id": "id", "image": "image", "text": "text"}
    sources = [
        {"name": name, "reader": "jsonl", "path": f"{name}.jsonl", "images": name, "task": "caption", "fields": fields,
         "license": "MIT", "access": "open", "identifiers": "public"}
        for name in ("left", "right")
    ]  # fmt: skip
    (tmp_path / "recipe.yaml").write_text(
        yaml.safe_dump({"stage": "mid", "sources": sources, "steps": {"tokens": {"min": 1}}})
    )
    run = folder_at(f"s3://corpora/{RUN}")
    assert isinstance(run, BucketFolder)
    recipe = load_recipe(None, tmp_path / "recipe.yaml", SETTINGS)
    options = BuildOptions(recipe, (LocalFolder(tmp_path),), run, workers=1, quiet=True)

    def built() -> None:
        with warm_workers():
            build(options)

    _films(tmp_path, "a1", "b1")
    built()
    samples = pl.concat(pl.read_parquet(data) for data in server.keys(f"{RUN}/tables/samples").values())
    shown = {
        image["image_id"] for row in samples.rows(named=True) for image in row["images"] if "#a1" in row["source_key"]
    }
    remove(run, listed(tmp_path, *(f"image_id,{image_id}" for image_id in shown)))
    _films(tmp_path, "a1", "b1", "a2")
    delete = BucketFolder.delete

    def dying(folder: BucketFolder, path: str) -> None:
        delete(folder, path)
        if path.startswith("work/ingest") and (left_of_ingest == "some" or not folder.has_folder("work/ingest")):
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(BucketFolder, "delete", dying)
        with pytest.raises(Killed):
            built()
    built()
    dropped = orjson.loads(run.read("run.json"))["counts"]["dropped"]
    assert dropped == {"removed.takedown": 4}  # the first film of each source, and the one that came later
    assert {node: list(run.files(f"work/{node}")) for node in ("ingest", "pictures")} == {"ingest": [], "pictures": []}
