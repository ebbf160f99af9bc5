"""Data, eval set and audit in a bucket: the same bytes as on a disk."""

from pathlib import Path

import pytest

from tests.end_to_end.audits import eval_set
from tests.end_to_end.runs import curate_json
from tests.object_store.server import BUCKET, s3_server, use
from tests.pipelines.audit.forms import write_csv

FILES = ("contamination.json", "tables/findings/part-000000.parquet", "reports/clean_subset/mine.json")


def test_an_audit_of_a_bucket_in_a_bucket_has_the_bytes_of_one_on_a_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_csv(tmp_path / "csv")
    evals = eval_set(tmp_path)
    curate_json("audit", "--no-calibrate", data, "--against", evals, "--out", tmp_path / "a", status=3)
    with s3_server() as server:
        use(monkeypatch, server.environment())
        for folder in (data.parent, evals):
            for path in folder.iterdir():
                server.put(f"in/{folder.name}/{path.name}", path.read_bytes())
        place = f"s3://{BUCKET}"
        against = ("--against", f"{place}/in/mine", "--no-calibrate")
        command = ("audit", f"{place}/in/csv/data.csv", *against, "--out", f"{place}/out")
        curate_json(*command, status=3)
        kept = server.keys("out/")
    for name in FILES:
        assert kept[f"out/{name}"] == (tmp_path / "a" / name).read_bytes(), name
