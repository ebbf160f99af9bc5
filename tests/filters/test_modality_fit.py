from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from filters import modality_fit
from filters.efficientnet import FEATURES, NETWORK
from filters.modality_classes import LABELS
from filters.modality_fit import Evaluation, fit_head, nearest, unseen
from filters.modality_head import SHIPPED, HeadError, load_head, read_head

RNG = np.random.default_rng(3)
SHOWN = ("ct", "mri", "chart", "natural")


def collection(each: int = 12) -> tuple[npt.NDArray[np.float64], list[str], list[str]]:
    """Two data sets, each with an offset of its own, of four labels that lie apart."""
    centres = RNG.normal(size=(len(SHOWN), 32))
    features, labels, datasets = [], [], []
    for name in ("one", "two"):
        offset = RNG.normal(size=32) * 0.3
        for place, label in enumerate(SHOWN):
            features.append(centres[place] + offset + RNG.normal(size=(each, 32)) * 0.3)
            labels += [label] * each
            datasets += [name] * each
    return np.concatenate(features), labels, datasets


def test_a_head_tells_apart_what_it_was_shown_and_survives_its_file() -> None:
    features, labels, datasets = collection()
    head = fit_head(features, labels, datasets, "network")
    again = read_head(head.to_bytes(), "head.npz")
    chances = again.probabilities(features)
    assert [again.labels[place] for place in chances.argmax(axis=1)] == labels
    assert np.allclose(chances.sum(axis=1), 1, atol=1e-3)
    assert again.recipe["pictures"]["ct"] == {"one": 12, "two": 12}


def test_the_same_pictures_give_the_same_file() -> None:
    features, labels, datasets = collection()
    order = np.arange(len(labels))[::-1]
    turned = fit_head(features[order], [labels[n] for n in order], [datasets[n] for n in order], "n")
    head = fit_head(features, labels, datasets, "n")
    assert head.to_bytes() == fit_head(features, labels, datasets, "n").to_bytes()
    assert np.allclose(head.weights, turned.weights, atol=1e-4)


def test_unseen_data_sets_are_judged_by_the_others_alone() -> None:
    features, labels, datasets = collection()
    labels[:12] = ["oct"] * 12  # a modality that only data set one has: nobody could know it
    report = unseen(features, labels, datasets, "n", 0.1, 96).report()
    assert "oct" not in report["modalities"]
    assert report["pictures"] == 96 - 12 - 12  # those, and the ones of data set two whose label has no other
    assert report["modalities"]["not_medical"]["accuracy"] > 0.9


def test_a_confidence_that_nobody_reaches_leaves_all_unknown() -> None:
    features, labels, datasets = collection()
    report = unseen(features, labels, datasets, "n", 1.01, 96).report()
    assert report["unknown"] == 1
    assert report["balanced_accuracy_of_answers"] is None
    assert report["balanced_accuracy"] > 0.9


def test_the_nearest_neighbour_is_of_another_data_set() -> None:
    features = np.array([[1.0, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]])
    report = nearest(features, ["ct", "mri", "mri", "ct"], ["a", "a", "b", "b"], 4).report()
    assert report["confusion"] == {"ct": {"ct": 1, "mri": 1}, "mri": {"ct": 1, "mri": 1}}


def test_balanced_accuracy_is_the_mean_over_modalities() -> None:
    report = Evaluation(("ct",) * 9 + ("mri",), ("ct",) * 9 + ("unknown",), ("ct",) * 10).report()
    assert (report["balanced_accuracy"], report["accuracy"]) == (0.5, 0.9)
    assert (report["balanced_accuracy_of_answers"], report["unknown"]) == (1.0, 0.1)


def test_labels_that_are_none_of_ours_are_refused() -> None:
    with pytest.raises(ValueError, match="'cat' is not one of"):
        fit_head(np.eye(2), ["ct", "cat"], ["a", "b"], "n")
    with pytest.raises(ValueError, match="at least two"):
        fit_head(np.eye(2), ["ct", "ct"], ["a", "b"], "n")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04broken", b"not a head"])
def test_a_file_that_is_no_head_is_refused(data: bytes) -> None:
    with pytest.raises(HeadError, match=r"head\.npz: no head"):
        read_head(data, "head.npz")


def test_a_truncated_head_is_refused() -> None:
    features, labels, datasets = collection()
    data = fit_head(features, labels, datasets, "n").to_bytes()
    with pytest.raises(HeadError):
        read_head(data[: len(data) // 2], "head.npz")


def test_a_head_that_was_damaged_anywhere_is_refused() -> None:
    features, labels, datasets = collection()
    data = fit_head(features, labels, datasets, "n").to_bytes()
    refused = 0
    for place in [*range(80), *range(len(data) - 80, len(data))]:
        broken = bytearray(data)
        broken[place] ^= 0xFF
        try:
            read_head(bytes(broken), "head.npz")
        except HeadError:
            refused += 1
    assert refused > 80  # what else was damaged are dates and the like


def test_the_shipped_head_is_of_the_network_and_tells_how_it_was_measured() -> None:
    head, digest = load_head(SHIPPED)
    assert (head.network, head.weights.shape[1], len(digest)) == (NETWORK, FEATURES, 64)
    assert set(head.labels) <= set(LABELS)
    measured = head.recipe["unseen"]
    assert measured["pictures"] == sum(sum(row.values()) for row in measured["confusion"].values())


@pytest.mark.parametrize("block", [1, 512])
def test_more_pictures_than_features_give_the_solution_of_as_many_equations(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    words, origins = np.array(["ct", "mri"] * 20), np.array(["one"] * 20 + ["two"] * 20)
    few = rng.normal(size=(40, 6)) + (words == "ct")[:, None]
    wide = np.concatenate([few, np.zeros((40, 50))], axis=1)  # 56 features of 40 pictures: the other way of solving
    narrow = modality_fit._solved(few, words, origins, "n", 0.1, {})
    monkeypatch.setattr(modality_fit, "RIDGE", modality_fit.RIDGE * 40 / 6)  # it is a share by the smaller side
    other = modality_fit._solved(wide, words, origins, "n", 0.1, {})
    assert np.allclose(narrow.weights[:, :6], other.weights[:, :6], atol=1e-5)
    whole = modality_fit.nearest(few, list(words), list(origins), 40)
    monkeypatch.setattr(modality_fit, "BLOCK", block)
    assert modality_fit.nearest(few, list(words), list(origins), 40) == whole


def test_colour_speaks_against_grey_modalities_and_grey_against_coloured_ones() -> None:
    features, labels, datasets = collection()
    plain = fit_head(features, labels, datasets, "n")
    head = replace(plain, labels=("ct", "dermoscopy", "pet", "xray"), temperature=1.0)
    given = {}
    for colour in (0.0, 0.02, 0.5):
        given[colour] = head.probabilities(np.column_stack([features, np.full(len(features), colour)]))
        assert given[colour].sum(axis=1) == pytest.approx(1, abs=1e-3)
    assert (given[0.02] == head.probabilities(features)).all()
    assert (given[0.5][:, 0] <= given[0.02][:, 0]).all()
    assert (given[0.0][:, 1] <= given[0.02][:, 1]).all()
    assert given[0.5][:, 0].sum() < given[0.02][:, 0].sum()
    assert given[0.0][:, 1].sum() < given[0.02][:, 1].sum()
