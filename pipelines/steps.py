"""What a step must offer. Steps know nothing of engines, paths or progress: tables in, tables out.

`filters/` and `dedup/` satisfy these protocols without importing them.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import pyarrow as pa

from pipelines.work import key_of


class Step(Protocol):
    """Anything with a name, a version that changes when its answers may, and parameters.

    A step that holds a model may also have `cpus` and `gpus` (numbers): what one worker of it needs. On a Ray
    cluster it then runs where that is free; a step without them takes one core. With `gpus_optional` (true or false)
    it runs without GPUs on a cluster where no node has so many.
    """

    name: str
    version: int

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of SAMPLES it looks at; it is given no others."""
        ...

    def parameters(self) -> dict[str, Any]:
        """Everything configurable that its answers depend on."""
        ...


class FactStep(Step, Protocol):
    """Computes what is expensive and independent of thresholds, so that a new threshold recomputes nothing."""

    def measure(self, samples: pa.Table) -> dict[str, pa.Table]:
        """Facts by name: tables with one row per sample given, in order."""
        ...


class PictureStep(Step, Protocol):
    """A fact step that reads pictures: `images` (by image id), `links` (by sample) and `made` samples."""

    def load(self) -> None:
        """Load what it looks at pictures with, once a process and before any is opened."""
        ...

    def measure(self, samples: pa.Table, open_image: Callable[[str], bytes], card_modality: str) -> dict[str, pa.Table]:
        """Read every picture the samples name, once."""
        ...


class DecideStep(Step, Protocol):
    """Decides about each sample from its row and the facts it names in `reads`."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the facts it decides from."""
        ...

    def decide(self, samples: pa.Table, facts: Mapping[str, pa.Table]) -> pa.Table:
        """VERDICTS, one row per sample given, in order."""
        ...


class KeyStep(Step, Protocol):
    """Reduces a fragment to small keys; rows with equal keys meet in an exchange."""

    def keys(self, samples: pa.Table, rows: pa.Array, facts: Mapping[str, pa.Table]) -> pa.Table:
        """KEYS of the samples; `rows` are their numbers in the fragment."""
        ...


class ExchangeStep(KeyStep, Protocol):
    """A key step that also decides, from what the exchange answered."""

    def decide(self, samples: pa.Table, rows: pa.Array, answers: pa.Table) -> pa.Table:
        """VERDICTS, one row per sample given, in order; `answers` are the fragment's FOLLOWERS."""
        ...


def own_fingerprint(step: Step) -> str:
    """Hash of name, version and parameters."""
    return key_of(step.name, step.version, step.parameters())
