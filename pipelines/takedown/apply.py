"""Carrying out a takedown that has been prepared: from the plan on, killed anywhere, it can only be finished.

Everything new lies in `work/removal/new` under its final name, and `plan.json`, put last, says what is to happen.
`manifest.json` and `run.json` go first and come last, so that nobody reads old shards with new tables. What reads
or builds the run finishes an interrupted takedown first, or refuses.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from pipelines.errors import CurateError
from pipelines.report.beside import companions
from pipelines.report.page import PAGE, write_page
from pipelines.report.parts import published_parts
from pipelines.report.survey import check_survey, surveyed
from pipelines.run_directory import IDENTITY, MANIFEST, PENDING_REMOVAL, RUN, expect_locked
from pipelines.takedown.record import NOTHING, REMOVED, Removal, adopted, read_record
from pipelines.takedown.sift import any_of, listed_in, sift_work, these
from pipelines.versions import library_versions
from pipelines.work import Work
from shards.card import CARD_NAME
from shards.manifest import Manifest
from sources.storage import Folder

PLACE = "removal"
PLAN = PENDING_REMOVAL
NEW = f"work/{PLACE}/new"
LAST = (MANIFEST, RUN)


def is_pending(run: Folder) -> bool:
    """Whether a takedown was prepared and not finished."""
    return run.stat(PLAN) is not None


def refuse_pending(run: Folder) -> None:
    """Stop what cannot finish a takedown and must not read its middle.

    Raises:
        CurateError: one was interrupted.
    """
    if is_pending(run):
        raise CurateError(f"{run.place}: a removal was interrupted", "run the same `curate remove` again: it finishes")


def finish_pending(run: Folder) -> bool:
    """Finish an interrupted takedown, or forget one that was not prepared to the end; for who holds the run's lock.

    Returns whether there was one to finish.
    """
    if is_pending(run):
        _apply(run, orjson.loads(run.read(PLAN)))
        return True
    run.delete_tree(f"work/{PLACE}")
    return False


def removal_of(run: Folder, reuse: Sequence[Folder]) -> Removal | None:
    """What a build into `run` must leave out; an interrupted takedown is finished first. For who holds the lock.

    Raises:
        CurateError: a takedown from one of the runs to be reused was interrupted.
    """
    for other in reuse:
        refuse_pending(other)
    finish_pending(run)
    record = adopted(run, reuse)
    if record.digest != read_record(run).digest:
        # The run's own work may hold what was taken down elsewhere; only then does the record say that it does not.
        sift_work(run, listed_in(record), (), PLACE)
        run.write(REMOVED, record.to_bytes())
    return Removal(run, record.digest) if record.digest != NOTHING.digest else None


def _apply(run: Folder, plan: Mapping[str, Any]) -> None:
    """Make the run what the plan says. Every step may have been done before."""
    document = orjson.loads(run.read(f"{NEW}/{RUN}"))
    expect_locked(run)
    if run.stat(IDENTITY) is None:  # so that no other build takes the folder while run.json is away
        run.write(IDENTITY, orjson.dumps(document["identity"], option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2))
    for path in (RUN, MANIFEST, PAGE, *plan["delete"]):
        run.delete(path)
    for path in (REMOVED, *plan["files"]):
        run.take(run, f"{NEW}/{path}", path)
    for path in plan["trees"]:
        run.delete_tree(path)
    # The tables do not tell all that lies in work: a build that was killed has committed what it did not publish.
    in_tables = these({(source, key) for source, key in plan["keys"]}, plan["images"])
    sift_work(run, any_of(in_tables, listed_in(read_record(run))), plan["tars"], PLACE)
    if run.stat(f"shards/{CARD_NAME}") is not None:
        _write_companions(run, document)
    expect_locked(run)
    for path in LAST:
        run.take(run, f"{NEW}/{path}", path)
    if plan["page"]:
        write_page(Work(run, (), library_versions()), {"missing": [], "audit": "not_run"})
    run.delete(PLAN)
    run.delete_tree(f"work/{PLACE}")


def _write_companions(run: Folder, document: Mapping[str, Any]) -> None:
    """Write the data card and Croissant anew, from the tables as they are now.

    Raises:
        ConservationError: the tables do not hold what `run.json` is going to say.
    """
    survey = surveyed(run, published_parts(run))
    check_survey(document, survey)
    manifest = Manifest.model_validate_json(run.read(f"{NEW}/{MANIFEST}"))
    for name, data in companions(document, manifest, survey).items():
        run.write(f"shards/{name}", data)
