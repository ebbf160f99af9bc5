"""What an audit cannot say of its eval sets: a gap where the set is required, else something that is not covered."""

from collections.abc import Iterable

from pipelines.audit.evals import Evals
from pipelines.audit.protect import ProtectedSet
from sources.schema import Reason


def gaps_of_sets(evals: Evals, sets: Iterable[ProtectedSet]) -> list[str]:
    """Sentences on required eval sets: what of them is not there or cannot be read."""
    told = [f"eval set {one.name} is required and not there" for one in evals.missing if one.required]
    return told + [sentence for one in sets if one.name not in evals.optional for sentence in _lacks(one)]


def not_covered_of_sets(evals: Evals, sets: Iterable[ProtectedSet]) -> list[str]:
    """Sentences on optional ones."""
    told = [f"eval set {one.name}: not there (it is optional)" for one in evals.missing if not one.required]
    lacking = [sentence for one in sets if one.name in evals.optional for sentence in _lacks(one)]
    return told + [f"{sentence} (it is optional)" for sentence in lacking]


def _lacks(one: ProtectedSet) -> list[str]:
    """What of an eval set that is there cannot be searched for."""
    told = [] if one.items else [f"eval set {one.name} holds no item"]
    for reason, count in one.unread.items():
        if reason == Reason.IMAGE_MISSING:
            told.append(f"eval set {one.name}: {count:,} pictures that its items name are not there")
        else:
            told.append(f"eval set {one.name}: {count:,} x {reason}")
    return told
