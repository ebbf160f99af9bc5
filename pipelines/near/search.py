"""The whole search for near-duplicates of one kind: propose, send, verify, resolve."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.near.kind import Kind, Place
from pipelines.near.propose import proposed
from pipelines.near.resolve import ResolveTask
from pipelines.near.travel import Gathered, gather_tasks, gathered, send_tasks, sent_to
from pipelines.near.verify import VerifyRunTask, VerifyTask
from pipelines.sorted_runs import MAX_FRAGMENTS
from pipelines.view import View
from pipelines.work import Commit, Part, Work

Each = Callable[[str, Sequence[Any]], list[Commit]]


@dataclass(frozen=True)
class Found:
    """What a search found, for each fragment in order."""

    answers: Sequence[Part]
    """ANSWERS: the items that are near-duplicates of a kept one."""
    further: Sequence[Part]
    """FURTHER, where the kind tells them: which other kept ones lead to near-duplicates of an item."""
    edges: Sequence[tuple[Part, ...]]
    """EDGES: every pair that was verified there, round by round."""
    groups: int
    largest: int


@dataclass(frozen=True)
class Round:
    """One round of verification."""

    spans: Sequence[range]
    """The fragments of each run: in pairs a fragment's number is its run's times 128 plus its number in the run."""
    sent: Sequence[Part]
    """SENT of each run that has the earlier item of a pair, in order of the runs."""
    gathered: Sequence[Gathered]
    """What each fragment had to verify, in order; empty from `verified_by_run`, which gathers nothing."""
    edges: Sequence[Part]
    """EDGES of each fragment, in order."""


def search(
    each: Each,
    work: Work,
    kind: Kind,
    views: Sequence[View],
    settle: Callable[[Round], Sequence[Part]] | None = None,
) -> Found:
    """Find the near-duplicates among the items of all fragments; `each` runs tasks and gives their commits.

    Members of a group that were not compared with its best are verified against it in a second round. After each
    round `settle` may look again at its pairs: its EDGES are those that count.
    """
    candidates = proposed(each, kind, views)
    spans = [range(run.first, run.first + run.count) for run in candidates.runs]
    sent: list[tuple[Part, ...]] = []
    edges: list[list[Part]] = []
    parts, shares = candidates.parts, candidates.shares
    for _ in range(2):
        if settle is None and not kind.opens_pictures:
            done = verified_by_run(each, kind, views, spans, parts, shares)
        else:
            done = verified(each, work, kind, views, spans, parts, shares)
        sent.append(tuple(done.sent))
        edges.append(list(done.edges if settle is None else settle(done)))
        task = ResolveTask(kind.name, numbers_of(spans), tuple(map(tuple, edges)), tuple(sent), kind.tells_further)
        (solved,) = each(f"{kind.name} groups", [task])
        parts, shares = [solved.parts["unverified"]], [solved.facts["runs"]]
        if not parts[0].rows:
            break
    answers = [solved.parts[str(number)] for number in range(len(views))]
    further = [solved.parts[f"further {number}"] for number in range(len(views))]
    return Found(answers, further, list(zip(*edges, strict=True)), solved.facts["groups"], solved.facts["largest"])


def verified(
    each: Each,
    work: Work,
    kind: Kind,
    views: Sequence[View],
    spans: Sequence[range],
    parts: Sequence[Part],
    shares: Sequence[dict[str, str]],
) -> Round:
    """Verify PAIRS: `parts`, sorted by fragment, and for each what stands for its rows of each run."""
    sent = each(f"{kind.name} send", send_tasks(kind, spans, views, parts, shares))
    found = gathered(spans, each(f"{kind.name} gather", gather_tasks(kind, spans, sent)))
    places = {number: Place(view.corpus, view.fragment) for number, view in zip(numbers_of(spans), views, strict=True)}
    tasks = [
        VerifyTask(kind, view, number, own, _opened(work, kind, own, places))
        for number, (view, own) in enumerate(zip(views, found, strict=True))
    ]
    edges = [commit.parts["edges"] for commit in each(f"{kind.name} verify", tasks)]
    return Round(spans, [commit.parts["pairs"] for commit in sent], found, edges)


def verified_by_run(
    each: Each,
    kind: Kind,
    views: Sequence[View],
    spans: Sequence[range],
    parts: Sequence[Part],
    shares: Sequence[dict[str, str]],
) -> Round:
    """As `verified`, where no picture is opened and nobody looks again at what was gathered."""
    sent = each(f"{kind.name} send", send_tasks(kind, spans, views, parts, shares))
    tasks = [
        VerifyRunTask(kind, tuple(views[span.start : span.stop]), number, *sent_to(number, sent))
        for number, span in enumerate(spans)
    ]
    commits = each(f"{kind.name} verify", tasks)
    edges = [
        commit.parts[f"edges {place}"]
        for span, commit in zip(spans, commits, strict=True)
        for place in range(len(span))
    ]
    return Round(spans, [commit.parts["pairs"] for commit in sent], [], edges)


def numbers_of(spans: Sequence[range]) -> tuple[int, ...]:
    """The number of each fragment in pairs."""
    return tuple(run * MAX_FRAGMENTS + place for run, span in enumerate(spans) for place in range(len(span)))


def _opened(work: Work, kind: Kind, gathered_: Gathered, places: dict[int, Place]) -> tuple[tuple[int, Place], ...]:
    """Where the pictures are that one fragment's pairs need from others."""
    if not kind.opens_pictures or not gathered_.places.rows:
        return ()
    numbers = sorted(set(work.read(gathered_.places, ["fragment"])["fragment"].to_pylist()))
    return tuple((number, places[number]) for number in numbers)
