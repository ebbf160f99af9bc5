from typing import Any

from dedup.decontamination.calibration.outcomes import DECOY, LEAK, calibration_of, recall_of, table_of, weaknesses


def rows(channel: str, transform: str, found: int, of: int, kind: str = LEAK) -> list[dict[str, Any]]:
    base = {"kind": kind, "channel": channel, "transform": transform, "eval_set": "a"}
    return [{**base, "item": number, "found": number < found} for number in range(of)]


def test_calibration_is_counted_by_channel_and_transform() -> None:
    told = calibration_of(
        [*rows("image", "invert", 3, 4), *rows("text", "markup", 5, 5), *rows("text", "x", 0, 9, DECOY)]
    )
    assert told["image"] == {"invert": {"planted": 4, "found": 3, "recall": 0.75, "ci95": [0.3006, 0.9544]}}
    assert told["text"]["markup"]["recall"] == 1.0
    assert set(told["text"]) == {"markup"}
    false = told["false_positives"]
    assert (false["decoys"], false["flagged"], false["kinds"]["x"]["decoys"]) == (9, 0, 9)


def test_each_transform_counts_the_same_however_often_it_was_planted() -> None:
    recall = recall_of([*rows("text", "one", 1, 1), *rows("text", "two", 0, 99)])
    assert (recall.mean, recall.planted, recall.found, recall.items) == (0.5, 100, 1, 99)


def test_a_channel_below_the_policy_makes_the_audit_insensitive_and_another_does_not_make_up_for_it() -> None:
    found = [*rows("image", "invert", 7, 10), *rows("text", "markup", 10, 10)]
    assert weaknesses(found, 0.8) == ["channel image: mean recall of its probes is 0.70, below 0.80"]
    assert weaknesses(found, 0.7) == []


def test_one_flagged_decoy_of_many_shows_nothing_and_one_of_few_does() -> None:
    assert weaknesses(rows("text", "sibling", 1, 1000, DECOY), 0.8) == []
    assert weaknesses(rows("text", "sibling", 1, 30, DECOY), 0.8) == [
        "1 of 30 decoys were flagged: more than 1 in 1,000"
    ]
    assert weaknesses(rows("text", "sibling", 6, 1000, DECOY), 0.8) != []
    assert weaknesses([], 0.8) == []


def test_outcomes_have_no_room_for_content() -> None:
    table = table_of(rows("text", "markup", 1, 1))
    assert table.schema.names == [
        "kind",
        "channel",
        "transform",
        "eval_set",
        "item",
        "found",
        "grade",
        "score",
        "other",
    ]
