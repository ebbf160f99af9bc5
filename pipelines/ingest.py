"""Ingest: records of a fragment become samples, and the unreadable ones are quarantined."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from filters.verdicts import decided
from pipelines.bisect import FATAL_ERRORS, Failure
from pipelines.counts import tally
from pipelines.joined_rows import with_joined_rows
from pipelines.removed import LOOKED_AT, taken_out
from pipelines.session import Session
from pipelines.view import kept_rows, numbered, rows_table
from pipelines.work import Commit, key_of
from sources.identity import keyed_digest
from sources.mapping import to_sample, unreadable_sample
from sources.records import Corpus, Fragment, Record, RecordError, Unreadable
from sources.schema import SAMPLES, Reason, Verdict

NAME = "ingest"
VERSION = 1


@dataclass(frozen=True)
class IngestTask:
    """Reads one fragment of a corpus; `limit` takes only its first records."""

    corpus: int
    fragment: Fragment
    number: int
    limit: int | None = None

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
        )

    def run(self, session: Session) -> Commit:
        """Commit `samples`, `verdicts` and `alive`."""
        key, removal = self.key(session), session.removal
        found = session.work.find(NAME, key)
        if found is not None and not self._is_concerned(session, found):
            return found
        if removal is not None:
            found = session.work.find(NAME, key_of(key, removal.digest))
            if found is not None:
                return found
        samples, verdicts = self._read(session)
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
            {"counts": tally(len(rows), 0, verdicts)},
        )

    def _is_concerned(self, session: Session, found: Commit) -> bool:
        """Whether a commit of before a takedown holds what was taken down."""
        if session.removal is None:
            return False
        return bool(session.removal.matches(session.work.read(found.parts["samples"], LOOKED_AT)))

    def _read(self, session: Session) -> tuple[pa.Table, pa.Table]:
        corpus = with_joined_rows(session.work, session.corpora[self.corpus], self.fragment)
        rows: list[dict[str, Any]] = []
        answers: list[tuple[Verdict, str | None, str | None]] = []
        for item in self._records(session, corpus):
            row, answer = _sample(session, self.corpus, corpus, self.fragment.path, item)
            rows.append(row)
            answers.append(answer)
        verdicts, reasons, evidence = zip(*answers, strict=True) if answers else ((), (), ())
        return pa.Table.from_pylist(rows, schema=SAMPLES), decided(
            np.array(verdicts, object), np.array(reasons, object), evidence=list(evidence)
        )

    def _records(self, session: Session, corpus: Corpus) -> Iterator[Record | Unreadable]:
        records = session.reader(self.corpus).read(corpus, self.fragment)
        return records if self.limit is None else islice(records, self.limit)


def corpus_parameters(corpus: Corpus) -> dict[str, Any]:
    """What of a corpus its samples depend on, besides its records. Holds no raw name."""
    site_key = corpus.identity.site_key
    parameters = corpus.card.model_dump(exclude={"description", "home", "fetch", "layout"})
    parameters["name"] = corpus.name
    parameters["images"] = corpus.card.layout.images
    parameters["site_key"] = None if site_key is None else keyed_digest(site_key, "check", "")
    return parameters


def _sample(
    session: Session, number: int, corpus: Corpus, path: str, item: Record | Unreadable
) -> tuple[dict[str, Any], tuple[Verdict, str | None, str | None]]:
    if isinstance(item, Unreadable):
        detail = orjson.dumps({"detail": item.detail}).decode()
        return unreadable_sample(corpus, path, item), (Verdict.QUARANTINE, item.reason, detail)
    try:
        row = to_sample(corpus, path, item, session.prompts)
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
    return row, (Verdict.KEEP, None, None)


def _is_taken(split: str | None, taken: tuple[str, ...] | None) -> bool:
    """Whether a record's split is one of those asked for; where none is asked for, all but `test` are."""
    if split is None:
        return True
    return split in taken if taken is not None else split.casefold() != "test"
