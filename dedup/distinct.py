"""What must be distinct in a run before anything is compared: sample ids, and rows of the images table."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from dedup.keys import KEY_BYTES, KEYS


class SampleIds:
    """Finds records that repeat another's source, key and content: they get an id of their own."""

    name = "identity"
    version = 1
    columns = ("sample_id",)

    def parameters(self) -> dict[str, Any]:
        """Nothing to choose."""
        return {}

    def keys(self, samples: pa.Table, rows: pa.Array, facts: Mapping[str, pa.Table]) -> pa.Table:  # noqa: ARG002
        """KEYS: the sample id is the key."""
        return _keys_of_ids(samples["sample_id"].to_pylist(), rows.to_pylist())


class DistinctImages:
    """Finds pictures that several fragments measured: the images table has one row for each."""

    name = "images"
    version = 1
    columns = ("sample_id",)

    def parameters(self) -> dict[str, Any]:
        """Nothing to choose."""
        return {}

    def keys(self, samples: pa.Table, rows: pa.Array, facts: Mapping[str, pa.Table]) -> pa.Table:  # noqa: ARG002
        """KEYS: the image id is the key, `row` the place in the fragment's images table."""
        ids = facts["images"]["image_id"].to_pylist()
        return _keys_of_ids(ids, list(range(len(ids))))


def _keys_of_ids(ids: list[str], rows: list[int]) -> pa.Table:
    keys = pa.array([bytes.fromhex(hex_id) for hex_id in ids], pa.binary(KEY_BYTES))
    return pa.table([keys, np.zeros(len(ids), np.int32), pa.array(rows, pa.int32()), keys], schema=KEYS)
