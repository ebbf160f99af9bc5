"""Ingest: records of a fragment become samples, and the unreadable ones are quarantined."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from filters.verdicts import decided
from pipelines.bisect import FATAL_ERRORS, Failure
from pipelines.counts import tally
from pipelines.phi.texts import Given, screened, text_parameters
from pipelines.session import Session
from pipelines.suspect_records import Lost, answers
from pipelines.takedown.step import taken_out
from pipelines.view import kept_rows, numbered, rows_table
from pipelines.work import Commit, key_of
from sources.identity import keyed_digest
from sources.joins import match
from sources.mapping import to_sample, unreadable_sample
from sources.records import Corpus, Fragment, Record, RecordError, Unreadable
from sources.schema import SAMPLES, Reason, Verdict

NAME = "ingest"
VERSION = 5


@dataclass(frozen=True)
class IngestTask:
    """Reads one fragment of a corpus; `limit` takes only its first records.

    `attempt` counts the workers it has killed.
    """

    corpus: int
    fragment: Fragment
    number: int
    limit: int | None = None
    attempt: int = 0

    @property
    def label(self) -> str:
        """Step and fragment."""
        return f"{NAME} {self.number}"

    def key(self, session: Session) -> str:
        """Everything the samples depend on: the records, the card, the prompts, the site key, joined rows."""
        corpus, joined = session.corpora[self.corpus], self.fragment.joined
        return key_of(
            NAME,
            VERSION,
            corpus_parameters(corpus),
            session.reader_version(self.corpus),
            session.splits[self.corpus],
            session.recipe.prompts.model_dump(),
            corpus.splits.get(self.fragment.path),
            self.fragment.digest,
            self.limit,
            *(() if joined is None else (joined.digest, joined.columns)),
            *text_parameters(session, corpus),
        )

    def run(self, session: Session) -> Commit:
        """Commit `samples`, `verdicts` and `alive`.

        The facts count what was passed over in records, by kind, and what joins with a table in memory found.
        """
        key, removal = self.key(session), session.removal
        # A commit from which samples were taken out has a key of its own: no other may then be found or copied.
        found = None if removal is None else session.work.find(NAME, key_of(key, removal.digest))
        found = found or session.work.find(NAME, key, None if removal is None else removal.leaves)
        if found is not None:
            return found
        samples, verdicts, told = self._read(session)
        if removal is not None:
            samples, verdicts, changed = taken_out(removal, samples, verdicts)
            key = key_of(key, removal.digest) if changed else key
        rows = np.arange(samples.num_rows, dtype=np.int32)
        return session.work.put(
            NAME,
            key,
            {
                "samples": samples,
                "verdicts": numbered(rows, verdicts),
                "alive": rows_table(kept_rows(rows, verdicts)),
            },
            {"counts": tally(len(rows), 0, verdicts), **told},
            "lz4",
        )

    def _read(self, session: Session) -> tuple[pa.Table, pa.Table, dict[str, dict[str, int]]]:
        rows: list[dict[str, Any]] = []
        given: list[Given] = []
        for found in answers(session, self.corpus, self.fragment, self.limit, _sample, self.attempt):
            row, verdict = self._lost(session, found) if isinstance(found, Lost) else found
            rows.append(row)
            given.append(verdict)
        verdicts, reasons, evidence = zip(*given, strict=True) if given else ((), (), ())
        decisions = decided(np.array(verdicts, object), np.array(reasons, object), evidence=list(evidence))
        passed_over = Counter(kind for row in rows for kind in row.get("passed_over", ()))
        matches = Counter(row["match"] for row in rows if row.get("match"))
        told = {"passed_over": dict(sorted(passed_over.items())), "matches": dict(sorted(matches.items()))}
        return pa.Table.from_pylist(rows, schema=SAMPLES), decisions, told

    def _lost(self, session: Session, lost: Lost) -> tuple[dict[str, Any], Given]:
        row = unreadable_sample(session.corpora[self.corpus], self.fragment.path, lost.record)
        return row, (Verdict.QUARANTINE, lost.record.reason, lost.evidence)

    def again(self) -> "IngestTask":
        """The task after it killed a worker."""
        return replace(self, attempt=self.attempt + 1)


def corpus_parameters(corpus: Corpus) -> dict[str, Any]:
    """What of a corpus its samples depend on, besides its records. Holds no raw name."""
    site_key = corpus.identity.site_key
    told = {"description", "home", "fetch", "note", "made_from", "holds", "ignored"}  # people, and other commands
    parameters = corpus.card.model_dump(exclude={*told, "layout"})
    parameters["name"] = corpus.name
    parameters["images"] = corpus.card.layout.images
    if corpus.card.layout.split_images:
        parameters["split_images"] = corpus.card.layout.split_images
    parameters["site_key"] = None if site_key is None else keyed_digest(site_key, "check", "")
    return parameters


def _sample(
    session: Session, number: int, corpus: Corpus, path: str, item: Record | Unreadable
) -> tuple[dict[str, Any], Given]:
    if isinstance(item, Unreadable):
        detail = orjson.dumps({"detail": item.detail}).decode()
        return unreadable_sample(corpus, path, item), (Verdict.QUARANTINE, item.reason, detail)
    try:
        row, given = screened(session, corpus, path, item, to_sample(corpus, path, item, session.prompts))
        if corpus.card.join is not None and corpus.companion is None and not item.finished:
            row["match"] = match(corpus, path, item)
    except FATAL_ERRORS:
        raise
    except RecordError as error:
        return _sample(session, number, corpus, path, Unreadable(item.key, error.reason, str(error)))
    except Exception as error:  # noqa: BLE001 - a record may hold anything: it is quarantined, the others go on
        unreadable = Unreadable(item.key, Reason.RECORD_MALFORMED, type(error).__name__)
        answer = (Verdict.QUARANTINE, Reason.RECORD_MALFORMED, Failure.of(error).evidence)
        return unreadable_sample(corpus, path, unreadable), answer
    if not _is_taken(row["split"], session.splits[number]):
        return row, (Verdict.DROP, Reason.RECORD_SPLIT, orjson.dumps({"split": row["split"]}).decode())
    if not row["turns"] and not row["images"]:
        return row, (Verdict.DROP, Reason.RECORD_EMPTY, None)
    return row, given


def _is_taken(split: str | None, taken: tuple[str, ...] | None) -> bool:
    """Whether a record's split is one of those asked for; where none is asked for, all but `test` are."""
    if split is None:
        return True
    return split in taken if taken is not None else split.casefold() != "test"
