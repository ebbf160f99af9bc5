"""Small eval sets on disk."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from dedup.evalsets.locating import FoundSet, evalset_in, find_evalset
from dedup.evalsets.reading import ItemsRead, items_of
from dedup.evalsets.registry import known
from sources.storage import folder_at

KEY = b"a site key of a test"


def written(folder: Path, records: list[dict[str, Any]], **description: Any) -> FoundSet:
    """The set of some records, described as the test says."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "items.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return described(folder, **{"name": "probe", "reader": "jsonl", "path": "items.jsonl", **description})


def described(folder: Path, **description: Any) -> FoundSet:
    """The set of the files that are there."""
    (folder / "evalset.yaml").write_text(yaml.safe_dump(description))
    found = evalset_in(folder_at(folder))
    assert found is not None
    return found


def rows(found: FoundSet, **how: Any) -> list[dict[str, Any]]:
    """The set's items."""
    table: pa.Table = read(found, **how).items
    return list(table.to_pylist())


def read(found: FoundSet, **how: Any) -> ItemsRead:
    """The set's items, and what could not be read."""
    return items_of(found, **how)


@lru_cache(maxsize=32)
def placed(name: str, root: Path, splits: tuple[str, ...] | None = None) -> ItemsRead:
    """A registered set of the shared test data, read once."""
    found = find_evalset(known(name), [folder_at(root)])
    assert found is not None
    return items_of(found, splits)
