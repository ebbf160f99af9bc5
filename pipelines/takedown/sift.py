"""Clearing a run's committed work of what was taken down, so that only what it concerns is done again.

Commits that hold content are looked into, one by one; those that hold numbers, ids and hashes alone stay; whatever
else lies in `work/` (the facts of other packages' steps, what reports were made from) goes as a whole.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.nodes import WITHOUT_CONTENT
from pipelines.takedown.record import IMAGE_KINDS, LOOKED_AT, Record, hidden, matches
from sources.storage import Folder

SAMPLES_IN = {"ingest": ("samples",), "pictures": ("made",), "publish": ("samples",)}
IMAGES_IN = {"pictures": ("images",), "publish": ("images",)}
TARS = "write"
SIFTED = frozenset({*SAMPLES_IN, *IMAGES_IN, TARS})


@dataclass(frozen=True)
class Sought:
    """What commits are looked through for: whether a table of samples, or of pictures, holds any of it."""

    columns: tuple[str, ...]
    """Of samples."""
    in_samples: Callable[[pa.Table], bool]
    in_images: Callable[[pa.Table], bool]


def these(keys: Collection[tuple[str, str]], images: Collection[str]) -> Sought:
    """Samples by source and source key, and pictures by id."""
    columns, named, shown = ("source", "source_key"), frozenset(keys), frozenset(images)
    return Sought(
        columns,
        lambda samples: not named.isdisjoint(zip(*(samples[name].to_pylist() for name in columns), strict=True)),
        lambda images: not shown.isdisjoint(images["image_id"].to_pylist()),
    )


def listed_in(record: Record) -> Sought:
    """Whatever a record names."""
    entries = record.deciding
    return Sought(
        LOOKED_AT,
        lambda samples: bool(matches(entries, samples)),
        lambda images: bool(hidden(entries, record.pictures, images)),
    )


def any_of(*several: Sought) -> Sought:
    """What at least one of them seeks."""
    return Sought(
        tuple(dict.fromkeys(name for sought in several for name in sought.columns)),
        lambda samples: any(sought.in_samples(samples) for sought in several),
        lambda images: any(sought.in_images(images) for sought in several),
    )


def sift_work(run: Folder, sought: Sought, tars: Collection[str], spared: str) -> int:
    """Delete the commits that hold a sample or a picture that is sought.

    Of tars those stay whose sha256 is among `tars`. `spared` is a folder of `work/` that is no step's. Returns how
    many commits went; killed at any point, it can be done again.
    """
    delete_unsiftable(run, spared)
    nodes = [node for node in run.inside("work").names() if node in SIFTED]
    return sum(_sift(run, node, sought, frozenset(tars)) for node in nodes)


def delete_unsiftable(run: Folder, spared: str | None = None) -> None:
    """Delete every folder of `work/`, but `spared`, that may hold content and of which nobody knows whose it is."""
    for node in run.inside("work").names():
        known = node == spared or node in SIFTED or node in WITHOUT_CONTENT
        if not known and run.has_folder(f"work/{node}"):
            run.delete_tree(f"work/{node}")


def _sift(run: Folder, node: str, sought: Sought, tars: frozenset[str]) -> int:
    stems: dict[str, list[str]] = {}
    for stat in run.files(f"work/{node}"):
        stems.setdefault(stem_of(stat.path), []).append(stat.path)
    gone = 0
    for stem, paths in sorted(stems.items()):
        if node == TARS:
            concerned = _tar_goes(run, stem, paths, tars)
        else:
            concerned = f"{stem}.json" not in paths or _is_concerned(run, node, stem, paths, sought)
        if concerned:
            delete_commit(run, paths)
            gone += 1
    return gone


def stem_of(path: str) -> str:
    """The part of a path that all files of a commit share."""
    place = PurePosixPath(path)
    return f"{place.parent}/{place.name.partition('.')[0]}"


def delete_commit(run: Folder, paths: Sequence[str]) -> None:
    """Delete the files of a commit; the JSON goes first: without it nothing of the commit counts."""
    for name in sorted(paths, key=lambda name: not name.endswith(".json")):
        run.delete(name)


def _tar_goes(run: Folder, stem: str, paths: Sequence[str], tars: frozenset[str]) -> bool:
    return f"{stem}.json" not in paths or orjson.loads(run.read(f"{stem}.json"))["facts"]["sha256"] not in tars


def _is_concerned(run: Folder, node: str, stem: str, paths: Sequence[str], sought: Sought) -> bool:
    for part in SAMPLES_IN.get(node, ()):
        path = f"{stem}.{part}.parquet"
        if path in paths and sought.in_samples(_columns(run, path, sought.columns)):
            return True
    for part in IMAGES_IN.get(node, ()):
        path = f"{stem}.{part}.parquet"
        if path in paths and sought.in_images(_columns(run, path, IMAGE_KINDS)):
            return True
    return False


def _columns(run: Folder, path: str, names: Sequence[str]) -> pa.Table:
    with run.open(path) as file:
        return pq.read_table(file, columns=list(names), use_threads=False)
