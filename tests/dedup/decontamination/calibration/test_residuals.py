from typing import Any

import numpy as np
import pytest

from dedup.decontamination.calibration.outcomes import Recall
from dedup.decontamination.calibration.reach import Reach, unmeasured
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
    both = {"a": dict.fromkeys(("image", "text"), Reach(100, frozenset(map(str, range(100)))))}
    told = residuals(counts, both, {"a": {"image": recall}}, {"image": recall, "text": recall})
    assert {channel: one["seen"] for channel, one in told["a"].items()} == {"image": 1, "text": 1}
    assert [told["a"][channel]["recall_of"] for channel in ("image", "text")] == ["eval_set", "all eval sets"]


def test_a_channel_without_probes_says_nothing() -> None:
    assert residuals([row("1", "text")], {"a": {"text": Reach(10, frozenset("123"))}}, {}, {}) == {}


def test_the_upper_bound_holds_in_95_of_100_draws() -> None:
    rng = np.random.default_rng(5)
    share, there, planted, held = 0.85, 120, 60, 0
    for _ in range(400):
        recall = Recall(rng.binomial(planted, share) / planted, planted, planted, 0)
        seen = int(rng.binomial(there, share))
        held += remaining(seen, recall, 10_000)["upper95"] >= there - seen
    assert held >= 380


def test_a_set_without_pictures_has_no_row_and_the_bound_is_of_items_that_can_be_planted() -> None:
    recall = Recall(1.0, 3, 3, 3)
    reach = {"a": {"text": Reach(1000, frozenset(("1", "2")))}, "b": {"text": Reach(7, frozenset())}}
    told = residuals([row("1", "text")], reach, {}, {"image": recall, "text": recall})
    assert set(told["a"]) == {"text"}
    assert (told["a"]["text"]["upper95"], told["a"]["text"]["not_planted"]) == (1.0, 998)
    assert (told["b"]["text"]["expected"], told["b"]["text"]["upper95"], told["b"]["text"]["not_planted"]) == (
        None,
        None,
        7,
    )


def test_a_channel_with_items_and_no_probe_is_a_weakness() -> None:
    reach = {"a": {"image": Reach(5, frozenset()), "text": Reach(9, frozenset())}}
    pair = {"kind": "leak", "channel": "pair"}
    decoy = {"kind": "decoy", "channel": "image"}
    assert unmeasured([pair, decoy], reach) == [
        "channel image: 5 items and no probe could be planted: its recall is not known"
    ]
    assert len(unmeasured([], reach)) == 2
    assert unmeasured([], {"a": {}}) == []
