"""Trains a head on labelled features, and measures it on data sets that it has not seen.

Ridge regression on one column a label: solved in closed form, so that the same pictures give the same head, and hard
to over-fit. Every data set counts alike within its label, every label alike: 461 slices of one collection are not
worth more than 4 of another.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from filters import efficientnet
from filters.modality_classes import CLASSES, KINDS, modality_of
from filters.modality_head import Features, Head, softmax

RIDGE = 10.0
"""Times the mean variance of the features. Balanced accuracy on unseen data sets was 0.74 with 1, 0.78 with 3, 0.81
with 10 and 0.79 with 30: chosen on the very data sets that it is reported for."""
TEMPERATURES = tuple(round(0.02 * 1.2**step, 4) for step in range(15))
WITH_COLOUR = frozenset({efficientnet.NETWORK})
"""Networks whose last column is colour: a rule of the head, and nothing that it learns by."""
BLOCK = 512
Words = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Evaluation:
    """How a labeller did. `truth` and `found` are modalities of N pictures, `found` may be `unknown`."""

    truth: tuple[str, ...]
    found: tuple[str, ...]
    certain: tuple[str, ...]
    """What would have been answered without a limit of confidence."""

    def report(self) -> dict[str, Any]:
        """Figures, as JSON.

        Balanced accuracy (mean over modalities) of all answers and of those given, share unknown, the confusion
        matrix as counts, and by modality the number of pictures, accuracy and share unknown.
        """
        truth, found, certain = (np.array(words, object) for words in (self.truth, self.found, self.certain))
        classes = [name for name in CLASSES if (truth == name).any()]
        given = found != "unknown"
        rows = {
            name: {
                "pictures": int((truth == name).sum()),
                "accuracy": _share(certain[truth == name] == name),
                "accuracy_of_answers": _share(found[(truth == name) & given] == name),
                "unknown": _share(~given[truth == name]),
            }
            for name in classes
        }
        answered = [row["accuracy_of_answers"] for row in rows.values() if row["accuracy_of_answers"] is not None]
        return {
            "pictures": len(truth),
            "accuracy": _share(certain == truth),
            "balanced_accuracy": round(float(np.mean([row["accuracy"] for row in rows.values()])), 4) if rows else None,
            "balanced_accuracy_of_answers": round(float(np.mean(answered)), 4) if answered else None,
            "accuracy_of_answers": _share(found[given] == truth[given]),
            "unknown": _share(~given),
            "modalities": rows,
            "confusion": {
                name: dict(sorted(Counter(found[truth == name].tolist()).items())) for name in classes
            },
        }  # fmt: skip


def fit_head(features: Features, labels: Sequence[str], datasets: Sequence[str], network: str) -> Head:
    """The head of all pictures, its temperature chosen on unseen data sets; features are N x D.

    Raises:
        ValueError: a label is none of `filters.modality_classes.LABELS`, or there are fewer than two.
    """
    for label in set(labels):
        modality_of(label)
    if len(set(labels)) < 2:
        raise ValueError("a head tells at least two labels apart")
    words, origins = np.array(labels), np.array(datasets)
    temperature = _temperature(_folds(features, words, origins, network), features, words, origins)
    recipe = {
        "method": "ridge regression, labels and data sets weighted alike", "ridge": RIDGE,
        "pictures": {
            label: dict(sorted(Counter(origins[words == label].tolist()).items())) for label in sorted(set(labels))
        },
    }  # fmt: skip
    return _solved(features, words, origins, network, temperature, recipe)


def unseen(
    features: Features, labels: Sequence[str], datasets: Sequence[str], network: str, confidence: float, judged: int
) -> Evaluation:
    """Each data set judged by a head that was fitted on all the others; of all pictures the first `judged` count.

    Only pictures count whose modality another data set has, too: nobody can name what he was never shown. The one
    temperature of all folds is chosen on all data sets, the judged one among them.
    """
    words, origins = np.array(labels), np.array(datasets)
    folds = _folds(features, words, origins, network)
    temperature = _temperature(folds, features, words, origins)
    truth, found, certain = [], [], []
    for name, fold in folds:
        head = replace(fold, temperature=temperature)
        held = (origins == name) & (np.arange(len(words)) < judged)
        known = {modality_of(label) for label in head.labels}
        chances = head.probabilities(features[held])
        for label, row in zip(words[held].tolist(), chances, strict=True):
            if modality_of(label) in known:
                best, score = best_modality(head.labels, row)
                truth.append(modality_of(label))
                certain.append(best)
                found.append(best if score >= confidence else "unknown")
    return Evaluation(tuple(truth), tuple(found), tuple(certain))


def nearest(features: Features, labels: Sequence[str], datasets: Sequence[str], judged: int) -> Evaluation:
    """The same by the nearest neighbour of another data set (cosine): what any trained head must beat."""
    origins = np.array(datasets)
    modalities = np.array([modality_of(label) for label in labels], object)
    length = np.maximum(np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True), 1e-12)
    unit = features / length
    truth, found = [], []
    for name in sorted(set(datasets)):
        own_set = origins == name
        held = own_set & (np.arange(len(labels)) < judged)
        if own_set.all() or not held.any():
            continue
        seen = unit[~own_set]
        closest = np.concatenate([(some @ seen.T).argmax(axis=1) for some in _blocks(unit[held])])
        others = modalities[~own_set]
        for own, answer in zip(modalities[held], others[closest], strict=True):
            if own in others:
                truth.append(str(own))
                found.append(str(answer))
    return Evaluation(tuple(truth), tuple(found), tuple(found))


def best_modality(labels: Sequence[str], chances: npt.NDArray[np.float64]) -> tuple[str, float]:
    """The modality with most probability, its kinds added up, and that probability."""
    summed: dict[str, float] = {}
    for label, chance in zip(labels, chances.tolist(), strict=True):
        name = KINDS.get(label, label)
        summed[name] = summed.get(name, 0.0) + chance
    best = max(summed, key=lambda name: (summed[name], name))
    return best, summed[best]


def _blocks(rows: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """The rows, some at a time: with 50,000 others a block's similarities take 200 MB."""
    yield from (rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK))


def _share(hits: npt.NDArray[Any]) -> float | None:
    return round(float(np.mean(hits)), 4) if len(hits) else None


def _temperature(folds: list[tuple[str, Head]], features: Features, words: Words, origins: Words) -> float:
    """The temperature at which the modalities of unseen data sets are most likely, each modality counting alike.

    0.1 where no modality is in two data sets.
    """
    scored: list[tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], str]] = []
    for name, head in folds:
        held = origins == name
        modalities = np.array([modality_of(label) for label in head.labels])
        for row, word in zip(head.scores(features[held]), words[held].tolist(), strict=True):
            own = modalities == modality_of(word)
            if own.any():
                scored.append((row, own, modality_of(word)))
    counted = Counter(word for *_, word in scored)

    def loss(temperature: float) -> float:
        told = [(softmax(row[None] / temperature)[0, own].sum(), word) for row, own, word in scored]
        return float(sum(-np.log(chance + 1e-6) / counted[word] for chance, word in told))

    return min(TEMPERATURES, key=loss) if scored else 0.1


def _folds(features: Features, words: Words, origins: Words, network: str) -> list[tuple[str, Head]]:
    """For each data set a head of the others, where these tell two labels apart at least."""
    found = []
    for name in sorted(set(origins.tolist())):
        seen = origins != name
        if len(set(words[seen].tolist())) > 1:
            found.append((name, _solved(features[seen], words[seen], origins[seen], network, 0.1, {})))
    return found


def _solved(
    features: Features, words: Words, origins: Words, network: str, temperature: float, recipe: dict[str, Any]
) -> Head:
    labels = sorted(set(words.tolist()))
    weight = _weights(words, origins)
    x = features[:, : features.shape[1] - (network in WITH_COLOUR)].astype(np.float64)
    mean = weight @ x
    centred = (x - mean) * np.sqrt(weight)[:, None]
    one_hot = (words[:, None] == np.array(labels)[None]).astype(np.float64)
    bias = weight @ one_hot
    wanted = np.sqrt(weight)[:, None] * (one_hot - bias)
    penalty = RIDGE * np.square(centred).sum() / min(x.shape)
    if len(x) > x.shape[1]:  # the same solution by D x D numbers: of 50,000 pictures N x N would have 20 GB
        solution = np.linalg.solve(centred.T @ centred + penalty * np.eye(x.shape[1]), centred.T @ wanted)
    else:
        solution = centred.T @ np.linalg.solve(centred @ centred.T + penalty * np.eye(len(x)), wanted)
    return Head(
        network, tuple(labels), mean.astype(np.float32), solution.T.astype(np.float32), bias.astype(np.float32),
        temperature, recipe,
    )  # fmt: skip


def _weights(words: Words, origins: Words) -> npt.NDArray[np.float64]:
    """One for every picture, summing to one: labels alike, and within a label data sets alike."""
    pairs = list(zip(words.tolist(), origins.tolist(), strict=True))
    counted = Counter(pairs)
    sets = Counter(word for word, _ in counted)
    found = np.array([1 / (counted[pair] * sets[pair[0]]) for pair in pairs])
    weights: npt.NDArray[np.float64] = found / found.sum()
    return weights
