"""From what was looked at and found to the verdict and the document."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from pipelines.audit.calibrate import calibrate
from pipelines.audit.conformity import changed
from pipelines.audit.coverage import gaps_of_sets, unmeasured
from pipelines.audit.document import contamination
from pipelines.audit.evals import Evals
from pipelines.audit.given_probes import GivenProbes
from pipelines.audit.kinds import IN_RUNS, LINKS, UNLISTED, UNNAMED, UNREADABLE
from pipelines.audit.looking import Looked
from pipelines.audit.review import Review
from pipelines.audit.settings import DecontaminateSettings
from pipelines.audit.verdict import Judged, judged
from pipelines.versions import library_versions


def judge(looked: Looked, evals: Evals, settings: DecontaminateSettings, review: Review | None, today: date) -> Judged:
    """The verdict."""
    weaknesses = () if looked.calibration is None else looked.calibration.weaknesses(settings.min_recall)
    findings, counts = looked.found.findings, looked.found.counts
    return judged(findings, counts, settings.fail_on, gaps(looked, evals), weaknesses, review, today)


def calibrated(looked: Looked, settings: DecontaminateSettings, given: GivenProbes | None = None) -> Looked:
    """With what the search finds of probes; the engine is still the one that looked.

    How long that took is said, and is the event `calibrated`.
    """
    started, reporter = time.monotonic(), looked.flow.reporter
    found = calibrate(looked.flow, looked.protected, looked.found.indexes, settings.calibrate, given)
    if found is not None:
        seconds = time.monotonic() - started
        reporter.event("calibrated", seconds=round(seconds, 3), probes=len(found.outcomes))
        reporter.say(f"calibration: {len(found.outcomes):,} probes planted and looked up in {seconds:.1f} s")
    return replace(looked, calibration=found)


def gaps(looked: Looked, evals: Evals) -> list[str]:
    """What was not there or could not be read, in sentences."""
    told = gaps_of_sets(evals, looked.protected.sets)
    told += changed(looked.protected.sets, evals, required=True)
    return told + _gaps_of_data(looked)


def _gaps_of_data(looked: Looked) -> list[str]:
    """What of the data nobody looked at."""
    told = []
    for source, reasons in looked.inputs.unread.items():
        told += [f"source {source}: {count:,} x {reason}" for reason, count in reasons.items()]
    for name, count in looked.found.failed.items():
        told.append(f"{count:,} samples or pictures could not be searched ({name})")
    for place in looked.inputs.data:
        for ending, count in place["left_out"].items():
            told.append(f"{place['name']}: {count:,} files {_why(ending)}")
    return told


_WHY = {
    LINKS: "are links that lead out of the folder",
    UNNAMED: "are pictures that no record names",
    UNREADABLE: "cannot be read (`unreadable` in contamination.json names them; audited alone, one says why)",
    UNLISTED: "are tars that the manifest of the shards does not list",
    IN_RUNS: "are manifests of runs that lie in the folder: audit these runs by themselves",
}


def _why(ending: str) -> str:
    return _WHY.get(ending, f"({ending}) that no reader is for")


def told(
    looked: Looked, evals: Evals, outcome: Judged, settings: DecontaminateSettings, review: Review | None,
    removed: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:  # fmt: skip
    """The document of the audit. `removed`: as `Found.counts`, what a build found and dropped before."""
    version = library_versions()["curate"]
    document = contamination(
        looked.inputs, looked.protected, evals.missing, looked.found, outcome, settings, review, version
    )
    sets = looked.protected.sets
    document["not_covered"] += unmeasured(sets, None if looked.calibration is None else looked.calibration.measured)
    document["not_covered"] += _gaps_of_data(looked)
    if looked.calibration is None:
        return document
    items = {one.name: one.items for one in looked.protected.sets}
    return document | looked.calibration.document([*looked.found.counts, *removed], items)
