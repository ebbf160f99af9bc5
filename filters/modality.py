"""What kind of picture each one is: evidence of four kinds, put together as probabilities, or `unknown`.

Evidence is a probability for every class. Pieces of evidence are taken as independent, so they multiply (with a flat
prior), and each is believed only as far as it was found to be right (`RELIABILITY`): no model, however sure, outvotes
a DICOM header, and no caption a card. docs/modality.md has the figures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from filters.modality_classes import CLASSES, HEADER_KINDS, KINDS, modality_of
from filters.modality_head import Head, softmax
from filters.verdicts import decided, nulls_for_nan
from sources.schema import Reason, Verdict

Evidence = Literal["dicom", "card", "model", "text"]
RELIABILITY: dict[Evidence, float] = {"dicom": 0.9999, "card": 0.995, "model": 0.98, "text": 0.66}
"""Probability with which each is right at most. Header and model: chosen, so that no model outvotes a header. Card: a
corpus with one modality has now and then a mislabelled scan (1 of 461 in a published MRI set). Text: words of captions
and questions, the worse of two measured sets (docs/modality.md)."""
CONFIDENCE = 0.49
"""Probability below which a picture's modality is `unknown`: on data sets that a head has not seen, less than a tenth
of the pictures is below it (docs/modality.md). A text that names two modalities gives each 0.33."""
SEEN = 0.1
"""What a model must give to `not_medical` before words that say so count: captions speak of charts and of much else.
Also what it must give to any modality before it tells the kind: below, one of its kinds is the likeliest by chance."""
_PLACE = {name: number for number, name in enumerate(CLASSES)}


@dataclass(frozen=True)
class Judged:
    """What was found of one picture. `source` is the strongest evidence that says the same, or `none`."""

    modality: str
    kind: str | None
    score: float
    source: str
    evidence: Mapping[Any, Any]


def judged(
    header: str, header_code: str | None, card: str, model: Mapping[str, float] | None, said: frozenset[str],
    confidence: float = CONFIDENCE,
) -> Judged:  # fmt: skip
    """Put together what is known of one picture.

    `header` and `card` are modalities (`unknown`: they say nothing), `header_code` the header's own, `model` label ->
    probability, `said` the labels that the texts assert.
    """
    told: dict[Evidence, npt.NDArray[np.float64]] = {}
    if header != "unknown":
        told["dicom"] = _pointing([header], RELIABILITY["dicom"])
    elif card != "unknown":
        told["card"] = _pointing([card], RELIABILITY["card"])
    if model:
        told["model"] = _believed(_by_class(model), RELIABILITY["model"])
    if heard := _heard(said, model):
        told["text"] = _pointing(heard, RELIABILITY["text"])
    if not told:
        return Judged("unknown", None, 0.0, "none", {})
    logs = np.sum([np.log(one) for one in told.values()], axis=0)
    chances = softmax(logs[None])[0]
    best = int(chances.argmax())
    score = round(float(chances[best]), 4)
    shown = {name: _top(one) for name, one in told.items()}
    if score < confidence:
        return Judged("unknown", None, score, "none", shown)
    source = next((name for name, top in shown.items() if CLASSES[best] in top), "model")
    kind = _kind(CLASSES[best], header_code, model, said)
    return Judged(CLASSES[best], kind, score, source, shown)


def _heard(said: frozenset[str], model: Mapping[str, float] | None) -> list[str]:
    """The classes that texts assert; none where they say `not_medical` of what no model takes for it.

    Words alone never make a picture `not_medical`, which is dropped by default.
    """
    classes = {KINDS.get(label, label) for label in said}
    if "not_medical" in classes and (not model or _by_class(model)[_PLACE["not_medical"]] < SEEN):
        return []
    return sorted(classes)


def _pointing(classes: Sequence[str], reliability: float) -> npt.NDArray[np.float64]:
    """Evidence for some classes, equally."""
    found = np.full(len(CLASSES), (1 - reliability) / max(len(CLASSES) - len(classes), 1))
    found[[_PLACE[name] for name in classes]] = reliability / len(classes)
    return found


def _believed(chances: npt.NDArray[np.float64], reliability: float) -> npt.NDArray[np.float64]:
    """A model's probabilities, mixed with ignorance as far as it is wrong when it is sure."""
    mixed: npt.NDArray[np.float64] = reliability * chances / chances.sum() + (1 - reliability) / len(chances)
    return mixed


def _by_class(model: Mapping[str, float]) -> npt.NDArray[np.float64]:
    found = np.full(len(CLASSES), 1e-6)
    for label, chance in model.items():
        found[_PLACE[KINDS.get(label, label)]] += chance
    return found


def _top(chances: npt.NDArray[np.float64]) -> dict[str, float]:
    """The classes worth telling, most probable first."""
    order = np.argsort(-chances, kind="stable")[:3]
    return {CLASSES[place]: round(float(chances[place]), 4) for place in order if chances[place] >= 0.1}


def _kind(best: str, code: str | None, model: Mapping[str, float] | None, said: frozenset[str]) -> str | None:
    """The finer class, where header, words or model tell one of this modality.

    A model does where it gives one finer class more than each other, and more than the modality's own name.
    """
    named = HEADER_KINDS.get(code or "")
    if named is not None and KINDS[named] == best:
        return named
    spoken = sorted(label for label in said if KINDS.get(label) == best)
    if len(spoken) == 1:
        return spoken[0]
    own = {label: chance for label, chance in (model or {}).items() if modality_of(label) == best}
    if sum(own.values()) < SEEN:
        return None
    likeliest = max(own, key=lambda label: (own[label], label == best, label))
    return likeliest if likeliest in KINDS else None


class Labels:
    """Puts modality, kind and evidence into the images table, from what was measured and what samples say."""

    name = "modality_labels"
    version = 3
    columns = ("turns",)

    def __init__(
        self, head: Head | None = None, head_sha256: str | None = None, confidence: float = CONFIDENCE
    ) -> None:
        """`head` scores the embeddings of the table; where scores stand there themselves, it is not needed."""
        self.head = head
        self.head_sha256 = head_sha256
        self.confidence = confidence

    def parameters(self) -> dict[str, Any]:
        """Everything that the labels depend on, besides the embeddings."""
        return {"head": self.head_sha256, "confidence": self.confidence, "reliability": RELIABILITY}

    def labelled(self, images: pa.Table, said: Mapping[str, frozenset[str]]) -> pa.Table:
        """IMAGES rows with `modality`, `modality_from`, `modality_score`, `modality_kind` and `modality_evidence`.

        `said`: image id -> labels that the texts about it assert.
        """
        chances = self._chances(images)
        rows = images.select(["image_id", "modality", "modality_from", "facts"]).to_pylist()
        found = []
        for row, model in zip(rows, chances, strict=True):
            told = row["modality"]
            code = orjson.loads(row["facts"]).get("Modality") if row["facts"] else None
            found.append(
                judged(
                    told if row["modality_from"] == "dicom" else "unknown", code,
                    told if row["modality_from"] == "card" else "unknown",
                    model, said.get(row["image_id"], frozenset()), self.confidence,
                )
            )  # fmt: skip
        columns = {
            "modality": [one.modality for one in found],
            "modality_from": [one.source for one in found],
            "modality_score": [one.score for one in found],
            "modality_kind": [one.kind for one in found],
            "modality_evidence": [orjson.dumps(one.evidence, option=orjson.OPT_SORT_KEYS).decode() for one in found],
        }
        for name, values in columns.items():
            field = images.schema.field(name)
            images = images.set_column(images.schema.get_field_index(name), field, pa.array(values, field.type))
        return images

    def _chances(self, images: pa.Table) -> list[Mapping[str, float] | None]:
        """Label -> probability of each picture that was looked at by a model."""
        found: list[Mapping[str, float] | None] = []
        for scores, embedding in zip(
            images["modality_scores"].to_pylist(), images["embedding"].to_pylist(), strict=True
        ):
            if scores is not None:
                found.append(orjson.loads(scores))
            elif embedding is not None and self.head is not None:
                row = self.head.probabilities(np.frombuffer(embedding, "<f2")[None])[0]
                found.append(dict(zip(self.head.labels, row.tolist(), strict=True)))
            else:
                found.append(None)
        return found


Policy = Literal["keep", "drop"]


class Modality:
    """Drops samples with pictures of modalities that the recipe does not want, and with what is no medical picture.

    One picture is enough. A picture of unknown modality is judged by `unknown` alone.
    """

    name = "modality"
    version = 2
    reads = ("links", "images")
    columns = ("task",)

    def __init__(
        self,
        keep: Sequence[str] | None,
        not_medical: Policy,
        unknown: Policy,
        compound: Policy,
        labels: Mapping[str, Any],
    ) -> None:
        """`keep`: modalities and kinds wanted (None: all that are medical); `labels`: what the labels depend on."""
        self.keep = None if keep is None else frozenset(keep)
        self.not_medical, self.unknown, self.compound = not_medical, unknown, compound
        self.labels = dict(labels)

    def parameters(self) -> dict[str, Any]:
        """Everything that the answers depend on."""
        keep = None if self.keep is None else sorted(self.keep)
        policies = {"not_medical": self.not_medical, "unknown": self.unknown, "compound": self.compound}
        return {"keep": keep, **policies, "labels": self.labels}

    def decide(self, samples: pa.Table, facts: Mapping[str, pa.Table]) -> pa.Table:  # noqa: ARG002 - the protocol's
        """One verdict a sample, in order; the evidence names the picture (from 0), its modality and what told it."""
        columns = ["image_id", "modality", "modality_kind", "modality_from", "modality_score", "panels"]
        by_id = {row["image_id"]: row for row in facts["images"].select(columns).to_pylist()}
        verdicts, reasons, scores, evidence = [], [], [], []
        for refs in facts["links"]["images"].to_pylist():
            worst = self._worst([by_id.get(ref["image_id"]) for ref in refs or ()])
            verdicts.append(Verdict.KEEP if worst is None else Verdict.DROP)
            reasons.append(None if worst is None else worst[0])
            scores.append(np.nan if worst is None else worst[1])
            evidence.append(None if worst is None else orjson.dumps(worst[2]).decode())
        told = decided(np.array(verdicts, object), np.array(reasons, object), np.array(scores, float), None, evidence)
        return nulls_for_nan(told)

    def _worst(self, pictures: Sequence[Mapping[str, Any] | None]) -> tuple[str, float, dict[str, Any]] | None:
        for number, row in enumerate(pictures):
            reason = None if row is None else self._objection(row)
            if row is not None and reason is not None:
                shown = {"image": number, "modality": row["modality"], "from": row["modality_from"]}
                shown |= {"kind": row["modality_kind"]} if row["modality_kind"] else {}
                shown |= {"panels": row["panels"]} if reason == Reason.MODALITY_COMPOUND else {}
                return reason, row["modality_score"] or 0.0, shown
        return None

    def _objection(self, row: Mapping[str, Any]) -> Reason | None:
        # Two knees on black have a gutter, too: what a header or a corpus of one modality names is no figure.
        if self.compound == "drop" and (row["panels"] or 0) > 1 and row["modality_from"] not in {"dicom", "card"}:
            return Reason.MODALITY_COMPOUND
        if row["modality"] == "unknown":
            return Reason.MODALITY_UNWANTED if self.unknown == "drop" else None
        if row["modality"] == "not_medical" and not self._is_wanted(row):
            return Reason.MODALITY_NOT_MEDICAL if self.not_medical == "drop" else None
        return None if self.keep is None or self._is_wanted(row) else Reason.MODALITY_UNWANTED

    def _is_wanted(self, row: Mapping[str, Any]) -> bool:
        return self.keep is not None and not self.keep.isdisjoint({row["modality"], row["modality_kind"]})


def said_of_images(links: pa.Table, said: Sequence[frozenset[str]]) -> dict[str, list[frozenset[str]]]:
    """Image id -> what each sample that shows it alone says. Of several pictures nobody knows which is spoken of."""
    found: dict[str, list[frozenset[str]]] = {}
    single = pc.equal(pc.list_value_length(links["images"]), 1).to_pylist()
    for refs, alone, labels in zip(links["images"].to_pylist(), single, said, strict=True):
        if alone and labels and refs[0]["image_id"] is not None:
            found.setdefault(refs[0]["image_id"], []).append(labels)
    return found
