"""Which licences and kinds of access may enter a mix."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import orjson
import pyarrow as pa

from filters.verdicts import decided
from sources.schema import UNKNOWN_LICENSE, Reason, Verdict


class License:
    """Drops samples whose access or licence the recipe does not allow.

    Credentialed corpora outside `access` never get here: the build refuses them by name before it reads them.
    """

    name = "license"
    version = 1
    reads = ()
    columns = ("access", "license")

    def __init__(
        self,
        access: frozenset[str],
        forbidden: frozenset[str] = frozenset(),
        unknown: Literal["keep", "drop"] = "keep",
    ) -> None:
        """`forbidden`: SPDX identifiers; `unknown`: what happens to samples whose licence nobody stated."""
        self.access = access
        self.forbidden = forbidden
        self.unknown = unknown

    def parameters(self) -> dict[str, object]:
        """The policy."""
        return {"access": sorted(self.access), "forbidden": sorted(self.forbidden), "unknown": self.unknown}

    def decide(self, samples: pa.Table, facts: Mapping[str, pa.Table]) -> pa.Table:  # noqa: ARG002 - the protocol's
        """One verdict a sample; the evidence names the licence and access that decided."""
        reasons = np.array(
            [
                self._objection(access, license_id)
                for access, license_id in zip(
                    samples["access"].to_pylist(), samples["license"].to_pylist(), strict=True
                )
            ],
            object,
        )
        dropped = np.array([reason is not None for reason in reasons], bool)
        evidence = [
            orjson.dumps({"access": access, "license": license_id}).decode()
            for access, license_id in zip(samples["access"].to_pylist(), samples["license"].to_pylist(), strict=True)
        ]
        return decided(np.where(dropped, Verdict.DROP, Verdict.KEEP), reasons, evidence=evidence)

    def _objection(self, access: str, license_id: str) -> Reason | None:
        if access not in self.access:
            return Reason.ACCESS_FORBIDDEN
        if license_id in self.forbidden or (license_id == UNKNOWN_LICENSE and self.unknown == "drop"):
            return Reason.LICENSE_FORBIDDEN
        return None
