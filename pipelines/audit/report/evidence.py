"""One finding as the page tells it: what was found where, in words, with both sides."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from dedup.decontamination.assemble import RANK
from dedup.decontamination.findings import Channel
from dedup.decontamination.grades import Grade
from pipelines.audit.report.alignment import Aligned, aligned
from pipelines.audit.report.sides import Shown, Side, Sides

PICTURED_ALIKE, PICTURED = 12, 240
"""Findings of one eval set and grade, and in all, whose pictures are on the page: 16 kB each."""
TOLD = 5000
"""Findings whose texts are on the page: about 2 kB each."""
LISTED = 20_000
"""Findings that are on the page at all; those beyond are in the table only."""

GRADES: Mapping[str, str] = {
    Grade.EXACT: "same bytes, same pixels, or same text but for case, punctuation and spaces",
    Grade.REENCODED: "same picture after resize, recompression, flip, rotation, window, border or overlay",
    Grade.PARTIAL: "one picture is a crop or a panel of the other",
    Grade.NEAR_TEXT: "the question is there with small edits",
    Grade.PARAPHRASE: "the question is there in other words, with the same answer",
    Grade.SAME_GROUP: "same patient, study, article, case, video or slide; other content",
    Grade.PROVENANCE: "the eval set was made from this source",
    Grade.PASSAGE_SHARED: "both quote the same passage; the question is not there",
    Grade.TEMPLATE_SIBLING: "same wording with another number, side, negation or name: another question",
}
CHANNELS: Mapping[str, str] = {
    Channel.PAIR: "picture and question",
    Channel.IMAGE: "picture",
    Channel.TEXT: "text",
    Channel.GROUP: "group",
    Channel.PROVENANCE: "provenance",
}


@dataclass(frozen=True)
class Region:
    """Part of a picture, as shares of its width and height."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def whole(self) -> bool:
        """Whether it is the whole picture, so that nothing need be drawn."""
        return self.left <= 0.005 and self.top <= 0.005 and self.right >= 0.995 and self.bottom >= 0.995


@dataclass(frozen=True)
class Pictured:
    """A picture with the region that was matched; without `shown`, `why` says what kept it off the page.

    `same_as`: the finding that shows it.
    """

    shown: Shown | None
    region: Region | None
    why: str = ""
    same_as: str = ""


@dataclass(frozen=True)
class Told:
    """One finding on the page."""

    finding_id: str
    grade: str
    channel: str
    eval_set: str
    eval_id: str
    sample_id: str
    source: str
    score: float | None
    accepted: bool
    facts: tuple[str, ...]
    """Transform, scores and what else was measured, each in a few words."""
    ours: Side | None = None
    theirs: Side | None = None
    text: Aligned | None = None
    our_picture: Pictured | None = None
    their_picture: Pictured | None = None
    full: bool = True
    """Whether its sides were looked up; of the others only ids, grade and facts are told."""

    @property
    def pictured(self) -> bool:
        """Whether a picture of it is on the page, here and not with another finding."""
        return any(one is not None and one.shown is not None for one in (self.our_picture, self.their_picture))


def in_turn(findings: pa.Table, most: int) -> list[dict[str, Any]]:
    """The first rows of FINDINGS when of each eval set the strongest comes first and the eval sets take turns."""
    ranks = pa.array([RANK[grade] for grade in findings["grade"].to_pylist()], pa.int8())
    keys = [("eval_set", "ascending"), ("rank", "ascending"), ("score", "descending"), ("finding_id", "ascending")]
    order = pc.sort_indices(findings.append_column("rank", ranks), keys).to_numpy()
    sets = findings["eval_set"].take(pa.array(order)).combine_chunks().dictionary_encode().indices.to_numpy()
    firsts = np.searchsorted(sets, sets)
    turns = np.lexsort((sets, np.arange(len(sets)) - firsts))[:most]
    rows: list[dict[str, Any]] = findings.take(pa.array(order[turns])).to_pylist()
    return rows


def told(findings: pa.Table, sides: Sides, accepted: Collection[str]) -> list[Told]:
    """The findings that are on the page, by eval set, the strongest first."""
    slots, found = _Slots(), []
    for place, row in enumerate(in_turn(findings, LISTED)):
        if place >= TOLD or not row["sample_id"]:
            found.append(_one(row, accepted, {}, full=place < TOLD))
            continue
        found.append(_one(row, accepted, _sides_of(row, sides, slots), full=True))
    return by_strength(found)


class _Slots:
    """Which findings have their pictures on the page: each pair of pictures once."""

    def __init__(self) -> None:
        self._taken: Counter[tuple[str, str]] = Counter()
        self._shown: dict[tuple[str, str], str] = {}

    def instead(self, row: Mapping[str, Any], picture: Mapping[str, Any]) -> Pictured | None:
        """What a finding has in place of its pictures; None where it has them."""
        pair, alike = (picture["image_id"], picture["eval_image_id"]), (row["eval_set"], row["grade"])
        if pair in self._shown:
            return Pictured(None, None, "the same pictures as in", self._shown[pair])
        if self._taken[alike] >= PICTURED_ALIKE or self._taken.total() >= PICTURED:
            return Pictured(None, None, "picture not on the page: only those of the strongest findings are")
        self._taken[alike] += 1
        self._shown[pair] = row["finding_id"]
        return None


def by_strength(found: Iterable[Told]) -> list[Told]:
    """By eval set, the strongest grade first; within a grade those whose pictures are on the page, then by score."""
    return sorted(
        found,
        key=lambda one: (
            one.eval_set, RANK[one.grade], not one.pictured, -(one.score or 0), one.eval_id, one.finding_id,
        ),
    )  # fmt: skip


def _one(row: Mapping[str, Any], accepted: Collection[str], sides: Mapping[str, Any], *, full: bool) -> Told:
    names = ("finding_id", "grade", "channel", "eval_set", "eval_id", "sample_id", "source", "score")
    return Told(**{name: row[name] for name in names}, accepted=row["finding_id"] in accepted, facts=facts(row),
                full=full, **sides)  # fmt: skip


def _sides_of(row: Mapping[str, Any], sides: Sides, slots: _Slots) -> dict[str, Any]:
    sample, item = row["sample_id"], (row["eval_set"], row["eval_id"])
    ours, theirs = sides.sample(sample), sides.item(*item)
    made: dict[str, Any] = {"ours": ours, "theirs": theirs, "text": _text(text_evidence(row), ours, theirs)}
    picture = _image_evidence(row)
    if not picture:
        return made
    instead = slots.instead(row, picture)
    if instead is not None:
        return made | {"our_picture": instead, "their_picture": instead}
    regions = [_region(picture.get(name)) for name in ("region", "eval_region")]
    shown = (
        sides.sample_picture(sample, picture["image_id"]),
        sides.item_picture(*item, picture["eval_image_id"]),
    )
    both = [
        Pictured(one, region, "" if one else _why_not(side))
        for one, region, side in zip(shown, regions, (ours, theirs), strict=True)
    ]
    return made | {"our_picture": both[0], "their_picture": both[1]}


def _why_not(side: Side | None) -> str:
    hidden = side is not None and side.hidden
    return "picture not shown: it may tell of people" if hidden else "picture could not be opened, or was taken out"


def _text(evidence: Mapping[str, Any], ours: Side | None, theirs: Side | None) -> Aligned | None:
    if not evidence or ours is None or theirs is None or ours.hidden or theirs.hidden:
        return None
    one, other = ours.texts.get(evidence["field"]), theirs.texts.get(evidence["item_field"])
    if one is None or other is None:
        return None
    return aligned(
        (evidence["field"], one, evidence["span_start"], evidence["span_stop"]),
        (evidence["item_field"], other, evidence["item_start"], evidence["item_stop"]),
    )


def text_evidence(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of a finding's evidence is about text; empty where nothing is."""
    evidence = orjson.loads(row["evidence"] or b"{}")
    part = evidence.get("text", evidence) if row["channel"] in (Channel.PAIR, Channel.TEXT) else {}
    return part if isinstance(part, dict) and "span_start" in part else {}


def _image_evidence(row: Mapping[str, Any]) -> Mapping[str, Any]:
    evidence = orjson.loads(row["evidence"] or b"{}")
    part = evidence.get("image", evidence) if row["channel"] in (Channel.PAIR, Channel.IMAGE) else {}
    return part if isinstance(part, dict) and "image_id" in part else {}


def _region(values: Any) -> Region | None:
    return Region(*values) if values else None


def facts(row: Mapping[str, Any]) -> tuple[str, ...]:
    """What was measured, in a few words each; none of them is content of a record."""
    evidence = orjson.loads(row["evidence"] or b"{}")
    said = [f"transform: {row['transform']}"] if row["transform"] else []
    said += _of_picture(_image_evidence(row))
    said += _of_text(text_evidence(row))
    if row["channel"] == Channel.GROUP:
        said.append(f"{evidence.get('kind')} {evidence.get('id')}")
    if row["channel"] == Channel.PROVENANCE:
        said.append(" ← ".join(str(one) for one in evidence.get("path", ())))
    if "of" in evidence:
        said.append(f"one of {evidence['of']:,} such findings of this item")
    return tuple(said)


def _of_picture(evidence: Mapping[str, Any]) -> list[str]:
    said = [f"the same {evidence['equal']}"] if evidence.get("equal") else []
    units = {"correlation": "", "inliers": "", "scale": "", "rotation": "°"}
    return said + [f"{name} {evidence[name]}{unit}" for name, unit in units.items() if evidence.get(name)]


def _of_text(evidence: Mapping[str, Any]) -> list[str]:
    if not evidence:
        return []
    told = {"run", "tokens"} <= evidence.keys()
    said = [f"{evidence['run']} of {evidence['tokens']} words in a row"] if told else []
    said += ["with the answer"] if evidence.get("answer") else []
    said += [] if evidence.get("alone", True) else ["counts only with its picture, group or answer"]
    return said + ([f"told apart by {evidence['guard']}"] if evidence.get("guard") else [])
