"""A look at an eval set."""

import json
from pathlib import Path

from dedup.evalsets.checking import check, check_lines
from dedup.evalsets.locating import find_evalset
from dedup.evalsets.registry import known
from sources.storage import folder_at
from tests.dedup.evalsets.sets import KEY, written


def test_slake_tells_its_counts_and_what_its_splits_share(shared_data: Path) -> None:
    found = find_evalset(known("slake"), [folder_at(shared_data)])
    assert found is not None
    looked = check(found)
    assert (looked["items"], looked["images_absent"], looked["mismatches"]) == (2094, 180, [])
    assert looked["groups"] == {"case": {"items": 2094, "groups": 180}}
    shared = {one["with"]: (one["items_shared"], one["groups"]["case"]["shared"]) for one in looked["inside"]}
    assert shared["train"] == (1517, 142)
    assert "  1517 of 2094 items share something with its own train" in check_lines(looked)


def test_fewer_items_than_the_card_has_are_a_mismatch(shared_data: Path) -> None:
    found = find_evalset(known("mmlu_med"), [folder_at(shared_data)])
    assert found is not None
    assert check(found)["mismatches"] == ["1089 items; Lingshu Table 25 has 1897"]


def test_of_a_keyed_set_no_text_is_shown(tmp_path: Path) -> None:
    records = [{"id": "7", "findings": "Clear lungs of Mr Miller."}]
    found = written(tmp_path, records, task="report", identifiers="keyed", groups=["patient"]).keyed_under(KEY)
    looked = check(found)
    assert looked["items"] == 1
    assert "Miller" not in json.dumps(looked) + "".join(check_lines(looked))
    assert looked["mismatches"] == ["no item has the group patient, which the card promises"]
