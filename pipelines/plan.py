"""Planning: every corpus is cut into fragments of bounded size, and the cuts of unchanged files are kept."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Self

import blake3

from pipelines.engines.engine import Engine
from pipelines.ingest import IngestTask, corpus_parameters
from pipelines.isolation import KILLS_BEFORE_ISOLATION, DeadlyError, reach
from pipelines.plan_apart import planned_apart
from pipelines.progress import Reporter
from pipelines.session import Session
from pipelines.work import Commit, key_of
from sources.readers.ranges import READ_BYTES, opened, sealed, surroundings
from sources.readers.ranges import found as stat_of
from sources.records import ChangedInputError, Corpus, CorpusError, Fragment, Reader

NODE, REFUSED = "plan", "plan_unreadable"
VERSION = 1
NUMBERS = (
    "digest", "start", "stop", "first_row", "records", "size", "file_size", "file_stamp", "counted", "aside",
)  # fmt: skip
"""Fields of a fragment of a file of records that may be stored: all but the file's name."""


@dataclass(frozen=True)
class PlanTask:
    """Cuts one file of records. The commit holds numbers and digests, no names.

    `attempt` counts the workers it has killed.
    """

    corpus: int
    path: str
    attempt: int = 0

    @property
    def label(self) -> str:
        """What is planned."""
        return f"{NODE} of source {self.corpus + 1}"

    def run(self, session: Session) -> Commit:
        """Commit the fragments, found again while the file's size and time are the same.

        Raises:
            CurateError: cutting the file kills, whatever records are passed over.
        """
        if self.attempt >= KILLS_BEFORE_ISOLATION:
            return planned_apart(session, self.corpus, self.path, self.cut)
        return self.cut(session, session.reader(self.corpus))

    def cut(self, session: Session, reader: Reader) -> Commit:
        """As `run`, with this reader."""
        key = self.key(session)
        found = session.work.find(NODE, key)
        if found is not None:
            return found
        rows = []
        for part in reader.plan(session.corpora[self.corpus], (self.path,)):
            rows.append({name: getattr(part, name) for name in NUMBERS})
            reach(None)
        return session.work.commit(NODE, key, {}, {"fragments": rows})

    def key(self, session: Session) -> str:
        """What the cut depends on."""
        corpus = session.corpora[self.corpus]
        stat = corpus.root.stat(self.path)
        if stat is None:
            raise ChangedInputError(f"source {corpus.name}: a file went away while the build was planned")
        named = corpus.identity.name("path", self.path)
        around = surroundings(corpus, self.path).decode()
        return key_of(
            NODE,
            VERSION,
            session.reader_version(self.corpus),
            corpus_parameters(corpus),
            named,
            around,
            stat.size,
            stat.stamp,
        )

    def again(self) -> Self:
        """The task after it killed a worker."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class PlanIfReadableTask(PlanTask):
    """The same, but a file that is not in its reader's form has no fragments, and the commit says so."""

    def run(self, session: Session) -> Commit:
        """As `PlanTask`; `refused` has size and digest of a file that the reader gave up, or that kills as it is cut.

        It is found again, but where that may have been the machine's fault.
        """
        corpus = session.corpora[self.corpus]
        try:
            key = self.key(session)
        except ChangedInputError:
            raise
        except CorpusError:  # of what lies beside the file
            return Commit(REFUSED, "", {}, _refused(corpus, self.path))
        found = session.work.find(REFUSED, key)
        if found is not None:
            return found
        try:
            return super().run(session)
        except ChangedInputError:
            raise
        except DeadlyError:
            return Commit(REFUSED, key, {}, _refused(corpus, self.path))
        except CorpusError as error:
            facts = _refused(corpus, self.path)
            if isinstance(error.__context__, OSError) or facts["refused"]["digest"] is None:
                return Commit(REFUSED, key, {}, facts)
            return session.work.commit(REFUSED, key, {}, facts)


def _refused(corpus: Corpus, path: str) -> dict[str, Any]:
    """Facts of a file without fragments. Its digest is of all its bytes, None where they cannot be had."""
    size, digest = stat_of(corpus, path).size, None
    with suppress(CorpusError), opened(corpus, path) as file:
        hasher = blake3.blake3()
        while chunk := file.read(READ_BYTES):
            hasher.update(chunk)
        digest = sealed(corpus, hasher)
    return {"fragments": [], "refused": {"size": size, "digest": digest}}


WHOLE = "."
"""The path of a folder that is refused as one."""


@dataclass(frozen=True)
class Refused:
    """A file that is not in its reader's form, where that ends nothing: all its bytes, and a digest of them.

    Of a corpus that is cut as a folder it is the folder, without either, and `why` says what is wrong with it.
    """

    path: str
    size: int
    digest: str | None
    why: str = ""


@dataclass(frozen=True)
class Planned:
    """The fragments of one corpus in order, and what the run keeps of its inputs."""

    corpus: int
    fragments: tuple[Fragment, ...]
    refused: tuple[Refused, ...] = ()

    @property
    def records(self) -> int:
        """Records, or files of a folder, before any is read."""
        return sum(fragment.records for fragment in self.fragments)


def plan_fragments(
    engine: Engine, session: Session, corpora: Sequence[Corpus], reporter: Reporter | None = None,
    task_of: type[PlanTask] = PlanTask,
) -> list[Planned]:  # fmt: skip
    """Cut every corpus. Files of records are cut by workers, folders are listed here.

    `corpora` are those of the session, with their files; `task_of` cuts one of them. Where it is `PlanIfReadableTask`,
    a folder that cannot be cut is refused as a file is.

    Raises:
        CurateError: a file is not in its reader's form.
    """
    by_file: dict[tuple[int, str], list[Fragment]] = {}
    refused: dict[int, list[Refused]] = {}
    tasks = [
        task_of(number, path)
        for number, corpus in enumerate(corpora)
        if session.reader(number).unit == "file"
        for path in corpus.files
    ]
    if reporter is not None:
        reporter.begin(NODE, len(tasks))
    for number, commit in engine.run(tasks):
        task = tasks[number]
        if reporter is not None:
            reporter.advance(0, commit.reused)
        if "refused" in commit.facts:
            refused.setdefault(task.corpus, []).append(Refused(task.path, **commit.facts["refused"]))
        by_file[task.corpus, task.path] = [Fragment(task.path, **row) for row in commit.facts["fragments"]]
    if reporter is not None:
        reporter.end()
    planned = []
    for number, corpus in enumerate(corpora):
        reader = session.reader(number)
        if reader.unit == "file":
            fragments = [fragment for path in corpus.files for fragment in by_file[number, path]]
        else:
            fragments, refused[number] = _folder_cut(reader, corpus, task_of)
        gone = sorted(refused.get(number, ()), key=lambda one: one.path)
        planned.append(Planned(number, tuple(fragments), tuple(gone)))
    return planned


def _folder_cut(reader: Reader, corpus: Corpus, task_of: type[PlanTask]) -> tuple[list[Fragment], list[Refused]]:
    try:
        return list(reader.plan(corpus, corpus.files)), []
    except ChangedInputError:
        raise
    except CorpusError as error:
        if task_of is PlanTask:
            raise
        return [], [Refused(WHOLE, 0, None, str(error))]


def ingest_tasks(planned: Sequence[Planned], limit: int | None) -> Iterator[IngestTask]:
    """One task a fragment, in the order of the run; `limit` keeps the first records of each source."""
    number = 0
    for source in planned:
        left = limit
        for fragment in source.fragments:
            if left is not None and left <= 0:
                break
            known = fragment.counted == "records"
            cut = left if left is not None and (left < fragment.records or not known) else None
            yield IngestTask(source.corpus, fragment, number, cut)
            number += 1
            if left is not None:
                left = left - fragment.records if known else 0  # at most the limit, where files hold several records


def input_listing(corpus: Corpus, planned: Planned) -> dict[str, Any]:
    """What the run was built from, the same on every machine: names (keyed where they identify), sizes, hashes.

    A folder of many files is listed as one hash over their names and sizes; its pictures have ids in the
    images table.
    """
    if any(fragment.files for fragment in planned.fragments):
        return _as_folder(corpus, ((entry.path, entry.size) for part in planned.fragments for entry in part.files))
    if any(one.path == WHOLE for one in planned.refused):
        stats = ((path, corpus.root.stat(path)) for path in corpus.files)
        return _as_folder(corpus, ((path, stat.size if stat else 0) for path, stat in stats))
    by_path: dict[str, list[Fragment]] = {path: [] for path in corpus.files}
    for fragment in planned.fragments:
        by_path[fragment.path].append(fragment)
    refused = {one.path: one for one in planned.refused}
    listing: list[dict[str, Any]] = []
    for path, parts in by_path.items():
        gone = refused.get(path)
        digest = blake3.blake3("".join(part.digest for part in parts).encode()).hexdigest()[:32]
        size = sum(part.size for part in parts)
        row = {"bytes": size, "digest": digest} if gone is None else {"bytes": gone.size, "digest": gone.digest}
        listing.append({"path": corpus.identity.name("path", path), **row})
    return {"files": len(listing), "bytes": sum(row["bytes"] for row in listing), "listing": listing}


def _as_folder(corpus: Corpus, files: Iterable[tuple[str, int]]) -> dict[str, Any]:
    rows = sorted((corpus.identity.name("path", path), size) for path, size in files)
    return {"files": len(rows), "bytes": sum(size for _, size in rows), "digest": key_of(rows)}


def limited(planned: Sequence[Planned], limit: int) -> list[Planned]:
    """The plan of a build that takes the first `limit` records of each source."""
    kept: dict[int, list[Fragment]] = {}
    for task in ingest_tasks(planned, limit):
        kept.setdefault(task.corpus, []).append(task.fragment)
    return [replace(source, fragments=tuple(kept.get(source.corpus, ()))) for source in planned]
