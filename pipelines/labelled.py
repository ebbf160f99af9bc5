"""Labelled pictures: what a head is trained on, and what any labeller is measured by."""

import csv
import io
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from filters.modality_classes import LABELS, label_of, modality_of
from filters.modality_fit import Evaluation, best_modality
from filters.modality_head import Head
from filters.statistics import THUMBNAIL_SIDE
from pipelines.errors import CurateError, UsageError
from pipelines.places import folder_of
from sources.pictures import Limits, Picture, PictureError, open_picture
from sources.storage import Folder

MANIFEST = "manifest.csv"
_SUFFIXES = ("jpg", "jpeg", "png", "tif", "tiff", "bmp", "gif", "webp", "dcm")
_PICTURES = tuple(f"*.{end}" for suffix in _SUFFIXES for end in (suffix, suffix.upper()))
AHEAD = 4
"""Files that are read before they are looked at: their bytes are in memory."""
_THUMBNAIL = 16


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
    """Words that are no label of ours, and `undecodable`, with numbers of pictures."""

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
    look: Callable[[Picture], npt.NDArray[np.floating[Any]]],
    together: Mapping[str, str],
    told: Callable[[int, int], None] | None = None,
    least: int = 0,
) -> Collection:
    """Read and look at all labelled pictures under some folders.

    `mapping`: words of the folders -> labels of ours, before the usual ones; `together`: data set -> the name under
    which it is counted with others that share pictures with it; `least`: labels that there must be.

    Raises:
        UsageError: a place holds neither a manifest nor folders of pictures, or nothing is left.
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
            try:
                picture = _decoded(data)
                seen.append((look(picture), _thumbnail(picture)))
                kept.append(Labelled(one.folder, one.path, one.label, together.get(one.dataset, one.dataset)))
            except PictureError:
                left_out["undecodable"] += 1
            if told is not None:
                told(number + 1, len(found))
    if not kept:
        raise UsageError(f"{', '.join(places)}: no labelled picture", f"labels are {', '.join(LABELS)}")
    features, thumbnails = (np.stack([pair[place] for pair in seen]) for place in (0, 1))
    return Collection(tuple(kept), features, thumbnails.astype(np.float32), dict(sorted(left_out.items())))


def _reads(found: Sequence[Labelled], ahead: ThreadPoolExecutor) -> Iterator[tuple[Labelled, bytes]]:
    """The bytes of each picture, a few of them read ahead."""
    reading: deque[tuple[Labelled, Future[bytes]]] = deque()
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
    try:
        rows = list(csv.DictReader(io.StringIO(folder.read(manifest).decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error):
        raise UsageError(f"{manifest}: no CSV in UTF-8", "save it as UTF-8; docs/modality.md shows the form") from None
    if not rows or "path" not in rows[0] or not {"modality", "label"} & set(rows[0]):
        raise UsageError(f"{manifest}: needs the columns path and modality", "docs/modality.md shows the form")
    above = folder_of(str(PurePosixPath(folder.place).parent))
    base = folder if folder.stat(rows[0]["path"]) is not None else above
    for row in rows:
        label = _label(row.get("modality") or row.get("label") or "", mapping, left_out)
        if label is not None:
            parts = PurePosixPath(row["path"]).parts
            yield Labelled(base, row["path"], label, row.get("dataset") or "/".join(parts[:-1][:2]) or folder.place)


def _label(word: str, mapping: Mapping[str, str], left_out: Counter[str]) -> str | None:
    label = label_of(mapping.get(word, word))
    if label is None:
        left_out[word or "(empty)"] += 1
    return label


def _read(one: Labelled) -> bytes:
    try:
        return one.folder.read(one.path)
    except OSError as error:
        raise CurateError(
            f"{one.folder.place}/{one.path}: a labelled picture cannot be read ({type(error).__name__})",
            "take its row out of the manifest, or bring the file back",
        ) from None


def _decoded(data: bytes) -> Picture:
    opened = open_picture(data, Limits())
    return opened.frame(opened.header.frames // 2)


def _thumbnail(picture: Picture) -> npt.NDArray[np.float32]:
    from filters.modality_features import shown_picture

    small = shown_picture(picture).convert("RGB").resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
    values = np.asarray(small.resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX), np.float32).ravel()
    centred: npt.NDArray[np.float32] = values - values.mean()
    return centred


def looker(model: str, path: str | None, sha256: str | None) -> tuple[str, Callable[[Picture], npt.NDArray[Any]]]:
    """The network's name, and what makes features of a picture.

    Raises:
        UsageError, WeightsError: the model cannot be had.
    """
    if model == "efficientnet-lite0":
        from filters.efficientnet import NETWORK, features_of
        from filters.modality_features import shown_picture

        return NETWORK, lambda picture: features_of(shown_picture(picture))
    if path is None or sha256 is None:
        raise UsageError("--model biomedclip needs its files", "give --path DIR and --sha256; see docs/modality.md")
    from filters.biomedclip import BiomedClip

    measurer = BiomedClip(path, sha256, batch=1, prompts=False)  # batches are padded, and pictures come singly
    return measurer.network, partial(_by_biomedclip, measurer)


def _by_biomedclip(measurer: Any, picture: Picture) -> npt.NDArray[Any]:
    values = measurer.measure_batch([measurer.prepare(picture)])[0]
    return np.frombuffer(values["embedding"], "<f2")


def judged_by(head: Head, found: Collection, confidence: float, judged: int) -> Evaluation:
    """A head as it is, on the first `judged` pictures of a collection."""
    answers = [best_modality(head.labels, row) for row in head.probabilities(found.features[:judged])]
    return Evaluation(
        tuple(modality_of(one) for one in found.labels[:judged]),
        tuple(best if score >= confidence else "unknown" for best, score in answers),
        tuple(best for best, _ in answers),
    )
