"""Verdicts of near-duplicate steps on the samples of one fragment, and what they are believed for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import orjson
import pyarrow.compute as pc

from filters.verdicts import decided, nulls_for_nan
from pipelines.counts import tally
from pipelines.near.texts import ANSWERS
from pipelines.session import Session
from pipelines.steps import Step, own_fingerprint
from pipelines.view import View, alive_rows, kept_rows, numbered, read_samples, rows_table
from pipelines.work import Commit, Part, Work, key_of
from sources.schema import Reason, Verdict

VERSION = 1
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
        used = [self.answers, *self.edges, *(view.parts[name] for name in (ANSWERS,) if name in view.parts)]
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
        told = [
            *_near_misses(work, self.edges),
            *_copied_pictures(work, view, rows),
            *map(_dropped_for, answers.to_pylist()),
        ]
        table = nulls_for_nan(decided(verdicts, reasons, scores, thresholds, _evidence(rows.tolist(), told)))
        tables = {"verdicts": numbered(rows, table), "alive": rows_table(kept_rows(rows, table))}
        return work.put(step.name, key, tables, {"counts": tally(len(rows), 0, table)})


Told = tuple[int, Mapping[str, Any]]


def _dropped_for(answer: Mapping[str, Any]) -> Told:
    """The sample that was kept, and what verification measured."""
    detail = orjson.loads(answer["detail"] or b"{}")
    return answer["row"], {"apart_from": None, "because": None, "kept": answer["leader"].hex(), **detail}


def _near_misses(work: Work, edges: tuple[Part, ...]) -> list[Told]:
    """Of each sample the most alike other that something told it apart from."""
    best: dict[int, dict[str, Any]] = {}
    for part in edges:
        table = work.read(part, ["row", "other", "accepted", "score", "cause"])
        spoken = pc.and_(pc.invert(table["accepted"]), pc.not_equal(table["cause"], UNREMARKABLE))
        for pair in table.filter(spoken).to_pylist():
            before = best.get(pair["row"])
            if before is None or (pair["score"], pair["other"]) > (before["score"], before["other"]):
                best[pair["row"]] = pair
    return [
        (row, {"apart_from": pair["other"].hex(), "because": pair["cause"], "jaccard": round(pair["score"], 4)})
        for row, pair in best.items()
    ]


def _copied_pictures(work: Work, view: View, rows: np.ndarray[Any, np.dtype[np.int32]]) -> list[Told]:
    """Which pictures of each sample are copies of others, and how they lie on them."""
    if ANSWERS not in view.parts:
        return []
    ids = work.read(view.parts["images"], ["image_id"])["image_id"]
    answers = work.read(view.parts[ANSWERS]).to_pylist()
    copies = {
        ids[answer["row"]].as_py(): {"copy_of": answer["leader"].hex(), **orjson.loads(answer["detail"] or b"{}")}
        for answer in answers
    }
    told: list[Told] = []
    shown = read_samples(work, view, rows, ("images",))["images"].to_pylist() if copies else []
    for row, refs in zip(rows.tolist(), shown, strict=bool(copies)):
        found = [
            {"image": ref["image_id"], **copies[ref["image_id"]]} for ref in refs or () if ref["image_id"] in copies
        ]
        if found:
            told.append((row, {"pictures": found}))
    return told


def _evidence(rows: list[int], told: list[Told]) -> list[str | None]:
    """JSON of everything that was told of each row; what is said later replaces what was said before."""
    merged: dict[int, dict[str, Any]] = {}
    for row, what in told:
        merged.setdefault(row, {}).update(what)
    shown = {row: {name: value for name, value in what.items() if value is not None} for row, what in merged.items()}
    return [orjson.dumps(shown[row]).decode() if row in shown else None for row in rows]
