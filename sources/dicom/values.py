"""Values of header elements, as lists, whatever is wrong with them."""

import warnings
from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset

MOST_SEQUENCE_BYTES = 16 * 2**20
"""Of a sequence that is unfolded: pydicom takes some seconds for the two million elements that fit in there. The
per-frame groups of 10,000 frames have about as much."""


def header_values(dataset: Dataset, keyword: str) -> list[Any]:
    """All values of an element; empty where it is absent, too large, or cannot be read as its type says."""
    raw = dataset.get_item(keyword) if keyword.endswith("Sequence") else None
    if raw is not None and isinstance(raw.value, bytes) and len(raw.value) > MOST_SEQUENCE_BYTES:
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote the value
            value = dataset.get(keyword)
    except Exception:  # noqa: BLE001 - pydicom converts on access, and raises anything for malformed bytes
        return []
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
