"""An audit that is killed ends, when it is given again, in the very bytes of an undisturbed one."""

from pathlib import Path

from tests.end_to_end.audits import eval_set
from tests.end_to_end.runs import curate_json
from tests.end_to_end.test_killed import kill_after
from tests.pipelines.audit.forms import write_csv

SAME = ("contamination.json", "tables/findings/part-000000.parquet", "reports/clean_subset/mine.json")


def test_two_kills_leave_the_verdict_and_the_findings_of_an_undisturbed_audit(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "csv")
    command = ["audit", str(data), "--against", str(eval_set(tmp_path)), "--workers", "2", "--calibrate", "2"]
    curate_json(*command, "--out", tmp_path / "undisturbed", status=3)
    events = (tmp_path / "undisturbed" / "events.jsonl").read_bytes().count(b"\n")
    for part in (4, 2):
        assert kill_after(command, tmp_path / "killed", events // part, 0.0, group=True)
        assert not (tmp_path / "killed" / "contamination.json").exists()
    curate_json(*command, "--out", tmp_path / "killed", status=3)
    for name in SAME:
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()
