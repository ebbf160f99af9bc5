"""Verdicts in words: whatever the ledger may hold has a sentence of its own."""

import re

import pytest

from filters.quality_rules import RULE_SETS
from pipelines.holdout import Holdout
from pipelines.ingest import NAME as INGEST
from pipelines.recipe import Steps
from pipelines.takedown.step import Takedown
from pipelines.words import KEPT, SENTENCES, sentence
from sources.schema import Reason

STEPS = {INGEST, *Steps.model_fields, Holdout.name, Takedown.name} - {"others"}


def test_every_reason_has_a_sentence() -> None:
    assert set(Reason) - SENTENCES.keys() == set()


def test_every_step_has_a_sentence_on_what_it_kept() -> None:
    assert KEPT.keys() == STEPS


@pytest.mark.parametrize("reason", Reason)
def test_sentences_are_words_also_where_the_ledger_has_no_numbers(reason: Reason) -> None:
    told = sentence({"step": "any", "reason": reason.value, "score": None, "threshold": None})
    assert re.fullmatch(r"[^{}_]+[^{}_.]", told)


@pytest.mark.parametrize(("reason", "score", "threshold", "told"), [
    ("modality.not_medical", 0.9132, None, "a picture is not medical (probability 91%)"),
    ("quality.small", 48, 64, "the shorter side of a picture has 48 pixels, fewer than 64"),
    ("quality.watermark", 0.1234, RULE_SETS["default"]["max_watermarked"],
     "a watermark is on 12.3% of a picture, more than 2.0%"),
    ("quality.markup", 3, 0, "HTML or JATS is left in its text: 3 tags, or entities a word, more than 0"),
])  # fmt: skip
def test_numbers_of_the_verdict_are_in_its_sentence(
    reason: str, score: float, threshold: float | None, told: str
) -> None:
    assert sentence({"step": "any", "reason": reason, "score": score, "threshold": threshold}) == told


def test_a_failure_and_a_step_of_another_package_have_a_sentence_too() -> None:
    assert sentence({"step": "any", "reason": "any.error", "score": None, "threshold": None}) == (
        "the step failed on it"
    )
    assert sentence({"step": "added", "reason": None, "score": 3, "threshold": None}) == "it passed"
