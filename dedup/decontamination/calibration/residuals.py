"""What may remain: the leaks that were not found, by those that were and the recall of the probes."""

from collections.abc import Iterable, Mapping
from typing import Any

from dedup.decontamination.assemble import RANK
from dedup.decontamination.calibration.intervals import most_missed, wilson
from dedup.decontamination.calibration.outcomes import Recall
from dedup.decontamination.calibration.reach import Reach
from dedup.decontamination.findings import Channel
from dedup.decontamination.grades import Grade

ASSUMPTION = (
    "It is assumed that real leaks are altered as the probes are, each transform as often as any other, and that each"
    " eval item is found or missed independently of the others. Only items are counted of which probes can be made:"
    " nothing is said of short or stock questions that count together with their picture or answer only, nor of"
    " pictures that show too little."
)
CHANNELS: Mapping[str, frozenset[str]] = {
    Channel.IMAGE.value: frozenset({Channel.IMAGE.value, Channel.PAIR.value}),
    Channel.TEXT.value: frozenset({Channel.TEXT.value}),
}
"""Channel of the probes -> channels of the findings it stands for: a pair whose picture is missed is no pair."""
ERROR = 0.025
"""Of the bound on the number, given the recall. The lower end of the recall's 95 % interval errs as often, so that both
hold together in at least 95 % (Bonferroni)."""


def residuals(
    counts: Iterable[Mapping[str, Any]],
    reach: Mapping[str, Mapping[str, Reach]],
    recalls: Mapping[str, Mapping[str, Recall]],
    pooled: Mapping[str, Recall],
) -> dict[str, dict[str, dict[str, Any]]]:
    """Eval set -> channel -> leaked items that were found, and that are expected not to be, with a 95 % upper bound.

    With R items found and a recall r, R (1 - r) / r more are expected (R = N r solved for N - R). The upper bound is
    `most_missed` at the lower end of the 95 % interval of r. Neither exceeds the items of which probes can be made and
    that were not found; where there is none at all, both are None. A channel of which a set has nothing has no row. The
    interval is as if each planted item were one probe: what several transforms of one item say is not independent.

    Args:
        counts: of findings, removed ones included: `eval_set`, `eval_id`, `channel`, `grade`.
        reach: eval set -> channel -> its items, and those of which probes can be made.
        recalls: eval set -> channel -> recall of its own probes.
        pooled: channel -> recall over all sets, for sets of which nothing could be planted.
    """
    seen: dict[tuple[str, str], set[str]] = {}
    leaked: dict[str, set[str]] = {}
    for row in counts:
        if RANK[row["grade"]] > RANK[Grade.PARAPHRASE]:
            continue
        leaked.setdefault(row["eval_set"], set()).add(row["eval_id"])
        for channel, stands_for in CHANNELS.items():
            if row["channel"] in stands_for:
                seen.setdefault((row["eval_set"], channel), set()).add(row["eval_id"])
    told: dict[str, dict[str, dict[str, Any]]] = {}
    for name, channels in reach.items():
        for channel, reached in channels.items():
            recall = recalls.get(name, {}).get(channel) or pooled.get(channel)
            if recall is not None:
                found = len(seen.get((name, channel), ()))
                row = remaining(found, recall, len(reached.findable - leaked.get(name, set())))
                if not reached.findable:
                    row |= {"expected": None, "upper95": None}
                told.setdefault(name, {})[channel] = {
                    **row,
                    "recall_of": "eval_set" if channel in recalls.get(name, {}) else "all eval sets",
                    "items": reached.items,
                    "not_planted": reached.items - len(reached.findable),
                }
    return told


def remaining(seen: int, recall: Recall, left: int) -> dict[str, Any]:
    """Of one eval set and channel: `seen` items found, `left` items that were not found at all."""
    low = wilson_of_items(recall)[0]
    expected = float(left) if recall.mean == 0 else min(seen * (1 - recall.mean) / recall.mean, float(left))
    return {
        "seen": seen,
        "expected": round(expected, 3),
        "upper95": float(most_missed(seen, low, left, ERROR)),
        "recall": round(recall.mean, 4),
        "recall_low": round(low, 4),
    }


def wilson_of_items(recall: Recall) -> tuple[float, float]:
    """The interval of a mean recall, with as many observations as items were planted."""
    return wilson_share(recall.mean, recall.items)


def wilson_share(share: float, of: int) -> tuple[float, float]:
    """`wilson` of a share that is no whole number of `of`: of the next lower number, to be safe."""
    return wilson(int(share * of + 1e-9), of)
