"""Reading the published tables of a run, as much of them as is asked for."""

import polars as pl
import pyarrow as pa

from dedup.decontamination.findings import FINDINGS
from sources.schema import IMAGES, LEDGER, SAMPLES
from sources.storage import BucketFolder, Folder, table_options

SCHEMAS: dict[str, pa.Schema] = {"samples": SAMPLES, "images": IMAGES, "ledger": LEDGER, "findings": FINDINGS}


def scan(run: Folder, name: str) -> pl.LazyFrame:
    """A table of a finished run; one without a single file is empty."""
    paths = [stat.path for stat in run.glob([f"tables/{name}/*.parquet"])]
    if paths:
        options = table_options(run.bucket.scheme) if isinstance(run, BucketFolder) else None
        return pl.scan_parquet([f"{run.place}/{path}" for path in paths], glob=False, storage_options=options)
    empty = pl.from_arrow(SCHEMAS[name].empty_table())
    assert isinstance(empty, pl.DataFrame)
    return empty.lazy()
