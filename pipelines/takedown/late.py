"""What a build must not leave in `work/` after a takedown, where a fragment's readers cannot know it.

Tables that sources join hold rows of people who were taken down, and some samples are only known at the last step
(a frame, a record that got an id of its own, a picture listed by its pixels): what was committed of their fragments
goes when the build is published, and what nobody knows to be of others. A later build does that part again.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pyarrow.compute as pc

from pipelines.flow import Flow
from pipelines.ingest import NAME as INGEST
from pipelines.nodes import holds_joined_rows
from pipelines.report.page import PAGE
from pipelines.run_directory import expect_locked
from pipelines.takedown.sift import SIFTED, delete_commit, delete_unsiftable, stem_of
from pipelines.takedown.step import STEP
from pipelines.view import View
from pipelines.work import Work
from sources.schema import Verdict

READERS = 8
"""Verdicts read at the same time: in a bucket reading is waiting."""


def clear_work(flow: Flow) -> None:
    """Delete what joins left and, where the last step dropped samples, the content of their fragments.

    That is their commits with content, and everything of steps whose commits cannot be told apart (contracts, other
    packages). For builds into a run that something was taken down from, once they are published. Killed at any point,
    the next build finishes it.
    """
    run = flow.session.work.folder
    expect_locked(run)
    for node in run.inside("work").names():
        if holds_joined_rows(node):
            run.delete_tree(f"work/{node}")
    if not flow.steps[-1].dropped:
        return
    with ThreadPoolExecutor(READERS) as pool:
        dropped = list(pool.map(partial(_drops, flow.session.work), flow.views))
    concerned = [view for view, is_concerned in zip(flow.views, dropped, strict=True) if is_concerned]
    if not concerned:
        return
    run.delete(PAGE)  # the page of before stays where there is no work left to make another of
    delete_unsiftable(run)
    for stem in _with_content(concerned):
        found = run.files(stem.rpartition("/")[0])
        delete_commit(run, [stat.path for stat in found if stem_of(stat.path) == stem])


def _drops(work: Work, view: View) -> bool:
    verdicts = work.read(dict(view.verdicts)[STEP], ["verdict"])["verdict"]
    return bool(pc.any(pc.equal(verdicts, Verdict.DROP)).as_py())


def _with_content(views: Sequence[View]) -> list[str]:
    """The commits that hold texts or pictures of these fragments: what all files of each begin with.

    Those of ingest come last: a run without any, as one that lies in a bucket may be then, passes for cleaned
    (`run_directory.finished_with`), and no build would finish what was not done by then.
    """
    stems = {stem_of(part.path) for view in views for part in (*view.samples, *view.parts.values())}
    return sorted((stem for stem in stems if _node(stem) in SIFTED), key=lambda stem: (_node(stem) == INGEST, stem))


def _node(stem: str) -> str:
    return stem.split("/")[1]
