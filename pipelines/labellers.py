"""What labels pictures for `curate label`: a network with a head on its features, or BiomedCLIP by its prompts."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from filters.modality import judged as put_together
from filters.modality_classes import modality_of
from filters.modality_fit import Evaluation, best_modality, nearest, unseen
from filters.modality_head import SHIPPED, Features, Head, load_head
from pipelines.errors import UsageError
from pipelines.labelled import Collection, Look
from sources.pictures import Picture


@dataclass(frozen=True)
class Looker:
    """A network as `curate label` uses it."""

    network: str
    look: Look
    by_prompts: Callable[[Features], list[dict[str, float]]] | None = None
    """N x D features -> label -> probability of each; None of a network that knows no texts."""


def looker(model: str, path: str | None, sha256: str | None) -> Looker:
    """The network of that name.

    Raises:
        UsageError, WeightsError: it cannot be had.
    """
    if model == "efficientnet-lite0":
        from filters.efficientnet import NETWORK, features_of
        from filters.modality_features import shown_picture

        return Looker(NETWORK, lambda picture: features_of(shown_picture(picture)))
    if path is None or sha256 is None:
        raise UsageError("--model biomedclip needs its files", "give --path DIR and --sha256; see docs/modality.md")
    from filters.biomedclip import BiomedClip

    measurer = BiomedClip(path, sha256, batch=1, prompts=False)  # batches are padded, and pictures come singly
    return Looker(measurer.network, partial(_by_biomedclip, measurer), measurer.by_prompts)


def _by_biomedclip(measurer: Any, picture: Picture) -> npt.NDArray[Any]:
    values = measurer.measure_batch([measurer.prepare(picture)])[0]
    return np.frombuffer(values["embedding"], "<f2")


def head_for(looking: Looker, given: Path | None) -> Head | None:
    """The head that is given, or the shipped one; None where the network labels by prompts and no head is given.

    Raises:
        UsageError: the head was trained on another network's features.
        HeadError: it cannot be used.
    """
    if given is None and looking.by_prompts is not None:
        return None
    head, _ = load_head(given or SHIPPED)
    if head.network != looking.network:
        raise UsageError(f"--head was trained on {head.network}, not on {looking.network}", "fit it again")
    return head


def measured(looking: Looker, head: Head | None, found: Collection, confidence: float, judged: int) -> dict[str, Any]:
    """How well the first `judged` pictures of a collection are labelled, as JSON.

    Without a head by prompts, which learn nothing: then no data set is left out in turn, and `unseen` is None.
    """
    features, labels, datasets = found.features, found.labels, found.datasets
    given = (
        _by_prompts(looking, found, confidence, judged) if head is None else _by_head(head, found, confidence, judged)
    )
    alone = None if head is None else unseen(features, labels, datasets, looking.network, confidence, judged).report()
    return {
        "model": looking.network,
        "judged_by": "prompts" if head is None else "head",
        "given": given.report(),
        "unseen": alone,
        "nearest": nearest(features, labels, datasets, judged).report(),
        "thumbnails": nearest(found.thumbnails, labels, datasets, judged).report(),
        "left_out": dict(found.left_out),
    }


def _by_head(head: Head, found: Collection, confidence: float, judged: int) -> Evaluation:
    """A head as it is."""
    chances = head.probabilities(found.features[:judged])
    return _evaluated(found, [best_modality(head.labels, row) for row in chances], confidence)


def _by_prompts(looking: Looker, found: Collection, confidence: float, judged: int) -> Evaluation:
    """The prompts as a build uses them on a picture of which nothing else is known."""
    assert looking.by_prompts is not None, "head_for has looked"
    answers = []
    for scores in looking.by_prompts(found.features[:judged]):
        one = put_together("unknown", None, "unknown", scores, frozenset(), confidence=0.0)
        answers.append((one.modality, one.score))
    return _evaluated(found, answers, confidence)


def _evaluated(found: Collection, answers: list[tuple[str, float]], confidence: float) -> Evaluation:
    """Of the first pictures of a collection: the best modality of each and its probability, beside the truth."""
    return Evaluation(
        tuple(modality_of(one) for one in found.labels[: len(answers)]),
        tuple(best if score >= confidence else "unknown" for best, score in answers),
        tuple(best for best, _ in answers),
    )
