"""Labelled pictures: what a head is trained on, and what any labeller is measured by."""

import csv
import io
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from filters.modality_classes import LABELS, label_of
from filters.statistics import THUMBNAIL_SIDE
from pipelines.errors import CurateError, UsageError
from pipelines.places import folder_of
from sources.pictures import Limits, Picture, PictureError, open_picture
from sources.storage import Folder, is_absence, stats_of

MANIFEST = "manifest.csv"
_SUFFIXES = ("jpg", "jpeg", "png", "tif", "tiff", "bmp", "gif", "webp", "dcm")
_PICTURES = tuple(f"*.{end}" for suffix in _SUFFIXES for end in (suffix, suffix.upper()))
UNDECODABLE, MISSING = "undecodable", "missing"
"""What pictures are left out for that have a label of ours."""
AHEAD = 4
"""Files that are read before they are looked at: their bytes are in memory."""
_THUMBNAIL = 16
Look = Callable[[Picture], npt.NDArray[np.floating[Any]]]
"""What makes features of a picture."""


@dataclass(frozen=True)
class Labelled:
    """A picture's place, its label, and the data set it is of."""

    folder: Folder
    path: str
    label: str
    dataset: str


@dataclass(frozen=True)
class Collection:
    """Labelled pictures with what was seen of them, one row each."""

    pictures: tuple[Labelled, ...]
    features: npt.NDArray[np.floating[Any]]
    """N x D of the network."""
    thumbnails: npt.NDArray[np.float32]
    """N x 768: 16 x 16 in colour, what a labeller without any network would go by."""
    left_out: Mapping[str, int]
    """Words that are no label of ours, UNDECODABLE and MISSING, with numbers of pictures."""

    @property
    def labels(self) -> list[str]:
        """Of each picture."""
        return [one.label for one in self.pictures]

    @property
    def datasets(self) -> list[str]:
        """Of each picture."""
        return [one.dataset for one in self.pictures]

    def with_more(self, other: "Collection") -> "Collection":
        """This collection, then another one."""
        return Collection(
            (*self.pictures, *other.pictures),
            np.concatenate([self.features, other.features]),
            np.concatenate([self.thumbnails, other.thumbnails]),
            dict(Counter(self.left_out) + Counter(other.left_out)),
        )


def collected(
    places: Sequence[str],
    mapping: Mapping[str, str],
    look: Look,
    together: Mapping[str, str],
    told: Callable[[int, int], None] | None = None,
    least: int = 0,
) -> Collection:
    """Read and look at all labelled pictures under some folders; whether they are there is asked before any is read.

    `mapping`: words of the folders -> labels of ours, before the usual ones; `together`: data set -> the name under
    which it is counted with others that share pictures with it; `least`: labels that there must be.

    Raises:
        UsageError: a place holds neither a manifest nor folders of pictures, a manifest cannot be used, or nothing
            is left.
    """
    left_out: Counter[str] = Counter()
    found = [one for place in places for one in _listed(place, mapping, left_out)]
    if len({one.label for one in found}) < least:
        raise UsageError(
            f"{', '.join(places)}: pictures of {' and '.join(sorted({one.label for one in found})) or 'no label'} only",
            f"a head tells at least two labels apart; labels are {', '.join(LABELS)}",
        )
    kept, seen = [], []
    with ThreadPoolExecutor(1) as ahead:
        for number, (one, data) in enumerate(_reads(found, ahead)):
            pair = None if data is None else _looked_at(data, look)
            if pair is None:
                left_out[MISSING if data is None else UNDECODABLE] += 1
            else:
                seen.append(pair)
                kept.append(Labelled(one.folder, one.path, one.label, together.get(one.dataset, one.dataset)))
            if told is not None:
                told(number + 1, len(found))
    if not kept:
        raise UsageError(
            f"{', '.join(places)}: no labelled picture ({left_out[MISSING]} are missing, {left_out[UNDECODABLE]} "
            "undecodable)",
            f"labels are {', '.join(LABELS)}",
        )
    features, thumbnails = (np.stack([pair[place] for pair in seen]) for place in (0, 1))
    return Collection(tuple(kept), features, thumbnails.astype(np.float32), dict(sorted(left_out.items())))


def _reads(found: Sequence[Labelled], ahead: ThreadPoolExecutor) -> Iterator[tuple[Labelled, bytes | None]]:
    """The bytes of each picture, a few of them read ahead; None of one that is gone by now."""
    reading: deque[tuple[Labelled, Future[bytes | None]]] = deque()
    for one in found:
        reading.append((one, ahead.submit(_read, one)))
        if len(reading) > AHEAD:
            first, read = reading.popleft()
            yield first, read.result()
    while reading:
        first, read = reading.popleft()
        yield first, read.result()


def _listed(place: str, mapping: Mapping[str, str], left_out: Counter[str]) -> Iterator[Labelled]:
    """The pictures of one place: of a manifest (columns path, modality or label, dataset), or of folders by label."""
    manifest = PurePosixPath(place).name if place.endswith(".csv") else MANIFEST
    folder = folder_of(str(PurePosixPath(place).parent) if place.endswith(".csv") else place)
    if folder.stat(manifest) is not None:
        yield from _of_manifest(folder, manifest, mapping, left_out)
        return
    labels = [name for name in folder.names() if folder.has_folder(name)] if folder.exists() else []
    if not labels:
        raise UsageError(f"{place}: neither {MANIFEST} nor folders named by label", "docs/modality.md shows both forms")
    dataset = PurePosixPath(folder.place).name
    for word in sorted(labels):
        inside = folder.inside(word)
        for stat in sorted(inside.glob([f"**/{pattern}" for pattern in _PICTURES]), key=lambda stat: stat.path):
            label = _label(word, mapping, left_out)
            if label is not None:
                yield Labelled(inside, stat.path, label, dataset)


def _of_manifest(
    folder: Folder, manifest: str, mapping: Mapping[str, str], left_out: Counter[str]
) -> Iterator[Labelled]:
    """The pictures of a manifest that are there; its paths are under its own folder, or under the one above."""
    rows = _rows(folder, manifest)
    paths = [row["path"] for row in rows]
    above = folder_of(str(PurePosixPath(folder.place).parent))
    base = folder if any(stat is not None for stat in stats_of(folder, paths)) else above
    for row, path, stat in zip(rows, paths, stats_of(base, paths), strict=True):
        label = _label(row.get("modality") or row.get("label") or "", mapping, left_out)
        if label is None:
            continue
        if stat is None:
            left_out[MISSING] += 1
            continue
        yield Labelled(
            base, path, label, row.get("dataset") or "/".join(PurePosixPath(path).parts[:-1][:2]) or folder.place
        )


def _rows(folder: Folder, manifest: str) -> list[dict[str, str]]:
    """The rows of a manifest, each with a path.

    Raises:
        UsageError: it is no CSV, lacks a column, or a row has no path.
    """
    place = f"{folder.place}/{manifest}"
    rows = []
    try:
        reader = csv.DictReader(io.StringIO(folder.read(manifest).decode("utf-8-sig"), newline=""))
        columns = set(reader.fieldnames or ())
        if "path" not in columns or not {"modality", "label"} & columns:
            raise UsageError(f"{place}: needs the columns path and modality", "docs/modality.md shows the form")
        for row in reader:
            if not row["path"]:
                raise UsageError(f"{place}, line {reader.line_num}: no path", "fill it in, or take the line out")
            rows.append(row)
    except (UnicodeDecodeError, csv.Error):
        raise UsageError(f"{place}: no CSV in UTF-8", "save it as UTF-8; docs/modality.md shows the form") from None
    return rows


def _label(word: str, mapping: Mapping[str, str], left_out: Counter[str]) -> str | None:
    label = label_of(mapping.get(word, word))
    if label is None:
        left_out[word or "(empty)"] += 1
    return label


def _read(one: Labelled) -> bytes | None:
    """The bytes of a picture; None where it is gone since it was listed."""
    try:
        return one.folder.read(one.path)
    except OSError as error:
        if is_absence(error):
            return None
        raise CurateError(
            f"{one.folder.place}/{one.path}: a labelled picture cannot be read ({type(error).__name__})",
            "take its row out of the manifest, or see to it that the file can be read",
        ) from None


def _looked_at(data: bytes, look: Look) -> tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.float32]] | None:
    """Features and thumbnail of a picture, of several frames of the middle one; None where it does not decode."""
    try:
        opened = open_picture(data, Limits())
        picture = opened.frame(opened.header.frames // 2)
        return look(picture), _thumbnail(picture)
    except PictureError:
        return None


def _thumbnail(picture: Picture) -> npt.NDArray[np.float32]:
    from filters.modality_features import shown_picture

    small = shown_picture(picture).convert("RGB").resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
    values = np.asarray(small.resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX), np.float32).ravel()
    centred: npt.NDArray[np.float32] = values - values.mean()
    return centred
