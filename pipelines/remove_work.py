"""Clearing a run's committed work of what was taken down, so that only what it concerns is done again.

Commits that hold content are looked into, one by one; those that hold numbers, ids and hashes alone stay; whatever
else lies in `work/` (the facts of other packages' steps, what reports were made from) goes as a whole.
"""

import re
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

import orjson
import pyarrow.parquet as pq

from sources.storage import Folder

WITHOUT_CONTENT = re.compile(
    r"plan|token_counts|measure|license|tokens|exact|removed|holdout(_(links|solve|sides))?|sizes"
    r"|(identity|images|exact)_(keys|runs|solve|answers)"
)
"""Nodes whose commits hold row numbers, ids, hashes, counts and verdicts of ours, and no text or picture."""
SAMPLES_IN = {"ingest": ("samples",), "pictures": ("made",), "publish": ("samples",)}
IMAGES_IN = {"pictures": ("images",), "publish": ("images",)}
TARS = "write"
SIFTED = frozenset({*SAMPLES_IN, *IMAGES_IN, TARS})


def sift_work(
    run: Folder, keys: Collection[tuple[str, str]], images: Collection[str], tars: Collection[str], spared: str
) -> int:
    """Delete the commits that hold a sample of `keys` (source, source key) or a picture of `images`.

    Of tars those stay whose sha256 is among `tars`. `spared` is a folder of `work/` that is no step's. Returns how
    many commits went; killed at any point, it can be done again.
    """
    gone = 0
    for node in run.inside("work").names():
        if node in SIFTED:
            gone += _sift(run, node, frozenset(keys), frozenset(images), frozenset(tars))
        elif run.has_folder(f"work/{node}") and node != spared and not WITHOUT_CONTENT.fullmatch(node):
            run.delete_tree(f"work/{node}")
    return gone


def _sift(
    run: Folder, node: str, keys: frozenset[tuple[str, str]], images: frozenset[str], tars: frozenset[str]
) -> int:
    stems: dict[str, list[str]] = {}
    for stat in run.files(f"work/{node}"):
        path = PurePosixPath(stat.path)
        stems.setdefault(f"{path.parent}/{path.name.partition('.')[0]}", []).append(stat.path)
    gone = 0
    for stem, paths in sorted(stems.items()):
        if node == TARS:
            concerned = _tar_goes(run, stem, paths, tars)
        else:
            concerned = f"{stem}.json" not in paths or _is_concerned(run, node, stem, paths, keys, images)
        if concerned:
            # The JSON goes first: without it nothing of the commit counts.
            for name in sorted(paths, key=lambda name: not name.endswith(".json")):
                run.delete(name)
            gone += 1
    return gone


def _tar_goes(run: Folder, stem: str, paths: Sequence[str], tars: frozenset[str]) -> bool:
    return f"{stem}.json" not in paths or orjson.loads(run.read(f"{stem}.json"))["facts"]["sha256"] not in tars


def _is_concerned(
    run: Folder, node: str, stem: str, paths: Sequence[str], keys: frozenset[tuple[str, str]], images: frozenset[str]
) -> bool:
    for part in SAMPLES_IN.get(node, ()):
        if f"{stem}.{part}.parquet" in paths:
            source, key = _columns(run, f"{stem}.{part}.parquet", ["source", "source_key"])
            if not keys.isdisjoint(zip(source, key, strict=True)):
                return True
    for part in IMAGES_IN.get(node, ()):
        if images and f"{stem}.{part}.parquet" in paths:
            (found,) = _columns(run, f"{stem}.{part}.parquet", ["image_id"])
            if not images.isdisjoint(found):
                return True
    return False


def _columns(run: Folder, path: str, names: list[str]) -> list[list[str]]:
    with run.open(path) as file:
        table = pq.read_table(file, columns=names, use_threads=False)
    return [table[name].to_pylist() for name in names]
