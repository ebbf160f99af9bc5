"""An eval set of three items, of which two are in the data of `tests/pipelines/audit/forms.py`."""

from pathlib import Path
from typing import Any

import orjson
import polars as pl
import yaml

from tests.pipelines.audit.forms import ROWS, write_pictures

AUDIT = ("audit", "--no-calibrate")
"""The command without probes of its own, which cost seconds: `test_audit_calibration.py` is about them."""
FREE = {
    "id": "free",
    "question": "Which chromosomal translocation is characteristic of follicular lymphoma in elderly patients?",
    "answer": "t(14;18)",
}
LEAKED = ("one", "two")


def eval_set(root: Path, name: str = "mine", **more: Any) -> Path:
    """A folder with an `evalset.yaml`: items `one` and `two` of the data with pictures, and `free` without one."""
    folder = root / name
    write_pictures(folder)
    rows = [*ROWS[:2], FREE]
    (folder / "test.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    fields = {"id": "id", "question": "question", "answer": "answer", "images": "image"}
    said = {"name": name, "version": "1", "license": "CC0-1.0", "reader": "jsonl", "path": "test.jsonl",
            "fields": fields, **more}  # fmt: skip
    (folder / "evalset.yaml").write_text(yaml.safe_dump(said))
    return folder


def what(audit: Path) -> list[tuple[str, str, str, str]]:
    """Eval set, item, channel and grade of every finding."""
    table = pl.read_parquet(audit / "tables" / "findings" / "part-000000.parquet")
    return sorted(table.select("eval_set", "eval_id", "channel", "grade").iter_rows())


def document(audit: Path) -> dict[str, Any]:
    """`contamination.json` of an audit."""
    read: dict[str, Any] = orjson.loads((audit / "contamination.json").read_bytes())
    return read
