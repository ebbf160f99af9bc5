"""Verdict tables: how a step answers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sources.schema import VERDICTS, Verdict


def decided(
    verdicts: npt.NDArray[Any],
    reasons: npt.NDArray[Any],
    scores: npt.NDArray[Any] | None = None,
    thresholds: npt.NDArray[Any] | None = None,
    evidence: Sequence[str | None] | None = None,
) -> pa.Table:
    """A VERDICTS table from columns of equal length; absent columns are null."""
    rows = len(verdicts)
    return pa.table(
        [
            pa.array([str(verdict) for verdict in verdicts], pa.string()),
            pa.array([None if reason is None else str(reason) for reason in reasons], pa.string()),
            _floats(scores, rows),
            _floats(thresholds, rows),
            pa.array(evidence, pa.string()) if evidence is not None else pa.nulls(rows, pa.string()),
        ],
        schema=VERDICTS,
    )


def all_kept(rows: int) -> pa.Table:
    """Verdicts that keep every one of `rows` samples."""
    return decided(np.full(rows, Verdict.KEEP, object), np.full(rows, None, object))


def nulls_for_nan(verdicts: pa.Table) -> pa.Table:
    """The verdicts with null for scores and thresholds that are not a number."""
    for name in ("score", "threshold"):
        column = verdicts[name]
        shown = pc.if_else(pc.is_nan(column), pa.scalar(None, pa.float64()), column)
        verdicts = verdicts.set_column(verdicts.schema.get_field_index(name), verdicts.schema.field(name), shown)
    return verdicts


def _floats(values: npt.NDArray[Any] | None, rows: int) -> pa.Array:
    return pa.nulls(rows, pa.float64()) if values is None else pa.array(values.astype(np.float64))
