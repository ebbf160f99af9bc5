"""Which share of each source's samples has a group of each kind: what the leak audit can go by."""

import polars as pl

from pipelines.tables import scan
from sources.storage import Folder


def group_coverage(run: Folder) -> dict[str, dict[str, float]]:
    """Source -> kind of group -> share of its ingested samples that have one; kinds that none has are left out."""
    kinds = pl.col("groups").list.eval(pl.element().struct.field("kind").cast(pl.String)).list.unique()
    samples = scan(run, "samples").select(pl.col("source").cast(pl.String), kind=kinds)
    counts = samples.group_by("source").agg(pl.len()).collect(engine="streaming")
    having = samples.explode("kind").drop_nulls("kind").group_by("source", "kind").agg(pl.len())
    number = dict(counts.iter_rows())
    found: dict[str, dict[str, float]] = {source: {} for source in number}
    for source, kind, count in sorted(having.collect(engine="streaming").iter_rows()):
        found[source][kind] = round(count / number[source], 4)
    return found
