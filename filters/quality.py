"""The quality step: rules about pictures and texts, applied to what was measured before."""

from collections.abc import Callable, Mapping
from typing import Any

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
    version = 1
    reads = ("links", "images", "text_quality")
    columns = ("task",)

    def __init__(self, limits: Mapping[str, Any]) -> None:
        """`limits`: a value for every key of the default rule set (`filters/quality_rules.py`)."""
        self.limits = dict(limits)

    def parameters(self) -> dict[str, Any]:
        """The limits in force."""
        return {"limits": self.limits}

    def decide(self, samples: pa.Table, facts: Mapping[str, pa.Table]) -> pa.Table:
        """One verdict a sample, in order; score and threshold are of the rule that was broken."""
        pictures = {row["image_id"]: row for row in facts["images"].select(COLUMNS).to_pylist()}
        faults = {image_id: fault_of(row, self.limits) for image_id, row in pictures.items()}
        answers = []
        texts = facts["text_quality"].to_pylist()
        for refs, text in zip(facts["links"]["images"].to_pylist(), texts, strict=True):
            broken = [faults.get(ref["image_id"]) for ref in refs or ()]
            place = next((number for number, fault in enumerate(broken) if fault is not None), None)
            fault = text_fault(text, self.limits) if place is None else broken[place]
            answers.append((fault, {} if place is None else {"image": place}))
        return _table(answers, samples.num_rows)


RULES: tuple[tuple[Reason, Callable[[Row, Row], tuple[float, float] | None]], ...] = (
    (Reason.QUALITY_ANSWER_EMPTY, lambda row, _: (1, 0) if row["answer_empty"] else None),
    (Reason.QUALITY_ANSWER_REPEATS, lambda row, _: (1, 0) if row["answer_repeats"] else None),
    (Reason.QUALITY_ANSWER_NO_OPTION, lambda row, _: (1, 0) if row["answer_no_option"] else None),
    (Reason.QUALITY_LABEL_ONLY, lambda row, _: (1, 0) if row["label_only"] else None),
    (Reason.QUALITY_BOILERPLATE, lambda row, _: (1, 0) if row["boilerplate"] else None),
    (Reason.QUALITY_MOJIBAKE, lambda row, limits: _above(row["mojibake"], limits["max_mojibake"])),
    (Reason.QUALITY_MARKUP, lambda row, limits: _above(row["markup"], limits["max_markup"])),
    (Reason.QUALITY_REPEATED, lambda row, limits: _above(row["repeated"], limits["max_repeated"])),
)


def text_fault(row: Row, limits: Mapping[str, Any]) -> Fault | None:
    """The first rule that a row of TEXT_QUALITY breaks."""
    for reason, rule in RULES:
        broken = rule(row, limits)
        if broken is not None:
            return Fault(reason, *broken)
    wanted = limits["scripts"]
    if wanted is not None and row["script"] is not None and row["script"] not in wanted:
        return Fault(Reason.QUALITY_LANGUAGE, 1, 0)
    return None


def _above(value: float, limit: float) -> tuple[float, float] | None:
    return (value, limit) if value > limit else None


def _table(answers: list[tuple[Fault | None, dict[str, int]]], rows: int) -> pa.Table:
    verdicts = np.array([Verdict.KEEP if fault is None else Verdict.DROP for fault, _ in answers], object)
    reasons = np.array([None if fault is None else fault.reason for fault, _ in answers], object)
    scores = np.array([np.nan if fault is None else fault.value for fault, _ in answers], np.float64)
    limits = np.array([np.nan if fault is None else fault.limit for fault, _ in answers], np.float64)
    evidence = [orjson.dumps(shown).decode() if fault is not None and shown else None for fault, shown in answers]
    assert len(answers) == rows, "the facts are aligned with the samples"
    return nulls_for_nan(decided(verdicts, reasons, scores, limits, evidence))
