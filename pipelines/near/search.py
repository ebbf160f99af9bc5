"""The whole search for near-duplicates of one kind: propose, send, verify, resolve."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.near.kind import Kind, Place
from pipelines.near.propose import proposed
from pipelines.near.resolve import ResolveTask
from pipelines.near.travel import Gathered, gather_tasks, gathered, send_tasks
from pipelines.near.verify import VerifyTask
from pipelines.sorted_runs import MAX_FRAGMENTS
from pipelines.view import View
from pipelines.work import Commit, Part, Work

Each = Callable[[str, Sequence[Any]], list[Commit]]


@dataclass(frozen=True)
class Found:
    """What a search found, for each fragment in order."""

    answers: Sequence[Part]
    """ANSWERS: the items that are near-duplicates of a kept one."""
    edges: Sequence[tuple[Part, ...]]
    """EDGES: every pair that was verified there, round by round."""
    groups: int
    largest: int


def search(each: Each, work: Work, kind: Kind, views: Sequence[View]) -> Found:
    """Find the near-duplicates among the items of all fragments; `each` runs tasks and gives their commits.

    Members of a group that were not compared with its best are verified against it in a second round.
    """
    candidates = proposed(each, kind, views)
    spans = [range(run.first, run.first + run.count) for run in candidates.runs]
    numbers = tuple(run * MAX_FRAGMENTS + place for run, span in enumerate(spans) for place in range(len(span)))
    rounds: list[list[Gathered]] = []
    edges: list[list[Part]] = []
    parts, shares = candidates.parts, candidates.shares
    for _ in range(2):
        sent = each(f"{kind.name} send", send_tasks(kind, spans, views, parts, shares))
        rounds.append(gathered(spans, each(f"{kind.name} gather", gather_tasks(kind, spans, sent))))
        index = {number: place for place, number in enumerate(numbers)}
        tasks = [
            VerifyTask(kind, view, place, rounds[-1][place], _places(work, kind, rounds[-1][place], views, index))
            for place, view in enumerate(views)
        ]
        edges.append([commit.parts["edges"] for commit in each(f"{kind.name} verify", tasks)])
        places = tuple(tuple(one.places for one in gathered_) for gathered_ in rounds)
        task = ResolveTask(kind.name, numbers, tuple(map(tuple, edges)), places)
        (solved,) = each(f"{kind.name} groups", [task])
        parts, shares = [solved.parts["unverified"]], [solved.facts["shares"]]
        if not parts[0].rows:
            break
    answers = [solved.parts[str(number)] for number in range(len(views))]
    return Found(answers, list(zip(*edges, strict=True)), solved.facts["groups"], solved.facts["largest"])


def _places(
    work: Work, kind: Kind, gathered_: Gathered, views: Sequence[View], index: Mapping[int, int]
) -> tuple[tuple[int, Place], ...]:
    """Where the pictures are that one fragment's pairs need from others."""
    if not kind.opens_pictures or not gathered_.places.rows:
        return ()
    found = []
    for number in sorted(set(work.read(gathered_.places, ["fragment"])["fragment"].to_pylist())):
        view = views[index[number]]
        found.append((number, Place(view.corpus, view.fragment)))
    return tuple(found)
