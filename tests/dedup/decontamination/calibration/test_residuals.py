from typing import Any

import numpy as np
import pytest

from dedup.decontamination.calibration.outcomes import Recall
from dedup.decontamination.calibration.residuals import remaining, residuals


def row(eval_id: str, channel: str, grade: str = "near_text") -> dict[str, Any]:
    return {"eval_set": "a", "eval_id": eval_id, "channel": channel, "grade": grade}


def test_what_was_found_at_a_recall_says_what_was_not() -> None:
    told = remaining(90, Recall(0.9, 1000, 1000, 900), 5000)
    assert told["expected"] == pytest.approx(10.0)
    assert 10 < told["upper95"] < 30
    assert told["recall_low"] == pytest.approx(0.88, abs=0.005)


def test_no_more_can_remain_than_there_are_items() -> None:
    assert remaining(90, Recall(0.5, 10, 10, 5), 4)["upper95"] == 4
    nothing = remaining(0, Recall(0.0, 10, 10, 0), 70)
    assert (nothing["expected"], nothing["upper95"]) == (70.0, 70.0)


def test_nothing_found_by_few_probes_still_leaves_a_bound() -> None:
    few, many = (remaining(0, Recall(1.0, items, items, items), 1000) for items in (3, 3000))
    assert few["expected"] == many["expected"] == 0
    assert few["upper95"] > many["upper95"] == 0


def test_an_item_counts_once_pairs_count_for_pictures_and_groups_for_nothing() -> None:
    counts = [row("1", "pair"), row("1", "image"), row("2", "text"), row("3", "group", "same_group"),
              row("4", "text", "template_sibling")]  # fmt: skip
    recall = Recall(0.8, 50, 50, 40)
    told = residuals(counts, {"a": 100}, {"a": {"image": recall}}, {"image": recall, "text": recall})
    assert {channel: one["seen"] for channel, one in told["a"].items()} == {"image": 1, "text": 1}
    assert [told["a"][channel]["recall_of"] for channel in ("image", "text")] == ["eval_set", "all eval sets"]


def test_a_channel_without_probes_says_nothing() -> None:
    assert residuals([row("1", "text")], {"a": 10}, {}, {}) == {}


def test_the_upper_bound_holds_in_95_of_100_draws() -> None:
    rng = np.random.default_rng(5)
    share, there, planted, held = 0.85, 120, 60, 0
    for _ in range(400):
        recall = Recall(rng.binomial(planted, share) / planted, planted, planted, 0)
        seen = int(rng.binomial(there, share))
        held += remaining(seen, recall, 10_000)["upper95"] >= there - seen
    assert held >= 380
