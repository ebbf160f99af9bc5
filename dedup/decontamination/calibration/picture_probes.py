"""Planted pictures, saved as files, opened and looked up as those of training data are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dedup.decontamination.assemble import Wordings
from dedup.decontamination.calibration.choosing import PAIR_EDITS, original_of, random_of
from dedup.decontamination.calibration.outcomes import DECOY, LEAK
from dedup.decontamination.calibration.picture_variants import FIGURES, TRANSFORMS, large_enough, saved
from dedup.decontamination.calibration.text_edits import EDITS, Written
from dedup.decontamination.calibration.text_probes import NO_ITEM, found_in, outcome
from dedup.decontamination.findings import Channel
from dedup.decontamination.pictures import KnownParts, PictureHit, hits_table, scan_picture
from dedup.decontamination.text_index import TextIndex
from filters.statistics import grey_of
from sources.pictures import Limits, thumbnail_only
from sources.schema import IMAGE_PLACEHOLDER

Grey = npt.NDArray[np.uint8]
Rows = list[dict[str, Any]]

ALIKE_BITS = 31
"""Differing bits of PDQ's 256 up to which its authors call two pictures one: no decoys of one another."""
NEIGHBOURS = frozenset({"patient", "study", "series", "case", "video", "slide", "lesion"})
"""Kinds of groups whose pictures look alike and are not copies. Those of an article or figure may be parts of one
another, so that nothing is said of them."""
OTHER, NEIGHBOUR = "other_picture", "neighbouring_picture"
PLANTED = "planted"


@dataclass(frozen=True)
class Protected:
    """The eval sets' pictures by number, and how they are looked up.

    `pictures`: EVAL_PICTURES; `items`: of ITEMS `eval_set` and `groups`; `modality` is that of the training data and
    chooses the threshold; `side` is what a reduced decode leaves of a training picture.
    """

    known: KnownParts
    pictures: pa.Table
    items: pa.Table
    modality: str
    side: int

    @cached_property
    def listed(self) -> list[dict[str, Any]]:
        """Rows of `pictures`."""
        rows: list[dict[str, Any]] = self.pictures.to_pylist()
        return rows

    @cached_property
    def groups(self) -> list[frozenset[tuple[str, str]]]:
        """Of each picture the groups of its items, and of each of them one of its own."""
        sets, of_items = self.items["eval_set"].to_pylist(), self.items["groups"].to_pylist()
        return [
            frozenset((group["kind"], group["id"]) for item in row["items"] for group in of_items[item] or ())
            | {("item", f"{sets[item]} {item}") for item in row["items"]}
            for row in self.listed
        ]

    @cached_property
    def hashes(self) -> npt.NDArray[np.uint8]:
        """The raw PDQ of each whole picture, pictures x 32; zero where it says too little."""
        parts = self.known.index.parts
        found = np.zeros((len(self.listed), 32), np.uint8)
        for part, (picture, pdq) in enumerate(zip(parts["picture"].to_pylist(), parts["pdq"].to_pylist(), strict=True)):
            if pdq is not None and self.known.index.is_whole(part):
                found[picture] = np.frombuffer(pdq, np.uint8)
        return found

    def eval_set(self, picture: int) -> str:
        """The set of a picture's first item."""
        return str(self.items["eval_set"][self.listed[picture]["items"][0]].as_py())

    def looked_up(self, data: bytes, image_id: str = "", pixel_hash: str | None = None) -> list[PictureHit]:
        """The hits of a file."""
        grey = grey_of(thumbnail_only(data, 0, Limits(), self.side))
        return self.scanned(grey, image_id, pixel_hash)

    def scanned(self, grey: Grey, image_id: str, pixel_hash: str | None) -> list[PictureHit]:
        """The hits of a grey picture."""
        return scan_picture(self.known.index, grey, image_id, pixel_hash, self.known, self.modality)


def chosen_pictures(protected: Protected, order: Sequence[int], most: int) -> list[int]:
    """The first `most` pictures in an order that say enough to be found by anything but their features."""
    told = protected.known.index.pictures
    pairs = zip(told["picture"].to_pylist(), told["informative"].to_pylist(), strict=True)
    enough = {picture for picture, informative in pairs if informative}
    return [picture for picture in order if picture in enough][:most]


def picture_leaks(
    protected: Protected, picture: int, others: Sequence[int], seed: int, open_eval: Callable[[int], Grey | None]
) -> Rows:
    """OUTCOMES of a picture in every transform.

    `others` are the pictures beside it in a figure: without any there are no figures. Half of the variants are saved
    without loss, half as JPEG.

    Raises:
        UnopenedError: the picture cannot be opened.
    """
    original = _opened(open_eval, picture)
    beside = [grey for grey in map(open_eval, others) if grey is not None]
    name = protected.listed[picture]["image_id"]
    rows: Rows = []
    for number, (transform, alter) in enumerate(TRANSFORMS.items()):
        if transform in FIGURES and not beside:
            continue
        drawn = int(random_of(seed, name, transform).integers(2**31))
        variant = alter(original, drawn, [beside[at % len(beside)] for at in range(3)] if beside else [])
        if not large_enough(variant):
            continue
        hits = protected.looked_up(saved(variant, lossless=bool((drawn + number) % 2)))
        rows.append(
            _outcome(protected, picture, transform, next((hit for hit in hits if hit.picture == picture), None))
        )
    return rows


class UnopenedError(ValueError):
    """A picture of an eval set that was measured cannot be opened: its probe failed."""


def _opened(open_eval: Callable[[int], Grey | None], picture: int) -> Grey:
    grey = open_eval(picture)
    if grey is None:
        raise UnopenedError(f"eval picture {picture} cannot be opened again")
    return grey


def _outcome(protected: Protected, picture: int, transform: str, hit: PictureHit | None) -> dict[str, Any]:
    return {
        "kind": LEAK, "channel": Channel.IMAGE.value, "transform": transform, "eval_set": protected.eval_set(picture),
        "item": protected.listed[picture]["items"][0], "found": hit is not None,
        "grade": None if hit is None else hit.grade.value, "score": None if hit is None else hit.score,
        "other": NO_ITEM,
    }  # fmt: skip


def pair_leaks(
    protected: Protected,
    picture: int,
    item: Mapping[str, Any],
    texts: tuple[TextIndex, Wordings],
    seed: int,
    open_eval: Callable[[int], Grey | None],
) -> Rows:
    """OUTCOMES of a picture, stored anew, with the question of its first item; `item` is that row of ITEMS.

    Raises:
        UnopenedError: the picture cannot be opened.
    """
    original = _opened(open_eval, picture)
    if not item["question"]:
        return []
    hits = protected.looked_up(saved(original, lossless=False))
    written, plan = [], []
    for name in PAIR_EDITS:
        made = EDITS[name](original_of(item), random_of(seed, f"{item['eval_set']}\0{item['eval_id']}", name))
        if made is not None:
            written.append(_with_picture(made))
            number = protected.listed[picture]["items"][0]
            plan.append({"kind": LEAK, "channel": Channel.PAIR.value, "transform": name, "item": number})
    shown = [[PLANTED]] * len(written)
    own = hits_table([hit._replace(image_id=PLANTED) for hit in hits])
    found = found_in(*texts, written, shown, own, protected.pictures)
    pairs = [[hit for hit in some if hit["channel"] == Channel.PAIR] for some in found]
    return [outcome(row, item, some) for row, some in zip(plan, pairs, strict=True)]


def _with_picture(written: Written) -> Written:
    (role, text), *more = written.turns
    return written._replace(turns=((role, f"{IMAGE_PLACEHOLDER}\n{text}"), *more))


def picture_decoys(protected: Protected, picture: int, open_eval: Callable[[int], Grey | None]) -> Rows:
    """OUTCOMES of a picture of the eval sets as it is: it must not be taken for any of the others.

    One row for the pictures of other groups, and one for those of its own patient, study, case, video, slide or lesion
    if there are any. That two are one picture after all (the same pixels, PDQ within 31 bits) or belong to one item,
    article or figure is not held against the search.

    Raises:
        UnopenedError: the picture cannot be opened.
    """
    grey = _opened(open_eval, picture)
    row = protected.listed[picture]
    hits = protected.scanned(grey, row["image_id"], row["pixel_hash"])
    wrong = [hit for hit in hits if hit.picture != picture and not _alike(protected, picture, hit.picture)]
    own = protected.groups[picture]
    rows = []
    for name, there in _others(protected, picture):
        taken = next((hit for hit in wrong if _relation(own, protected.groups[hit.picture]) == name), None)
        if not there:
            continue
        rows.append(
            {
                "kind": DECOY, "channel": Channel.IMAGE.value, "transform": name,
                "eval_set": protected.eval_set(picture), "item": row["items"][0], "found": taken is not None,
                "grade": None if taken is None else taken.grade.value, "score": None if taken is None else taken.score,
                "other": NO_ITEM if taken is None else protected.listed[taken.picture]["items"][0],
            }
        )  # fmt: skip
    return rows


def _others(protected: Protected, picture: int) -> Iterator[tuple[str, bool]]:
    own = protected.groups[picture]
    relations = {_relation(own, other) for number, other in enumerate(protected.groups) if number != picture}
    yield from ((name, name in relations) for name in (OTHER, NEIGHBOUR))


def _relation(own: frozenset[tuple[str, str]], other: frozenset[tuple[str, str]]) -> str | None:
    """What the pictures of these groups are to one another; None where they may be one picture."""
    kinds = {kind for kind, _ in own & other}
    if not kinds:
        return OTHER
    return NEIGHBOUR if kinds <= NEIGHBOURS else None


def _alike(protected: Protected, one: int, two: int) -> bool:
    """Whether two pictures are one by a rule that the search does not use."""
    pixels = [protected.listed[number]["pixel_hash"] for number in (one, two)]
    if pixels[0] is not None and pixels[0] == pixels[1]:
        return True
    hashes = protected.hashes[[one, two]]
    return bool(hashes.any(axis=1).all() and np.bitwise_count(hashes[0] ^ hashes[1]).sum() <= ALIKE_BITS)
