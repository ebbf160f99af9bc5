"""What is lacking of a required eval set is a gap, of an optional one it is not covered."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.audit.coverage import gaps_of_sets, not_covered_of_sets, unmeasured, with_items, without_pictures
from pipelines.audit.evals import Evals, Missing, find_evals
from pipelines.audit.protect import ProtectedSet
from sources.storage import LocalFolder
from tests.end_to_end.audits import eval_set


def protected(unread: dict[str, int], items: int = 3) -> ProtectedSet:
    return ProtectedSet("mine", "1", None, "MIT", "open", ("test",), (), "d", items, 0, 2, 0, unread, "c")


@pytest.mark.parametrize(("unread", "items", "told"), [
    ({"image.missing": 3}, 3, "eval set mine: 3 pictures that its items name are not there"),
    ({"record.malformed": 1}, 3, "eval set mine: 1 x record.malformed"),
    ({}, 0, "eval set mine holds no item"),
])  # fmt: skip
def test_what_a_set_lacks_makes_an_audit_incomplete_only_where_it_is_required(
    unread: dict[str, int], items: int, told: str
) -> None:
    sets = [protected(unread, items)]
    required, optional = Evals((), ()), Evals((), (), frozenset({"mine"}))
    assert (gaps_of_sets(required, sets), not_covered_of_sets(required, sets)) == ([told], [])
    assert (gaps_of_sets(optional, sets), not_covered_of_sets(optional, sets)) == ([], [f"{told} (it is optional)"])


def test_sets_that_are_not_there(tmp_path: Path) -> None:
    evals = Evals((), (Missing("a", True, ""), Missing("b", False, "")))
    assert gaps_of_sets(evals, []) == ["eval set a is required and not there"]
    assert not_covered_of_sets(evals, []) == ["eval set b: not there (it is optional)"]


@pytest.mark.parametrize(("required", "optional"), [(None, set()), ([], {"mine"}), (["mine"], set())])
def test_which_of_the_sets_that_are_there_are_optional(
    tmp_path: Path, required: list[str] | None, optional: set[str]
) -> None:
    eval_set(tmp_path)
    evals = find_evals(["mine"], required, [LocalFolder(tmp_path)], None)
    assert [one.evalset.name for one in evals.found] == ["mine"]
    assert evals.optional == optional


@pytest.mark.parametrize(("required", "items", "left"), [([], 0, []), (None, 0, ["mine"]), ([], 3, ["mine"])])
def test_only_an_optional_set_without_an_item_counts_as_not_there(
    tmp_path: Path, required: list[str] | None, items: int, left: list[str]
) -> None:
    eval_set(tmp_path)
    evals = with_items(find_evals(["mine"], required, [LocalFolder(tmp_path)], None), [protected({"empty": 2}, items)])
    assert [one.evalset.name for one in evals.found] == left
    assert evals.asked == bool(left)
    assert [one.lacks for one in evals.missing] == (
        [] if left else [("eval set mine holds no item", "eval set mine: 2 x empty")]
    )


def test_channels_of_which_no_probe_was_planted_are_not_covered() -> None:
    sets = [protected({})]
    assert unmeasured(sets, {"mine": {"image", "text"}}) == []
    assert unmeasured(sets, {"mine": {"image"}}) == [
        "recall not measured in channel text (no probe of their items): mine"
    ]
    assert len(unmeasured(sets, {})) == 2
    assert unmeasured([protected({}, items=0)], {}) == []
    assert "no probes were planted" in unmeasured(sets, None)[0]


def test_that_only_one_side_has_pictures_is_not_covered() -> None:
    bare = replace(protected({}), pictures=0)
    shown = replace(bare, name="films", pictures=4)
    assert without_pictures([bare], 0) == without_pictures([shown], 9) == []
    assert without_pictures([bare, shown], 9) == ["eval sets without a picture, looked for by their texts only: mine"]
    assert without_pictures([bare, shown], 0) == ["the data have no picture: those of films were looked for nowhere"]
