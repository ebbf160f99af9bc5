"""Whether the eval sets of an audit are the benchmarks that they are called: the items fetched, and all of them."""

from collections.abc import Sequence

from pipelines.audit.evals import Evals
from pipelines.audit.protect import ProtectedSet


def changed(sets: Sequence[ProtectedSet], evals: Evals, *, required: bool) -> list[str]:
    """Sentences on sets whose items are not those that their description has the hash of, required ones or others."""
    stated = {found.evalset.name: found.evalset.content for found in evals.found}
    return [
        f"eval set {one.name}: its items are not those that were fetched (content {one.content[:12]}, not"
        f" {str(stated[one.name])[:12]})"
        for one in sets
        if stated.get(one.name) not in (None, one.content) and (one.name not in evals.optional) == required
    ]


def other_counts(sets: Sequence[ProtectedSet], evals: Evals) -> list[str]:
    """Sentences on sets with another number of items than their card: an honest subset is no error, but it is told."""
    said = []
    cards = {found.evalset.name: found.evalset.expected for found in evals.found}
    for one in sets:
        expected = cards[one.name]
        if expected.items is not None and one.items != expected.items:
            said.append(f"eval set {one.name}: {one.items:,} items; {expected.by or 'the card'} has {expected.items:,}")
    return said
