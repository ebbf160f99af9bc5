"""What an audit, and the step `decontaminate` of a build, are asked for."""

from typing import Annotated

from pydantic import Field, field_validator

from dedup.decontamination.calibration.settings import CalibrationSettings
from dedup.decontamination.grades import REMOVING, Grade
from sources.cards import Strict

CONTENT: tuple[Grade, ...] = REMOVING[: REMOVING.index(Grade.PARAPHRASE) + 1]
"""The grades that say that an item itself, or its picture, is in the data."""


class DecontaminateSettings(Strict):
    """Against which eval sets the data is checked, what is removed, and what a verdict is made of."""

    enabled: bool = True
    against: tuple[str, ...] = ()
    """Names of the registry, suites, or folders with an `evalset.yaml`; none: nothing is checked."""
    required: tuple[str, ...] | None = None
    """Those of them without which an audit is incomplete (default: all). Any other that is not there is listed as not
    covered."""
    articles: str | None = None
    """NCBI's PMC-ids.csv (or .csv.gz): an article is found by its PMID and by its PMCID."""
    drop: tuple[Grade, ...] = CONTENT
    """Samples with a finding of one of these grades are dropped."""
    report: tuple[Grade, ...] = (Grade.SAME_GROUP, Grade.PROVENANCE)
    """Of what is kept, the ledger says which of these grades were found."""
    fail_on: Grade = Grade.NEAR_TEXT
    """The weakest grade that makes the verdict `leaks`."""
    min_recall: Annotated[float, Field(ge=0, le=1)] = 0.80
    """Mean recall of a channel's probes below which an audit is insensitive."""
    calibrate: CalibrationSettings = CalibrationSettings()
    """The probes of an audit."""

    @field_validator("drop")
    @classmethod
    def _removing(cls, value: tuple[Grade, ...]) -> tuple[Grade, ...]:
        for grade in value:
            if grade not in REMOVING:
                raise ValueError(f"{grade.value} is reported and never removes anything")
        return tuple(grade for grade in REMOVING if grade in value)

    @field_validator("fail_on")
    @classmethod
    def _a_leak(cls, value: Grade) -> Grade:
        if value not in REMOVING:
            raise ValueError(f"{value.value} is reported and is no leak")
        return value
