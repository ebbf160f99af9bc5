"""Verdicts in words: what a person reads instead of a token."""

from typing import Any

import orjson

from sources.schema import Reason

SENTENCES: dict[str, str] = {
    Reason.IMAGE_MISSING: "a picture it names is not there or cannot be opened",
    Reason.IMAGE_UNDECODABLE: "a picture cannot be decoded",
    Reason.IMAGE_TOO_SMALL: "the smaller side of a picture has {score:.0f} pixels, fewer than {threshold:.0f}",
    Reason.IMAGE_BOMB: "a picture is larger than the limits allow to decode",
    Reason.IMAGE_BLANK: "a picture shows nothing: its grey levels span {score:.1f}, at most {threshold:.1f}",
    Reason.RECORD_MALFORMED: "the record is not in the form its reader expects",
    Reason.RECORD_EMPTY: "there is no text to learn from",
    Reason.RECORD_ENCODING: "the record's bytes are not text in the expected encoding",
    Reason.RECORD_SPLIT: "it belongs to a split that the recipe does not take",
    Reason.MODALITY_UNWANTED: (
        "the modality of a picture is unknown, or none that the recipe keeps (probability {score:.0%})"
    ),
    Reason.MODALITY_NOT_MEDICAL: "a picture is not medical (probability {score:.0%})",
    Reason.MODALITY_COMPOUND: "a picture is a figure of several panels",
    Reason.QUALITY_SMALL: "the shorter side of a picture has {score:.0f} pixels, fewer than {threshold:.0f}",
    Reason.QUALITY_ASPECT: "the longer side of a picture is {score:.1f} times the other, more than {threshold:g}",
    Reason.QUALITY_LOW_INFORMATION: "the grey levels of a picture hold {score:.2f} bits, fewer than {threshold:g}",
    Reason.QUALITY_PLACEHOLDER: "a picture stands for one that is not there: {score:.0f} marks on an even ground",
    Reason.QUALITY_SCREENSHOT: (
        "a picture looks like a screen: its even edges are {score:.1f} times half its circumference, more than"
        " {threshold:g}"
    ),
    Reason.QUALITY_WATERMARK: "a watermark is on {score:.1%} of a picture, more than {threshold:.1%}",
    Reason.QUALITY_ANSWER_EMPTY: "its answer is empty",
    Reason.QUALITY_ANSWER_REPEATS: "its answer is the question",
    Reason.QUALITY_ANSWER_NO_OPTION: "its answer is none of the options",
    Reason.QUALITY_LABEL_ONLY: "its text is only the label of a figure",
    Reason.QUALITY_BOILERPLATE: "its text is only a stock phrase, such as a copyright line",
    Reason.QUALITY_MOJIBAKE: "{score:.1%} of its characters were decoded wrongly, more than {threshold:.1%}",
    Reason.QUALITY_MARKUP: (
        "HTML or JATS is left in its text: {score:g} tags, or entities a word, more than {threshold:g}"
    ),
    Reason.QUALITY_REPEATED: "{score:.0%} of its words repeat what stood there before, more than {threshold:.0%}",
    Reason.QUALITY_LANGUAGE: "the recipe does not take its language or writing",
    Reason.QUALITY_AGREEMENT: "its text and pictures agree by {score:.3f}, less than {threshold:g}",
    Reason.PHI_HEADER: "a picture's file carries metadata that may identify a person",
    Reason.PHI_BURNED_IN: "writing in a picture may identify a person",
    Reason.PHI_REVIEWED: "a reviewer dropped the picture",
    Reason.PHI_TEXT: "its text held what may identify a person (placeholders stand there now), or is too long",
    Reason.LICENSE_FORBIDDEN: "its licence is not allowed by the recipe",
    Reason.ACCESS_FORBIDDEN: "its kind of access is not allowed by the recipe",
    Reason.TOKENS_TOO_SHORT: "it has {score:.0f} tokens, fewer than the {threshold:.0f} its task needs",
    Reason.TOKENS_TOO_LONG: "it has {score:.0f} tokens, more than the {threshold:.0f} its task allows",
    Reason.EXACT_IMAGE_TEXT: "a kept sample has the same pictures and the same text",
    Reason.EXACT_TEXT: "a kept sample has the same text",
    Reason.NEAR_TEXT: "a kept sample has nearly the same text: they share {score:.1%} of their word sequences",
    Reason.NEAR_IMAGE_TEXT: "a kept sample shows the same pictures with nearly the same text ({score:.1%} in common)",
    Reason.LEAK_EXACT: "an item of an eval set is in it: the same picture, or the same words",
    Reason.LEAK_REENCODED: "it shows a picture of an eval set, stored or displayed in another way",
    Reason.LEAK_PARTIAL: "it shows a part of a picture of an eval set, or a picture that has one as a part",
    Reason.LEAK_NEAR_TEXT: "a question of an eval set is in it with small changes ({score:.1%} of its weight)",
    Reason.LEAK_PARAPHRASE: "a question of an eval set is in it in other words, with the same answer",
    Reason.LEAK_SAME_GROUP: "it is of the same patient, study, article or case as an item of an eval set",
    Reason.LEAK_PROVENANCE: "an eval set was made from its source",
    "removed.takedown": "it was taken down; what it said is blanked",
}
KEPT: dict[str, str] = {
    "ingest": "the record was read",
    "measure": "its pictures, if any, are there, decode, and show something",
    "modality": "its pictures, if any, are of modalities that the recipe keeps",
    "quality": "its pictures and its text break no rule of quality",
    "license": "the recipe allows its licence and access",
    "tokens": "it has {score:.0f} tokens, within the limits of its task",
    "phi": "nothing that identifies a person was found in its pictures, or its source is not looked at",
    "exact": "no earlier sample has the same pictures and text",
    "near_text": "no kept sample has nearly the same text",
    "near_image": "no kept sample has the same pictures with nearly the same text",
    "decontaminate": "nothing of an eval set that the recipe removes was found in it",
    "holdout": "it is kept; the evidence says on which side of the hold-out",
    "removed": "nothing that was taken down concerns it",
}


def sentence(row: dict[str, Any]) -> str:
    """One ledger row as a sentence."""
    reason = row["reason"]
    if reason is None:
        template = KEPT.get(row["step"], "it passed")
    elif reason.endswith(".error"):
        template = "the step failed on it"
    else:
        template = SENTENCES.get(reason, reason)
    numbers = {name: 0.0 if row[name] is None else row[name] for name in ("score", "threshold")}
    return template.format(**numbers)


def evidence(row: dict[str, Any]) -> dict[str, Any]:
    """The evidence of a ledger row, parsed."""
    if row["evidence"] is None:
        return {}
    parsed: dict[str, Any] = orjson.loads(row["evidence"])
    return parsed
