"""Near-duplicates on the page: the largest groups, and the pairs that are most alike and were both kept."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import orjson
import polars as pl

from pipelines.matches import matches
from pipelines.report.examples import Shown, data_uri, excerpt
from pipelines.report.parts import TableParts, read_columns
from pipelines.report.survey import READERS
from sources.schema import Reason, Verdict
from sources.storage import Folder

GROUPS, MEMBERS, PAIRS, ACROSS = 6, 4, 8, 12
"""How many groups are shown, how many of each one's dropped samples, how many pairs that stayed, and how many pairs of
sources."""
STEPS = ("near_text", "near_image")
WORDS = {
    "numerals": "they differ in a number",
    "unit": "they differ in a unit",
    "laterality": "they differ in a side or a place",
    "negation": "they differ in a negation",
    "opposite": "they differ in a word that changes the finding",
    "answer": "their answers differ",
    "wording": "short as they are, they differ in a word that counts",
    "question": "their questions differ",
    "language": "they differ in a word, in a language whose words are not known",
    "pictures": "their pictures are copies of a third one, and were not shown to be copies of each other",
}
"""What told two alike samples apart, by cause (`dedup/guards.py`)."""


@dataclass(frozen=True)
class Group:
    """A kept sample and some of those that were dropped for it."""

    kept: Shown
    dropped: tuple[Shown, ...]
    size: int
    """Samples that were dropped for it."""


@dataclass(frozen=True)
class Apart:
    """Two samples that are alike and were told apart."""

    one: Shown
    other: Shown
    words: str
    score: float


@dataclass(frozen=True)
class Across:
    """Samples of one source that were dropped for samples of a source, and as an example those of the smallest id."""

    source: str
    kept_source: str
    samples: int
    example: str
    kept: str


@dataclass(frozen=True)
class Gallery:
    """What the page shows; all may be empty."""

    across: tuple[Across, ...]
    groups: tuple[Group, ...]
    pairs: tuple[Apart, ...]


def near_gallery(run: Folder, parts: Sequence[TableParts], private: Collection[str]) -> Gallery | None:
    """The gallery of a run; None where it sought no near-duplicates."""
    with ThreadPoolExecutor(READERS) as pool:
        found = list(pool.map(lambda part: _told(run, part), parts))
        if not any(one.sought for one in found):
            return None
        sizes: Counter[str] = sum((one.kept_for for one in found), Counter())
        largest = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:GROUPS]
        members = _members(found, {kept for kept, _ in largest})
        closest = sorted((pair for one in found for pair in one.apart), reverse=True)[:PAIRS]
        wanted = {*members, *(name for dropped in members.values() for name, _ in dropped)}
        wanted |= {name for _, *names, _ in closest for name in names}
        shown = _samples(run, parts, wanted, private, pool)
    groups = [
        Group(
            shown[kept],
            tuple(replace(shown[name], words=copies) for name, copies in members[kept] if name in shown),
            size,
        )
        for kept, size in largest
        if kept in shown
    ]
    pairs = [
        Apart(shown[one], shown[other], WORDS.get(cause, cause), score)
        for score, one, other, cause in closest
        if one in shown and other in shown
    ]
    return Gallery(_across(run), tuple(groups), tuple(pairs))


def _across(run: Folder) -> tuple[Across, ...]:
    """Whose samples were found to be whose, the most first."""
    first = pl.struct("sample_id", "kept").sort_by("sample_id").first()
    rows = (
        matches(run)
        .filter(pl.col("reason").is_in([Reason.NEAR_TEXT, Reason.NEAR_IMAGE_TEXT]))
        .group_by("source", "kept_source")
        .agg(pl.len().alias("samples"), first.alias("example"))
        .sort("samples", "source", "kept_source", descending=[True, False, False], nulls_last=True)
        .head(ACROSS)
        .collect(engine="streaming")
    )
    return tuple(
        Across(row["source"], row["kept_source"], row["samples"], row["example"]["sample_id"], row["example"]["kept"])
        for row in rows.to_dicts()
    )


Dropped = tuple[str, str]
"""The id of a dropped sample, and how its pictures lie on others, in words."""


@dataclass(frozen=True)
class _Told:
    """What one part of the ledger says: for how many each kept sample stands, and (score, one, other, cause)."""

    sought: bool
    kept_for: Counter[str]
    dropped: dict[str, list[Dropped]]
    """Those of the smallest ids for each."""
    apart: list[tuple[float, str, str, str]]


def _told(run: Folder, part: TableParts) -> _Told:
    ledger = read_columns(run, part.ledger, ("sample_id", "step", "verdict", "reason", "evidence"))
    near = ledger.filter(pl.col("step").is_in(STEPS))
    kept_for: Counter[str] = Counter()
    dropped: dict[str, list[Dropped]] = {}
    apart = []
    for row in near.filter(pl.col("evidence").is_not_null()).iter_rows(named=True):
        evidence = orjson.loads(row["evidence"])
        if row["verdict"] == Verdict.DROP and row["reason"] in {Reason.NEAR_TEXT, Reason.NEAR_IMAGE_TEXT}:
            kept_for[evidence["kept"]] += 1
            others = dropped.setdefault(evidence["kept"], [])
            others.append((row["sample_id"], copied_pictures(evidence.get("pictures", ()))))
            others.sort()
            del others[MEMBERS:]
        elif "apart_from" in evidence:
            apart.append((evidence["jaccard"], row["sample_id"], evidence["apart_from"], evidence["because"]))
    return _Told(bool(len(near)), kept_for, dropped, sorted(apart, reverse=True)[:PAIRS])


def copied_pictures(pictures: Iterable[dict[str, Any]]) -> str:
    """Which pictures those of a sample are copies of, in words; empty where nothing is told of that."""
    told = []
    for one in pictures:
        what = ["same pixels"] if one.get("pixels") == "equal" else []
        what += [f"correlation {one['ncc']:.2f}, {one['inliers']} inliers"] if "ncc" in one else []
        what += [name for name in ("mirrored", "inverted") if one.get(name)]
        told.append(f"copy of picture {one['copy_of'][:8]}" + (f": {', '.join(what)}" if what else ""))
    return "; ".join(told)


def _members(found: Iterable[_Told], kept: Collection[str]) -> dict[str, list[Dropped]]:
    """Of the samples that were dropped for each those of the smallest ids."""
    members: dict[str, list[Dropped]] = {name: [] for name in kept}
    for one in found:
        for name in kept:
            members[name] = sorted([*members[name], *one.dropped.get(name, ())])[:MEMBERS]
    return members


def _samples(
    run: Folder, parts: Sequence[TableParts], wanted: set[str], private: Collection[str], pool: ThreadPoolExecutor
) -> dict[str, Shown]:
    """The samples by id, wherever they stand; a part that has none of them is read in its ids only."""

    def read(part: TableParts) -> list[dict[str, Any]]:
        ids = read_columns(run, part.samples, ("sample_id",))["sample_id"]
        if not ids.is_in(list(wanted)).any():
            return []
        columns = ("sample_id", "source", "task", "turns", "images")
        return read_columns(run, part.samples, columns).filter(pl.col("sample_id").is_in(list(wanted))).to_dicts()

    rows = [row for found in pool.map(read, parts) for row in found]
    first = {row["sample_id"]: _first_picture(row) for row in rows if row["source"] not in private}
    pictures = {image for image in first.values() if image is not None}

    def thumbnails(part: TableParts) -> list[tuple[str, bytes]]:
        frame = read_columns(run, part.images, ("image_id", "thumbnail"))
        return list(frame.filter(pl.col("image_id").is_in(list(pictures))).iter_rows())

    by_id = dict(row for found in pool.map(thumbnails, parts) for row in found) if pictures else {}
    return {row["sample_id"]: _shown(row, by_id, row["source"] in private) for row in rows}


def _first_picture(row: dict[str, Any]) -> str | None:
    ids = [ref["image_id"] for ref in row["images"] or () if ref["image_id"]]
    return ids[0] if ids else None


def _shown(row: dict[str, Any], thumbnails: dict[str, bytes], hidden: bool) -> Shown:  # noqa: FBT001 - of the sample
    picture = thumbnails.get(_first_picture(row) or "")
    turns = () if hidden else tuple((turn["role"], excerpt(turn["text"], TEXT)) for turn in row["turns"] or ())
    return Shown(
        sample_id=row["sample_id"],
        source=row["source"],
        task=row["task"],
        words="",
        turns=turns[:3],
        pictures=len(row["images"] or ()),
        thumbnail=None if picture is None else data_uri(picture),
        hidden=hidden,
    )


TEXT = 400
"""Characters of a text: more than elsewhere, so that the difference is seen."""
