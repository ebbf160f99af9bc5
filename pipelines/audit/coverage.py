"""What an audit cannot say of its eval sets: a gap where the set is required, else something that is not covered."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from dedup.decontamination.findings import Channel
from pipelines.audit.evals import Evals, Missing
from pipelines.audit.protect import ProtectedSet
from sources.schema import Reason


def with_items(evals: Evals, sets: Iterable[ProtectedSet]) -> Evals:
    """The eval sets, of which optional ones without an item count as not there: nothing can be found of them."""
    empty = {one.name: tuple(_lacks(one)) for one in sets if not one.items and one.name in evals.optional}
    absent = [
        Missing(one.evalset.name, required=False, fetch=one.evalset.fetch, lacks=empty[one.evalset.name])
        for one in evals.found
        if one.evalset.name in empty
    ]
    return replace(
        evals,
        found=tuple(one for one in evals.found if one.evalset.name not in empty),
        missing=tuple(sorted([*evals.missing, *absent], key=lambda one: one.name)),
        optional=evals.optional - empty.keys(),
    )


def gaps_of_sets(evals: Evals, sets: Iterable[ProtectedSet]) -> list[str]:
    """Sentences on required eval sets: what of them is not there or cannot be read."""
    told = [f"eval set {one.name} is required and not there" for one in evals.missing if one.required]
    return told + [sentence for one in sets if one.name not in evals.optional for sentence in _lacks(one)]


def not_covered_of_sets(evals: Evals, sets: Iterable[ProtectedSet]) -> list[str]:
    """Sentences on optional ones."""
    told = [
        f"{sentence} (it is optional)"
        for one in evals.missing
        if not one.required
        for sentence in one.lacks or (f"eval set {one.name}: not there",)
    ]
    lacking = [sentence for one in sets if one.name in evals.optional for sentence in _lacks(one)]
    return told + [f"{sentence} (it is optional)" for sentence in lacking]


def unmeasured(sets: Iterable[ProtectedSet], measured: Mapping[str, Collection[str]] | None) -> list[str]:
    """Sentences on what nobody knows the recall of; `measured`: eval set -> channels, None where no probe was planted.

    A verdict `clean` says less where it is not known what the search would have found.
    """
    if measured is None:
        return ["recall not measured (no probes were planted): how much this audit would have found is not known"]
    told = []
    for channel in (Channel.IMAGE, Channel.TEXT):
        names = [
            one.name
            for one in sets
            if one.items and (one.pictures or channel == Channel.TEXT) and channel not in measured.get(one.name, ())
        ]
        if names:
            told.append(f"recall not measured in channel {channel.value} (no probe of their items): {', '.join(names)}")
    return told


def without_pictures(sets: Iterable[ProtectedSet], shown: int) -> list[str]:
    """Sentences where only one side has pictures, so that none was compared; `shown`: how many the data have."""
    names = [one.name for one in sets if one.items and bool(one.pictures) != bool(shown)]
    if not names:
        return []
    if shown:
        return [f"eval sets without a picture, looked for by their texts only: {', '.join(names)}"]
    return [f"the data have no picture: those of {', '.join(names)} were looked for nowhere"]


def _lacks(one: ProtectedSet) -> list[str]:
    """What of an eval set that is there cannot be searched for."""
    told = [] if one.items else [f"eval set {one.name} holds no item"]
    for reason, count in one.unread.items():
        if reason == Reason.IMAGE_MISSING:
            told.append(f"eval set {one.name}: {count:,} pictures that its items name are not there")
        else:
            told.append(f"eval set {one.name}: {count:,} x {reason}")
    return told
