"""Deciding: a step's verdicts on the samples of one fragment that are still kept."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.verdicts import decided
from pipelines.bisect import Failure, Piece, bisect
from pipelines.counts import tally
from pipelines.errors import ConservationError
from pipelines.facts import LOOKUPS, read_facts
from pipelines.isolation import isolated
from pipelines.session import Session
from pipelines.steps import DecideStep, ExchangeStep, own_fingerprint
from pipelines.view import View, alive_rows, kept_rows, numbered, read_samples, rows_table
from pipelines.work import Commit, key_of
from sources.schema import VERDICTS, Verdict


@dataclass(frozen=True)
class DecideTask:
    """Runs a filter on one fragment. `errors` names the part that lists samples whose facts failed."""

    step: DecideStep
    view: View
    number: int
    errors: str | None = None
    made: int = 0
    """Rows that the step's facts added to the fragment: they are decided here for the first time."""
    attempt: int = 0

    @property
    def label(self) -> str:
        """Step and fragment."""
        return f"{self.step.name} {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `verdicts` and `alive`."""
        work, view, step = session.work, self.view, self.step
        errors = (self.errors,) if self.errors else ()
        key = key_of(own_fingerprint(step), view.digests(step.columns, *step.reads, *errors), self.made)
        found = work.find(step.name, key)
        if found is not None:
            return found
        given = alive_rows(work, view)
        total = sum(part.rows for part in view.samples)
        rows = np.concatenate([given, np.arange(total - self.made, total, dtype=np.int32)])
        failed = _failures(session, view, self.errors)
        sound = rows[~np.isin(rows, list(failed))]
        samples = read_samples(work, view, sound, step.columns)
        facts = read_facts(session, view, step.reads, sound)
        decide = partial(_decide, step, samples, facts)
        pieces = list(bisect(isolated(decide, self.attempt, step), len(sound)))
        verdicts = _merged(step.name, pieces, sound, failed, rows)
        return _put(session, step.name, key, rows, verdicts, self.made)

    def again(self) -> "DecideTask":
        """The task after it killed a worker."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class ExchangeDecideTask:
    """Gives verdicts from what an exchange answered: part `{step}_followers` of the fragment."""

    step: ExchangeStep
    view: View
    number: int

    @property
    def label(self) -> str:
        """Step and fragment."""
        return f"{self.step.name} {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `verdicts` and `alive`."""
        work, view, step = session.work, self.view, self.step
        answers = f"{step.name}_followers"
        key = key_of(own_fingerprint(step), view.digests(step.columns, answers, f"{step.name}_key_errors"))
        found = work.find(step.name, key)
        if found is not None:
            return found
        rows = alive_rows(work, view)
        failed = _failures(session, view, f"{step.name}_key_errors")
        sound = rows[~np.isin(rows, list(failed))]
        samples = read_samples(work, view, sound, step.columns)
        table = step.decide(samples, pa.array(sound, pa.int32()), work.read(view.parts[answers]))
        verdicts = _merged(step.name, [Piece(0, len(sound), table)], sound, failed, rows)
        return _put(session, step.name, key, rows, verdicts, 0)


def _decide(step: DecideStep, samples: pa.Table, facts: Mapping[str, pa.Table], start: int, stop: int) -> pa.Table:
    slices = {name: table if name in LOOKUPS else table.slice(start, stop - start) for name, table in facts.items()}
    return step.decide(samples.slice(start, stop - start), slices)


def _failures(session: Session, view: View, part: str | None) -> dict[int, str]:
    """Row -> evidence of the samples that an earlier unit of the step could not work on."""
    if part is None:
        return {}
    errors = session.work.read(view.parts[part])
    return dict(zip(errors["row"].to_pylist(), errors["evidence"].to_pylist(), strict=True))


def _merged(
    name: str,
    pieces: list[Piece[pa.Table]],
    sound: npt.NDArray[np.int32],
    failed: dict[int, str],
    rows: npt.NDArray[np.int32],
) -> pa.Table:
    """The verdicts of all rows in order: the step's own, and `{step}.error` for what failed.

    Raises:
        ConservationError: the step did not answer once per sample.
    """
    tables, order = [VERDICTS.empty_table()], [np.empty(0, np.int32)]
    lost = dict(failed)
    for piece in pieces:
        span = sound[piece.start : piece.stop]
        if isinstance(piece.result, Failure):
            lost.update({int(row): piece.result.evidence for row in span})
            continue
        if piece.result.num_rows != len(span):
            raise ConservationError(f"step {name} was given {len(span)} samples and answered {piece.result.num_rows}")
        tables.append(piece.result)
        order.append(span)
    quarantined = np.array(sorted(lost), np.int32)
    tables.append(_quarantined(name, [lost[int(row)] for row in quarantined]))
    order.append(quarantined)
    places = np.argsort(np.concatenate(order), kind="stable")
    if len(places) != len(rows):
        raise ConservationError(f"step {name} was given {len(rows)} samples and answered {len(places)}")
    return pa.concat_tables(tables).take(pa.array(places)).combine_chunks()


def _quarantined(name: str, evidence: list[str]) -> pa.Table:
    count = len(evidence)
    return decided(
        np.full(count, Verdict.QUARANTINE, object), np.full(count, f"{name}.error", object), evidence=evidence
    )


def _put(session: Session, name: str, key: str, rows: npt.NDArray[np.int32], verdicts: pa.Table, made: int) -> Commit:
    tables = {"verdicts": numbered(rows, verdicts), "alive": rows_table(kept_rows(rows, verdicts))}
    return session.work.put(name, key, tables, {"counts": tally(len(rows) - made, made, verdicts)})
