"""What a build must not leave in `work/` after a takedown, where a fragment's readers cannot know it.

Tables that sources join hold rows of people who were taken down, and some samples are only known at the last step
(a frame, a record that got an id of its own, a picture listed by its pixels): what was committed of them goes when the
build is published. A later build does that part again.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pyarrow.compute as pc

from pipelines.flow import Flow
from pipelines.nodes import WITHOUT_CONTENT, holds_joined_rows
from pipelines.report.page import PAGE
from pipelines.run_directory import expect_locked
from pipelines.takedown.sift import delete_commit, stem_of
from pipelines.takedown.step import STEP
from pipelines.view import View
from pipelines.work import Work
from sources.schema import Verdict

READERS = 8
"""Verdicts read at the same time: in a bucket reading is waiting."""


def clear_work(flow: Flow) -> None:
    """Delete what joins left, and the commits with content of the fragments in which the last step dropped samples.

    For builds into a run that something was taken down from, once they are published. Killed at any point, the next
    build finishes it.
    """
    run = flow.session.work.folder
    expect_locked(run)
    for node in run.inside("work").names():
        if holds_joined_rows(node):
            run.delete_tree(f"work/{node}")
    if not flow.steps[-1].dropped:
        return
    with ThreadPoolExecutor(READERS) as pool:
        dropped = pool.map(partial(_drops, flow.session.work), flow.views)
        for view, is_concerned in zip(flow.views, dropped, strict=True):
            if is_concerned:
                run.delete(PAGE)  # the page of before stays where there is no work left to make another of
            for stem in _with_content(view) if is_concerned else ():
                found = run.files(stem.rpartition("/")[0])
                delete_commit(run, [stat.path for stat in found if stem_of(stat.path) == stem])


def _drops(work: Work, view: View) -> bool:
    verdicts = work.read(dict(view.verdicts)[STEP], ["verdict"])["verdict"]
    return bool(pc.any(pc.equal(verdicts, Verdict.DROP)).as_py())


def _with_content(view: View) -> Iterable[str]:
    """The commits that hold texts or pictures of a fragment: what all files of each begin with."""
    parts = [*view.samples, *view.parts.values(), *(part for _, part in view.verdicts)]
    return sorted({stem_of(part.path) for part in parts if part.path.split("/")[1] not in WITHOUT_CONTENT})
