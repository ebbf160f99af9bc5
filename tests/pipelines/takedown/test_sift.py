from pathlib import Path

from pipelines.takedown.sift import sift_work, these
from sources.storage import LocalFolder


def test_work_that_nobody_knows_to_be_free_of_content_goes(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    for path in (
        "tokens/aa/k.json",
        "their_facts/aa/k.json",
        "survey/aa/k.json",
        "removal/plan.json",
        "ingest/aa/x.samples.parquet",
    ):
        folder.write(f"work/{path}", b"{}")
    sift_work(folder, these((), ()), (), "removal")
    left = {stat.path for stat in folder.files("work")}
    assert left == {"work/tokens/aa/k.json", "work/removal/plan.json"}  # the last one was part of no commit
