"""Reading the published tables of a run, as much of them as is asked for."""

from pathlib import Path

import polars as pl
import pyarrow as pa

from sources.schema import IMAGES, LEDGER, SAMPLES

SCHEMAS: dict[str, pa.Schema] = {"samples": SAMPLES, "images": IMAGES, "ledger": LEDGER}


def scan(run: Path, name: str) -> pl.LazyFrame:
    """A table of a finished run; one without a single file is empty."""
    folder = run / "tables" / name
    if any(folder.glob("*.parquet")):
        return pl.scan_parquet(folder / "*.parquet")
    empty = pl.from_arrow(SCHEMAS[name].empty_table())
    assert isinstance(empty, pl.DataFrame)
    return empty.lazy()
