"""What becomes of pictures with identifiers, and of the samples that show them: policy first, reviewers before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
import pyarrow as pa

from filters.phi_pictures import ANNOTATION, UNREAD
from sources.schema import VERDICTS, Reason, Verdict

Ruling = Literal["accept", "mask", "drop"]

TREATMENTS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("boxes", pa.list_(pa.list_(pa.int32()))),
        pa.field("strip", pa.bool_()),
        pa.field("anew", pa.bool_()),
    ]
)
"""What is done to a picture as it is written: boxes (left, top, right, bottom) that are covered, metadata taken out of
its file, or, where neither can be done to the file itself, its pixels stored `anew` as PNG."""


@dataclass(frozen=True)
class Decision:
    """A reviewer's word on one picture. `boxes` are what is covered; None: what was found, where that will do."""

    image_id: str
    ruling: Ruling
    who: str
    why: str
    boxes: tuple[tuple[int, int, int, int], ...] | None = None


@dataclass(frozen=True)
class Outcome:
    """What becomes of one picture."""

    verdict: Verdict = Verdict.KEEP
    reason: Reason | None = None
    treatment: dict[str, Any] | None = None
    said: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Phi:
    """The step that decides about pictures with identifiers. What is found in texts is ingest's to decide."""

    metadata: Literal["strip", "quarantine", "keep"]
    burned_in_text: Literal["quarantine", "mask", "redact", "keep"]
    review: Mapping[str, Decision] = field(default_factory=dict)

    name = "phi"
    version = 3
    columns = ("images",)

    def parameters(self) -> dict[str, Any]:
        """The policy, and every word of the reviewers'."""
        words = [[one.image_id, one.ruling, one.who, one.why, one.boxes] for _, one in sorted(self.review.items())]
        return {"metadata": self.metadata, "burned_in_text": self.burned_in_text, "review": words}

    @property
    def unshown(self) -> frozenset[str]:
        """Pictures of which reviewers want something, or all, not to be seen."""
        return frozenset(image_id for image_id, one in self.review.items() if one.ruling != "accept")

    def decide(self, samples: pa.Table, examined: pa.Table) -> tuple[pa.Table, pa.Table]:
        """VERDICTS, one row a sample, in order, and TREATMENTS of the pictures of those that are kept.

        `examined` are PHI_IMAGES; a picture that is not in it was not looked at, and stays as it is.
        """
        outcomes = {row["image_id"]: self._outcome(row) for row in examined.to_pylist()}
        verdicts, treatments = [], {}
        for images in samples["images"].to_pylist():
            ids = [image["image_id"] for image in images or ()]
            of_sample = [outcomes.get(image_id, Outcome()) for image_id in ids]
            verdict = _verdict(of_sample)
            verdicts.append(verdict)
            if verdict["verdict"] in (Verdict.KEEP, Verdict.EDIT):
                treatments.update({
                    image_id: one.treatment
                    for image_id, one in zip(ids, of_sample, strict=True)
                    if one.treatment is not None
                })  # fmt: skip
        rows = [{"image_id": image_id, **treatments[image_id]} for image_id in sorted(treatments)]
        return pa.Table.from_pylist(verdicts, schema=VERDICTS), pa.Table.from_pylist(rows, schema=TREATMENTS)

    def _outcome(self, row: Mapping[str, Any]) -> Outcome:
        decision = self.review.get(row["image_id"])
        found = _findings(row)
        if decision is not None:
            return self._reviewed(row, decision, found)
        if row["problem"] == "error":
            return Outcome(Verdict.QUARANTINE, None, said={"problem": "error"})
        strip = self._strip(row)
        if (row["metadata"] or row["container"]) and self.metadata == "quarantine":
            return Outcome(Verdict.QUARANTINE, Reason.PHI_HEADER, said=found)
        return self._written(row, found) or (
            Outcome() if strip is None else Outcome(Verdict.EDIT, Reason.PHI_HEADER, strip, found)
        )

    def _written(self, row: Mapping[str, Any], found: dict[str, Any]) -> Outcome | None:
        """What becomes of a picture for what is written on it; None where that says nothing."""
        if self.burned_in_text == "keep":
            return None
        written = [box for box in row["boxes"] if box["kind"] != ANNOTATION]
        if row["problem"]:  # nobody knows what is written there, and it is the machine's fault: this spends the budget
            return Outcome(Verdict.QUARANTINE, None, said=found)
        unsure = row["said"] and not row["boxes"]
        if unsure or (written and (self.burned_in_text == "quarantine" or row["left_over"])):
            return Outcome(Verdict.QUARANTINE, Reason.PHI_BURNED_IN, said=found)
        boxes = row["boxes"] if self.burned_in_text == "redact" else written
        if not boxes:
            return None
        treatment = {"boxes": [_corners(box) for box in boxes], "strip": False, "anew": True}
        return Outcome(Verdict.EDIT, Reason.PHI_BURNED_IN, treatment, {**found, "covered": len(boxes)})

    def _reviewed(self, row: Mapping[str, Any], decision: Decision, found: dict[str, Any]) -> Outcome:
        said: dict[str, Any] = {
            **found,
            "review": {"ruling": decision.ruling, "who": decision.who, "why": decision.why},
        }
        if decision.ruling == "drop":
            return Outcome(Verdict.DROP, Reason.PHI_REVIEWED, said=said)
        if decision.ruling == "mask":
            boxes = _to_cover(row, decision)
            if boxes is None:
                said["review"]["needs"] = "boxes"
                return Outcome(Verdict.QUARANTINE, Reason.PHI_BURNED_IN, said=said)
            treatment = {"boxes": boxes, "strip": False, "anew": True}
            return Outcome(Verdict.EDIT, Reason.PHI_BURNED_IN, treatment, {**said, "covered": len(boxes)})
        strip = self._strip(row)
        if strip is None:
            return Outcome(said=said)
        return Outcome(Verdict.EDIT, Reason.PHI_HEADER, strip, said)

    def _strip(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """How metadata goes: out of the file, or, where the file cannot be taken apart, with the file."""
        if row["metadata"] is None:  # nobody saw what the file carries, so nothing of it is kept
            return {"boxes": [], "strip": False, "anew": True}
        if self.metadata == "keep" or not (row["metadata"] or row["container"]):
            return None
        return {"boxes": [], "strip": row["container"] is None, "anew": row["container"] is not None}


def _to_cover(row: Mapping[str, Any], decision: Decision) -> list[list[int]] | None:
    """The boxes that a reviewer's `mask` covers; None where they would leave the picture as it is, or not do.

    What was found does only where it was read, and nothing that identifies could be read beneath it. A reviewer's own
    boxes are taken as they are, once each lies at least partly on the picture.
    """
    if decision.boxes is None:
        written = [box for box in row["boxes"] if box["kind"] != ANNOTATION]
        unsure = row["left_over"] or row["problem"] or any(box["kind"] == UNREAD for box in written)
        return None if unsure or not written else [_corners(box) for box in written]
    width, height = row["width"], row["height"]
    for left, top, right, bottom in decision.boxes:
        outside = (width is not None and left >= width) or (height is not None and top >= height)
        if outside or left >= right or top >= bottom:
            return None
    return [list(box) for box in decision.boxes] or None


def _findings(row: Mapping[str, Any]) -> dict[str, Any]:
    """What was found, as the ledger may say it: kinds, places and lengths."""
    said: dict[str, Any] = {}
    if row["metadata"]:
        said["metadata"] = [{"kind": one["kind"], "length": one["length"]} for one in row["metadata"]]
    if row["container"]:
        said["container"] = row["container"]
    boxes = [box for box in row["boxes"] if box["kind"] != ANNOTATION]
    if boxes:
        said["writing"] = [{"kind": box["kind"], "place": _corners(box), "length": box["length"]} for box in boxes]
    if row["problem"]:
        said["problem"] = row["problem"]
    if row["said"]:
        said["header_says"] = "burned-in text"
    if row["left_over"]:
        said["left_over"] = True
    return said


def _corners(box: Mapping[str, Any]) -> list[int]:
    return [box["left"], box["top"], box["right"], box["bottom"]]


_WORST_FIRST = (Verdict.DROP, Verdict.QUARANTINE, Verdict.EDIT, Verdict.KEEP)


def _verdict(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """A row of VERDICTS: the worst of the sample's pictures decides, the evidence tells of all that were not kept."""
    told = [
        {"image": number, "verdict": one.verdict.value, **one.said} for number, one in enumerate(outcomes) if one.said
    ]
    evidence = orjson.dumps({"images": told}).decode() if told else None
    if all(one.verdict is Verdict.KEEP for one in outcomes):
        return {"verdict": Verdict.KEEP.value, "evidence": evidence}
    worst = min(outcomes, key=lambda one: (_WORST_FIRST.index(one.verdict), one.reason != Reason.PHI_BURNED_IN))
    reason = "phi.error" if worst.reason is None else worst.reason.value
    return {"verdict": worst.verdict.value, "reason": reason, "evidence": evidence}
