import pytest

from pipelines.preview import Shown
from sources.cards import catalogue


@pytest.mark.parametrize("source", ["vqa_rad", "mine"])
def test_without_a_run_nothing_is_shown_of_a_source_that_is_not_named_whatever_it_is_called(source: str) -> None:
    assert "vqa_rad" in catalogue()
    alone = Shown(frozenset(), known=False, allowed=frozenset())
    assert all(alone.hides(source, access) for access in ("open", "gated", "credentialed"))
    named = Shown(frozenset(), known=False, allowed=frozenset({source}))
    assert not named.hides(source, "gated")
    assert named.hides(source, "credentialed")


def test_what_a_run_says_of_its_sources_holds_over_what_is_named() -> None:
    told = Shown(frozenset({"films"}), known=True, allowed=frozenset({"films"}))
    assert told.hides("films", "open")
    assert not told.hides("reads", "gated")
