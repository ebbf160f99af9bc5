"""Values of header elements, as lists, whatever is wrong with them."""

import warnings
from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset


def header_values(dataset: Dataset, keyword: str) -> list[Any]:
    """All values of an element; empty where it is absent, or cannot be read as its type says."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote the value
            value = dataset.get(keyword)
    except Exception:  # noqa: BLE001 - pydicom converts on access, and raises anything for malformed bytes
        return []
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
