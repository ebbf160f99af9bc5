"""A corpus in which every way of being concerned by a takedown occurs, and looking for what is left of it."""

import tarfile
from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from pipelines import build as building
from pipelines.build import BuildOptions
from pipelines.recipe_file import load_recipe
from sources.storage import Folder, LocalFolder
from tests.end_to_end.warm_workers import warm_workers

FILMS, READS = 12, 8
SHARD_SAMPLES = 4
SETTINGS = ("contracts.enabled=false", "steps.near_text.enabled=false", "steps.near_image.enabled=false")


def drawn(place: Path, seed: int, frames: int = 1) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (frames, 80, 80), np.uint8)
    first, *others = map(Image.fromarray, noise)
    first.save(place, **({"save_all": True, "append_images": others} if others else {}))


def words(source: str, number: int) -> str:
    """What only this sample says."""
    return f"Marked {source} {number:02d} of the series"


def film(number: int) -> dict[str, object]:
    """Films 4 and 5 show one picture; three films a patient."""
    picture = f"f{4 if number == 5 else number}.png"
    return {"id": f"f{number}", "image": picture, "text": f"{words('film', number)}, lungs are clear throughout.",
            "patient": f"PAT-{number // 3}", "study": f"ST-{number}"}  # fmt: skip


def read(number: int) -> dict[str, object]:
    """Two reads an article, of two licences; read 7 says what read 0 says, whose id is the smaller one."""
    said = 0 if number == 7 else number
    return {"id": f"r{number}", "q": f"What is {words('read', said)} about, in one line?", "a": "About hearts.",
            "pmc": f"PMC{number // 2}", "license": "CC-BY-4.0" if number < 4 else "CC-BY-NC-4.0"}  # fmt: skip


def corpus(place: Path, films: int = FILMS, reads: int = READS) -> list[object]:
    """Write it, and what to give `curate build` for it."""
    data = place / "data"
    for number in range(films):
        drawn(data / "films" / f"f{number}.png", number)
    # The same pixels as film 1, in another file.
    with Image.open(data / "films" / "f1.png") as first:
        first.save(data / "films" / "f3.png", compress_level=1)
    drawn(data / "stacks" / "s0.tif", 100, frames=3)
    (data / "films.jsonl").write_bytes(b"\n".join(orjson.dumps(film(number)) for number in range(films)))
    (data / "reads.jsonl").write_bytes(b"\n".join(orjson.dumps(read(number)) for number in range(reads)))
    stack = {"id": "s0", "image": "s0.tif", "text": f"{words('stack', 0)}, seen slice by slice from above."}
    (data / "stacks.jsonl").write_bytes(orjson.dumps(stack))
    entry = {"reader": "jsonl", "access": "open", "identifiers": "public"}
    image = {"id": "id", "image": "image", "text": "text"}
    recipe = {
        "stage": "mid",
        "sources": [
            {**entry, "name": "films", "path": "films.jsonl", "images": "films", "task": "caption",
             "license": "CC0-1.0", "fields": {**image, "patient": "patient", "study": "study"}},
            {**entry, "name": "reads", "path": "reads.jsonl", "task": "text_qa", "access": "noncommercial",
             "fields": {"id": "id", "question": "q", "answer": "a", "article": "pmc", "license": "license"}},
            {**entry, "name": "stacks", "path": "stacks.jsonl", "images": "stacks", "task": "caption", "license": "MIT",
             "fields": image},
        ],
        "steps": {"measure": {"frames": "each"}, "tokens": {"min": 1}},
        "shards": {"max_samples": SHARD_SAMPLES},
    }  # fmt: skip
    (place / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return ["--recipe", place / "recipe.yaml", "--data", data]


def build_killed_in(step: str, recipe: Path, data: Path, run: Folder) -> None:
    """Build, as `runs.curate` does, and die where `pipelines.build` calls its function of this name."""

    class Killed(BaseException):
        """What no handler of errors catches."""

    def die(*_: object) -> None:
        raise Killed

    options = BuildOptions(load_recipe(None, recipe, SETTINGS), (LocalFolder(data),), run, workers=1, quiet=True)
    with warm_workers(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, step, die)
        with pytest.raises(Killed):
            building.build(options)


def listed(place: Path, *lines: str, name: str = "list.csv") -> Path:
    """A list of these lines."""
    path = place / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def samples_of(run: Path) -> pl.DataFrame:
    """The samples table, with the last part of the source key as `name`."""
    samples = pl.read_parquet(run / "tables" / "samples" / "*.parquet")
    return samples.with_columns(name=pl.col("source_key").str.split("#").list.last())


def in_shards(run: Path) -> set[str]:
    """Names (`f3`, `s0@1`) of the samples that the manifest's shards hold."""
    manifest = orjson.loads((run / "shards" / "manifest.json").read_bytes())
    found: list[str] = []
    for shard in [*manifest["shards"], *manifest.get("validation", ())]:
        with tarfile.open(run / "shards" / shard["name"]) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    content = orjson.loads(tar.extractfile(member).read())  # type: ignore[union-attr]
                    found.append(content["source_key"].rpartition("#")[2])
    assert len(found) == len(set(found))
    return set(found)


def everything_in(run: Path) -> bytes:
    """All bytes a run holds, unpacked: Parquet values, members of tars, other files."""
    parts: list[bytes] = []
    for path in run.rglob("*"):
        if path.suffix == ".parquet":
            parts += [orjson.dumps(row, default=repr) for row in pq.read_table(path, partitioning=None).to_pylist()]
        elif path.suffix == ".tar":
            with tarfile.open(path) as tar:
                parts += [tar.extractfile(member).read() for member in tar]  # type: ignore[union-attr]
        elif path.is_file():
            parts.append(path.read_bytes())
    return b"\n".join(parts)
