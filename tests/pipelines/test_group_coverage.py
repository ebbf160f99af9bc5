"""How many samples of a source have a group of a kind."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.group_coverage import group_coverage
from sources.schema import SAMPLES
from sources.storage import LocalFolder


def test_a_share_counts_samples_and_not_groups_and_sources_without_any_are_named(tmp_path: Path) -> None:
    two = [{"kind": "article", "id": "PMC1"}, {"kind": "article", "id": "PMID1"}, {"kind": "study", "id": "s1"}]
    rows = [
        {"source": "a", "groups": two},
        {"source": "a", "groups": two[:1]},
        {"source": "a", "groups": []},
        {"source": "b", "groups": []},
    ]
    table = pa.Table.from_pylist(rows, pa.schema([SAMPLES.field("source"), SAMPLES.field("groups")]))
    (tmp_path / "tables/samples").mkdir(parents=True)
    pq.write_table(table, tmp_path / "tables/samples/part-000000.parquet")
    assert group_coverage(LocalFolder(tmp_path)) == {"a": {"article": 0.6667, "study": 0.3333}, "b": {}}
