"""What is written down of every step: one JSON object a line, without a gap or a repeat after a resume."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines, up to one that was cut off in the middle."""
    rows: list[dict[str, Any]] = []
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            rows.append(orjson.loads(line))
        except orjson.JSONDecodeError:
            break
    return rows


def forget_after(path: Path, step: int) -> list[dict[str, Any]]:
    """Drop what was trained and then lost: the lines of steps that come after the checkpoint. Returns the rest."""
    kept = [row for row in read_metrics(path) if row["step"] <= step]
    replace_file(path, b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in kept))
    return kept


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that at every moment either the old or the new one is there, whole."""
    writing = path.with_name(f".{path.name}")
    with writing.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    writing.replace(path)


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Add the line of a step."""
    with path.open("ab") as file:
        file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def ends(losses: Sequence[float]) -> tuple[float, float]:
    """Mean loss over the first and over the last tenth of the steps."""
    tenth = max(1, len(losses) // 10)
    return sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth
