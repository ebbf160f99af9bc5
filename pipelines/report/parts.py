"""The tables of a run as files: fragment after fragment, each with the pictures first met and the verdicts of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow.parquet as pq

from pipelines.work import Commit
from sources.storage import Folder

ID_DIGITS = 32


@dataclass(frozen=True)
class TableParts:
    """Where the three tables of one fragment lie, under the run. The ledger speaks of exactly these samples."""

    samples: str
    images: str
    ledger: str


def committed_parts(commits: Sequence[Commit]) -> list[TableParts]:
    """The parts that publishing committed, before they have their final names."""
    return [TableParts(*(commit.parts[name].path for name in ("samples", "images", "ledger"))) for commit in commits]


def published_parts(run: Folder) -> list[TableParts]:
    """The parts of a finished run, in order."""
    paths = [stat.path for stat in run.glob(["tables/samples/part-*.parquet"])]
    return [
        TableParts(path, *(path.replace("/samples/", f"/{name}/") for name in ("images", "ledger"))) for path in paths
    ]


def read_columns(run: Folder, path: str, columns: Sequence[str]) -> pl.DataFrame:
    """Columns of one part; of a file in a bucket only these are fetched."""
    with run.open(path) as file:
        frame = pl.from_arrow(pq.ParquetFile(file).read(list(columns), use_threads=False))
    assert isinstance(frame, pl.DataFrame)
    return frame
