"""The digest of an eval set: what it is of, and what it is not of."""

from typing import Any

import pyarrow as pa
import pytest

from dedup.decontamination.items import ITEMS
from pipelines.audit.protect import digests

PIXELS = {0: ("a" * 32,), 1: ("b" * 32,)}


def items(**changes: Any) -> pa.Table:
    """Two items; `changes`: column -> both values."""
    given: dict[str, Any] = {"eval_id": ("one", "two"), "digest": ("1" * 32, "2" * 32),
                             "groups": ([{"kind": "patient", "id": "7"}], None), **changes}  # fmt: skip
    plain = {"eval_set": "mine", "license": "MIT", "access": "open"}
    rows = [plain | {name: values[place] for name, values in given.items()} for place in range(2)]
    return pa.Table.from_pylist(rows, schema=ITEMS)


def digest(table: pa.Table, pixels: dict[int, tuple[str, ...]] | None = None) -> str:
    return digests({0: table}, pixels or PIXELS, 1)[0]


@pytest.mark.parametrize(("changes", "pixels"), [
    ({"eval_id": ("two", "one")}, None),
    ({"groups": (None, [{"kind": "patient", "id": "7"}])}, None),
    ({"groups": ([{"kind": "study", "id": "7"}], None)}, None),
    ({"digest": ("2" * 32, "1" * 32)}, None),
    ({}, {0: PIXELS[1], 1: PIXELS[0]}),
])  # fmt: skip
def test_ids_groups_and_pictures_that_changed_places_change_it(changes: dict[str, Any], pixels: Any) -> None:
    assert digest(items(**changes), pixels) != digest(items())


def test_the_order_of_the_items_does_not() -> None:
    table = items()
    assert digest(table.take([1, 0]), {0: PIXELS[1], 1: PIXELS[0]}) == digest(table)


def test_every_corpus_has_one_also_without_items() -> None:
    first, empty, third = digests({0: items(), 2: items()}, {**PIXELS, 2: PIXELS[0], 3: PIXELS[1]}, 3)
    assert first == third != empty
