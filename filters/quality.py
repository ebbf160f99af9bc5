"""The quality step: rules about pictures and texts, applied to what was measured before."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa

from filters.images import COLUMNS, Fault, fault_of
from filters.verdicts import decided, nulls_for_nan
from sources.schema import Reason, Verdict

Row = Mapping[str, Any]


class Quality:
    """Drops samples with a picture or a text that breaks a rule; the first broken rule is the reason."""

    name = "quality"
    version = 5
    columns = ("task",)

    def __init__(self, limits: Mapping[str, Any]) -> None:
        """`limits`: a value for every key of the default rule set (`filters/quality_rules.py`)."""
        self.limits = dict(limits)

    @property
    def reads(self) -> tuple[str, ...]:
        """The facts it decides from; embeddings only where a limit of agreement is set."""
        agreement = () if self.limits["min_agreement"] is None else ("text_embedding",)
        return ("links", "images", "text_quality", *agreement)

    def parameters(self) -> dict[str, Any]:
        """The limits in force."""
        return {"limits": self.limits}

    def decide(self, samples: pa.Table, facts: Mapping[str, pa.Table]) -> pa.Table:
        """One verdict a sample, in order; score and threshold are of the rule that was broken.

        Where agreement is asked for, a kept caption has it as its score: the cosine of BiomedCLIP between the text and
        the one of its pictures that is nearest to it.
        """
        pictures = {row["image_id"]: row for row in facts["images"].select(COLUMNS).to_pylist()}
        faults = {image_id: fault_of(row, self.limits) for image_id, row in pictures.items()}
        answers = []
        texts, links = facts["text_quality"].to_pylist(), facts["links"]["images"].to_pylist()
        agreements = self._agreements(links, facts)
        for refs, text, agreement in zip(links, texts, agreements, strict=True):
            broken = [faults.get(ref["image_id"]) for ref in refs or ()]
            place = next((number for number, fault in enumerate(broken) if fault is not None), None)
            fault = text_fault(text, self.limits) if place is None else broken[place]
            if fault is None and agreement is not None and agreement < self.limits["min_agreement"]:
                fault = Fault(Reason.QUALITY_AGREEMENT, agreement, self.limits["min_agreement"])
            answers.append(Answer(fault, {} if place is None else {"image": place}, agreement))
        return _table(answers, samples.num_rows)

    def _agreements(self, links: Sequence[Any], facts: Mapping[str, pa.Table]) -> list[float | None]:
        if self.limits["min_agreement"] is None:
            return [None] * len(links)
        images = facts["images"].select(["image_id", "embedding"]).to_pylist()
        pictures = {row["image_id"]: row["embedding"] for row in images if row["embedding"] is not None}
        return [
            agreement_of(text, [pictures[ref["image_id"]] for ref in refs or () if ref["image_id"] in pictures])
            for refs, text in zip(links, facts["text_embedding"]["vector"].to_pylist(), strict=True)
        ]


class Answer(NamedTuple):
    """What is wrong with a sample, where, and how far its text and pictures agree."""

    fault: Fault | None
    shown: Mapping[str, int]
    agreement: float | None


def agreement_of(text: bytes | None, pictures: Sequence[bytes]) -> float | None:
    """The largest cosine, to three digits, of embeddings as halves; None where text or pictures have none."""
    if text is None or not pictures:
        return None
    own = np.frombuffer(text, "<f2").astype(np.float64)
    others = np.stack([np.frombuffer(one, "<f2") for one in pictures]).astype(np.float64)
    lengths = np.maximum(np.linalg.norm(others, axis=1) * np.linalg.norm(own), 1e-12)
    return round(float((others @ own / lengths).max()), 3)


RULES: tuple[tuple[Reason, Callable[[Row, Row], tuple[float, float] | None]], ...] = (
    (Reason.QUALITY_ANSWER_EMPTY, lambda row, _: (1, 0) if row["answer_empty"] else None),
    (Reason.QUALITY_ANSWER_REPEATS, lambda row, _: (1, 0) if row["answer_repeats"] else None),
    (Reason.QUALITY_ANSWER_NO_OPTION, lambda row, _: (1, 0) if row["answer_no_option"] else None),
    (Reason.QUALITY_LABEL_ONLY, lambda row, _: (1, 0) if row["label_only"] else None),
    (Reason.QUALITY_BOILERPLATE, lambda row, _: (1, 0) if row["boilerplate"] else None),
    (Reason.QUALITY_MOJIBAKE, lambda row, limits: _above(row["mojibake"], limits["max_mojibake"])),
    (Reason.QUALITY_MARKUP, lambda row, limits: _above(row["markup"], limits["max_markup"])),
    (Reason.QUALITY_MARKUP, lambda row, limits: _above(row["entities"], limits["max_entities"])),
    (Reason.QUALITY_REPEATED, lambda row, limits: _above(row["repeated"], limits["max_repeated"])),
)


def text_fault(row: Row, limits: Mapping[str, Any]) -> Fault | None:
    """The first rule that a row of TEXT_QUALITY breaks."""
    for reason, rule in RULES:
        broken = rule(row, limits)
        if broken is not None:
            return Fault(reason, *broken)
    for limit, told in (("scripts", row["script"]), ("languages", row["language"])):
        if limits[limit] is not None and told is not None and told not in limits[limit]:
            return Fault(Reason.QUALITY_LANGUAGE, 1, 0)
    return None


def _above(value: float, limit: float) -> tuple[float, float] | None:
    measured = round(value, 4)  # tables have 32 bits of it
    return (measured, limit) if measured > limit else None


def _table(answers: list[Answer], rows: int) -> pa.Table:
    assert len(answers) == rows, "the facts are aligned with the samples"
    faults = [one.fault for one in answers]
    verdicts = np.array([Verdict.KEEP if fault is None else Verdict.DROP for fault in faults], object)
    reasons = np.array([None if fault is None else fault.reason for fault in faults], object)
    kept = [np.nan if one.agreement is None else one.agreement for one in answers]
    scores = np.array([own if fault is None else fault.value for fault, own in zip(faults, kept, strict=True)], float)
    limits = np.array([np.nan if fault is None else fault.limit for fault in faults], np.float64)
    evidence = [orjson.dumps(one.shown).decode() if one.fault is not None and one.shown else None for one in answers]
    return nulls_for_nan(decided(verdicts, reasons, scores, limits, evidence))
