"""The calibration of an audit: what it plants, what it finds of that, and what may remain in the data."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dedup.decontamination.calibration.outcomes import (
    DECOY,
    SHOWN_FLAGGED,
    Recall,
    calibration_of,
    grouped,
    recalls_of,
    weaknesses,
)
from dedup.decontamination.calibration.reach import Reach, reaches, unmeasured
from dedup.decontamination.calibration.residuals import ASSUMPTION, residuals, wilson_of_items
from dedup.decontamination.calibration.settings import CalibrationSettings
from pipelines.audit.flow import Indexes
from pipelines.audit.given_probes import GivenProbes, given_tasks, numbers_of
from pipelines.audit.probes import PlanProbesTask, Protection, ReachTask, picture_tasks, text_tasks
from pipelines.audit.protect import Protected
from pipelines.flow import Flow
from pipelines.work import Part

PICTURES_AT_ONCE = 2
UNKNOWN = "unknown"
Counts = Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class Calibration:
    """What became of all probes, and by what seed they were made."""

    outcomes: Sequence[Mapping[str, Any]]
    """Rows of OUTCOMES."""
    names: Mapping[int, str]
    """Eval id of each item that is named below."""
    modality: str
    settings: CalibrationSettings
    given: str | None
    """Hash of the probes that were given."""
    failed: int
    reach: Mapping[str, Mapping[str, Reach]]
    """Eval set -> channel -> the items that probes can be made of."""

    def weaknesses(self, min_recall: float) -> list[str]:
        """Why the audit is insensitive, in sentences."""
        told = weaknesses(self.outcomes, min_recall)
        if self.settings.enabled:
            told += unmeasured(self.outcomes, self.reach)
        return [*told, f"the search failed on {self.failed:,} probes"] if self.failed else told

    @property
    def measured(self) -> dict[str, frozenset[str]]:
        """Eval set -> the channels of which probes of its items were looked up."""
        return {name: frozenset(recalls_of(rows)) for name, rows in grouped(self.outcomes, "eval_set").items() if name}

    def document(self, counts: Counts, items: Mapping[str, int]) -> dict[str, Any]:
        """`calibration`, `probes` and `residual` of the audit's document; `counts` of what was found, or removed."""
        pooled = recalls_of(self.outcomes)
        by_set = {name: recalls_of(rows) for name, rows in grouped(self.outcomes, "eval_set").items() if name}
        return {
            "calibration": calibration_of(self.outcomes),
            "probes": {
                "seed": self.settings.seed,
                "pictures": self.settings.pictures,
                "texts": self.settings.texts,
                "modality": self.modality,
                "given": self.given,
                "failed": self.failed,
                "mean_recall": {channel: round(recall.mean, 4) for channel, recall in pooled.items()},
                "eval_sets": {
                    name: {channel: _recall(recall) for channel, recall in recalls.items()}
                    for name, recalls in by_set.items()
                    if recalls
                },
                "flagged": self._flagged(),
            },
            "residual": residuals(counts, self._reach_of(items), by_set, pooled),
            "residual_assumes": ASSUMPTION,
        }

    def _reach_of(self, items: Mapping[str, int]) -> dict[str, Mapping[str, Reach]]:
        return {name: self.reach[name] for name in items if name in self.reach}

    def _flagged(self) -> list[dict[str, Any]]:
        """The first decoys that were flagged, by the items they were made of and taken for."""
        rows = [row for row in self.outcomes if row["kind"] == DECOY and row["found"]]
        return [
            {
                "decoy": row["transform"], "eval_set": row["eval_set"], "eval_id": self.names.get(row["item"]),
                "taken_for": self.names.get(row["other"]), "grade": row["grade"], "score": row["score"],
            }
            for row in rows[:SHOWN_FLAGGED]
        ]  # fmt: skip


def calibrate(
    flow: Flow, protected: Protected, indexes: Indexes, settings: CalibrationSettings, given: GivenProbes | None
) -> Calibration | None:
    """Plant probes and look them up; the engine has the eval sets as `evals` of the flow's session.

    None where it is switched off and no probes are given. Pictures are judged by the threshold of the data's modality,
    by the strictest where the data has several or it is not known.
    """
    if not settings.enabled and given is None:
        return None
    work, modality = flow.session.work, _modality(flow)
    protection = Protection(protected.items, protected.pictures, indexes, modality, settings, protected.about_pictures)
    parts: list[Part] = []
    failed = 0
    tasks: list[Any] = []
    if settings.enabled:
        (plan,) = flow.each("probes", [PlanProbesTask(protection)])
        pictures = work.read(plan.parts["pictures"])
        tasks = [*picture_tasks(protection, pictures, PICTURES_AT_ONCE), *text_tasks(protection, plan.parts["texts"])]
    if given is not None:
        numbers = numbers_of(given, protected, work.read(protected.items, ["eval_set", "eval_id"]))
        tasks += given_tasks(protection, given, numbers)
    for commit in flow.each("probes", tasks):
        parts.append(commit.parts["outcomes"])
        failed += commit.facts["failed"]
    rows = [row for part in parts for row in work.read(part).to_pylist()]
    ids = work.read(protected.items, ["eval_id"])["eval_id"]
    wanted = {row[name] for row in rows if row["kind"] == DECOY and row["found"] for name in ("item", "other")}
    names = {number: ids[number].as_py() for number in wanted if number >= 0}
    (made,) = flow.each("probes", [ReachTask(protection)])
    listed = work.read(protected.items, ["eval_set", "eval_id"])
    reach = reaches(work.read(made.parts["reach"]), *(listed[name].to_pylist() for name in ("eval_set", "eval_id")))
    return Calibration(rows, names, modality, settings, None if given is None else given.digest, failed, reach)


def _modality(flow: Flow) -> str:
    found = {corpus.card.modality for corpus in flow.session.corpora}
    return found.pop() if len(found) == 1 else UNKNOWN


def _recall(recall: Recall) -> dict[str, Any]:
    low, high = wilson_of_items(recall)
    return {
        "items": recall.items, "planted": recall.planted, "found": recall.found, "recall": round(recall.mean, 4),
        "ci95": [round(low, 4), round(high, 4)],
    }  # fmt: skip
