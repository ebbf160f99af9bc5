"""Which kept sample each dropped duplicate was found to be one of."""

import polars as pl

from pipelines.tables import scan
from sources.schema import Reason, Verdict
from sources.storage import Folder

DUPLICATES = (Reason.EXACT_IMAGE_TEXT, Reason.EXACT_TEXT, Reason.NEAR_TEXT, Reason.NEAR_IMAGE_TEXT)


def matches(run: Folder) -> pl.LazyFrame:
    """sample_id, source, reason, score, kept and kept_source (the kept sample's id and source), a row a duplicate."""
    samples = scan(run, "samples").select("sample_id", "source")
    dropped = (
        scan(run, "ledger")
        .filter((pl.col("verdict") == Verdict.DROP) & pl.col("reason").is_in(DUPLICATES))
        .select("sample_id", "reason", "score", kept=pl.col("evidence").str.json_path_match("$.kept"))
    )
    return dropped.join(samples, on="sample_id").join(
        samples.select(kept="sample_id", kept_source="source"), on="kept", how="left"
    )
