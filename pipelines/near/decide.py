"""Verdicts of near-duplicate steps on the samples of one fragment, and what they are believed for."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from filters.verdicts import decided, nulls_for_nan
from pipelines.counts import tally
from pipelines.near.texts import ANSWERS, PICTURES
from pipelines.session import Session
from pipelines.steps import Step, own_fingerprint
from pipelines.view import View, alive_rows, kept_rows, numbered, read_samples, rows_table
from pipelines.work import Commit, Part, Work, key_of
from sources.schema import Reason, Verdict

VERSION = 3
UNREMARKABLE = "below"
"""Cause of pairs that were merely not alike enough: all others are worth telling."""


class Deciding(Step, Protocol):
    """A near-duplicate step: what it drops for, and from which similarity on."""

    reason: Reason

    @property
    def threshold(self) -> float:
        """Of the score in the ledger."""
        ...


@dataclass(frozen=True)
class NearDecideTask:
    """Drops what the search answered, and says of what is kept which other sample it is told apart from, and why."""

    step: Deciding
    view: View
    number: int
    answers: Part
    edges: tuple[Part, ...]

    @property
    def label(self) -> str:
        """Step and fragment."""
        return f"{self.step.name} {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `verdicts` and `alive`."""
        work, step, view = session.work, self.step, self.view
        pictures = [view.parts[name] for name in (ANSWERS, "images")] if ANSWERS in view.parts else []
        used = [self.answers, *self.edges, *pictures]
        key = key_of(own_fingerprint(step), VERSION, view.digests(("images",)), [part.digest for part in used])
        found = work.find(step.name, key)
        if found is not None:
            return found
        rows = alive_rows(work, view)
        answers = work.read(self.answers)
        places = np.searchsorted(rows, answers["row"].to_numpy())
        verdicts, reasons = np.full(len(rows), Verdict.KEEP, object), np.full(len(rows), None, object)
        scores, thresholds = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
        verdicts[places], reasons[places], thresholds[places] = Verdict.DROP, step.reason, step.threshold
        scores[places] = answers["score"].to_numpy()
        told = {**_near_misses(work, self.edges), **_dropped_for(answers)}
        evidence = _joined(told, _copied_pictures(work, view, rows, _verified_for(answers)))
        shown = [evidence.get(row) for row in rows.tolist()]
        table = nulls_for_nan(decided(verdicts, reasons, scores, thresholds, shown))
        tables = {"verdicts": numbered(rows, table), "alive": rows_table(kept_rows(rows, table))}
        return work.put(step.name, key, tables, {"counts": tally(len(rows), 0, table)})


Told = dict[int, str]
"""Row -> a JSON object of what there is to say of it."""


Copies = dict[str, dict[str, Any]]
"""Picture -> which one it is a copy of, and how it lies on that."""


def _dropped_for(answers: pa.Table) -> Told:
    """Of each dropped sample the one that was kept, and what verification measured of the two texts."""
    return {
        row: f'{{"kept":"{leader.hex()}"{_more(_without_pictures(detail))}'
        for row, leader, detail in zip(*_columns(answers, "row", "leader", "detail"), strict=True)
    }


def _verified_for(answers: pa.Table) -> dict[int, Copies]:
    """Of dropped samples the pictures that were compared with those of the kept one for their sake."""
    return {
        row: {told["image"]: told for told in orjson.loads(detail)[PICTURES]}
        for row, detail in zip(*_columns(answers, "row", "detail"), strict=True)
        if _tells_pictures(detail)
    }


def _tells_pictures(detail: str | None) -> bool:
    return detail is not None and f'"{PICTURES}"' in detail


def _without_pictures(detail: str | None) -> str | None:
    if not _tells_pictures(detail):
        return detail
    return orjson.dumps({name: told for name, told in orjson.loads(detail or "").items() if name != PICTURES}).decode()


def _near_misses(work: Work, edges: tuple[Part, ...]) -> Told:
    """Of each sample the most alike other that something told it apart from."""
    rounds = [work.read(part, ["row", "other", "accepted", "score", "cause"]) for part in edges]
    pairs = pa.concat_tables(rounds)
    spoken = pairs.filter(pc.and_(pc.invert(pairs["accepted"]), pc.not_equal(pairs["cause"], UNREMARKABLE)))
    best = spoken.sort_by([(name, "ascending") for name in ("row", "score", "other")])  # of a row the last counts
    return {
        row: f'{{"apart_from":"{other.hex()}","because":"{cause}","jaccard":{round(score, 4)}}}'
        for row, other, cause, score in zip(*_columns(best, "row", "other", "cause", "score"), strict=True)
    }


def _copied_pictures(
    work: Work, view: View, rows: np.ndarray[Any, np.dtype[np.int32]], verified: dict[int, Copies]
) -> Told:
    """Which pictures of each sample are copies of others, and how they lie on them.

    What was `verified` against the pictures of the sample that a row goes for says more than what they are copies of
    apart from that: a third picture.
    """
    if ANSWERS not in view.parts:
        return {}
    ids = work.read(view.parts["images"], ["image_id"])["image_id"]
    answers = work.read(view.parts[ANSWERS]).to_pylist()
    copies: Copies = {
        ids[answer["row"]].as_py(): {"copy_of": answer["leader"].hex(), **orjson.loads(answer["detail"] or b"{}")}
        for answer in answers
    }
    told: Told = {}
    some = bool(copies or verified)
    shown = read_samples(work, view, rows, ("images",))["images"].to_pylist() if some else []
    for row, refs in zip(rows.tolist(), shown, strict=some):
        known = {**copies, **verified[row]} if row in verified else copies
        found = [{"image": ref["image_id"], **known[ref["image_id"]]} for ref in refs or () if ref["image_id"] in known]
        if found:
            told[row] = orjson.dumps({"pictures": found}).decode()
    return told


def _joined(told: Told, pictures: Told) -> Told:
    """Everything there is to say of each row in one object."""
    both = {row: f"{told[row][:-1]}{_more(also)}" for row, also in pictures.items() if row in told}
    return {**told, **pictures, **both}


def _more(also: str | None) -> str:
    """The end of an object that goes on with the members of another, if that has any."""
    return "}" if also is None or also == "{}" else f",{also[1:]}"


def _columns(table: pa.Table, *names: str) -> list[list[Any]]:
    return [table[name].to_pylist() for name in names]
