"""Two runs side by side: what changed, and which step changed it."""

from typing import Any

import polars as pl

from pipelines.matches import matches
from pipelines.run_directory import changes, read_run
from pipelines.tables import scan
from sources.storage import Folder

EXAMPLES = 3
PAIRS = 1_000
"""Of each kind of match that are named in the answer; the ledger of B names all of them."""


def compare(run_a: Folder, run_b: Folder) -> dict[str, Any]:
    """What differs between two finished runs.

    `settings`: values of the recipe; `only_in_a`, `only_in_b`: samples that one run never saw, by source;
    `changed`: samples whose fate differs, grouped by fate in A and in B, with a few ids of each; `matched`: samples
    that B dropped as duplicates and A did not, or of another one, grouped by both sources and by what A had of the two
    (`new`, `kept_new`), with the pairs (the dropped one's id, the kept one's, how alike they are) by id.

    Raises:
        UsageError: one of them is no finished run.
    """
    documents = [read_run(run_a), read_run(run_b)]
    fate_a, fate_b = _fates(run_a), _fates(run_b)
    joined = fate_a.join(fate_b, on="sample_id", how="full", coalesce=True, suffix="_b")
    moved = joined.filter(pl.col("fate").is_null() | pl.col("fate_b").is_null() | (pl.col("fate") != pl.col("fate_b")))
    source = pl.coalesce("source", "source_b")
    groups = (
        moved.group_by("fate", "fate_b", source.alias("source"))
        .agg(pl.len().alias("samples"), pl.col("sample_id").bottom_k(EXAMPLES).sort().alias("examples"))
        .sort("samples", "fate", "fate_b", "source", descending=[True, False, False, False], nulls_last=True)
        .collect(engine="streaming")
        .to_dicts()
    )
    return {
        "settings": changes(documents[0]["identity"], documents[1]["identity"], ""),
        "counts": {"a": documents[0]["counts"], "b": documents[1]["counts"]},
        "only_in_a": _only(groups, "fate_b"),
        "only_in_b": _only(groups, "fate"),
        "changed": [
            {"source": row["source"], "a": row["fate"], "b": row["fate_b"], "samples": row["samples"],
             "examples": row["examples"]}
            for row in groups
            if row["fate"] is not None and row["fate_b"] is not None
        ],
        "matched": _matched(run_a, run_b),
    }  # fmt: skip


def _fates(run: Folder) -> pl.LazyFrame:
    """sample_id, source and fate: `kept`, or the step and reason that ended it (`tokens: tokens.too_long`)."""
    samples = scan(run, "samples").select("sample_id", "source")
    ended = (
        scan(run, "ledger")
        .filter(pl.col("verdict").is_in(["drop", "quarantine"]))
        .select("sample_id", fate=pl.concat_str("step", pl.lit(": "), "reason"))
    )
    return samples.join(ended, on="sample_id", how="left").with_columns(pl.col("fate").fill_null("kept"))


def _matched(run_a: Folder, run_b: Folder) -> list[dict[str, Any]]:
    before = matches(run_a).select("sample_id", "kept")
    known = scan(run_a, "samples").select("sample_id")
    fresh = matches(run_b).join(before, on=["sample_id", "kept"], how="anti")
    told = fresh.join(known.with_columns(known=True), on="sample_id", how="left").join(
        known.select(kept="sample_id", kept_known=True), on="kept", how="left"
    )
    kinds = ["source", "reason", "new", "kept_source", "kept_new"]
    pairs = pl.struct("sample_id", "kept", "score").sort_by("sample_id").head(PAIRS)
    return (
        told.with_columns(new=pl.col("known").is_null(), kept_new=pl.col("kept_known").is_null())
        .group_by(kinds)
        .agg(pl.len().alias("samples"), pairs.alias("pairs"))
        .sort("samples", *kinds, descending=[True] + [False] * len(kinds), nulls_last=True)
        .collect(engine="streaming")
        .to_dicts()
    )


def _only(groups: list[dict[str, Any]], absent: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in groups:
        if row[absent] is None:
            found[row["source"]] = found.get(row["source"], 0) + row["samples"]
    return dict(sorted(found.items()))
