"""The rows of the member index that come about while a shard is written."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from filters.tokens import HARMONY
from shards.harmony import lengths
from shards.index_file import NO_PICTURE, PART


class IndexRows:
    """Collects what the index says of the samples of one shard, in their order."""

    def __init__(self, tokenizer: str = HARMONY) -> None:
        self._tokenizer = tokenizer
        self._columns: dict[str, list[Any]] = {name: [] for name in PART.names}

    def add(self, content: Mapping[str, Any], offset: int, size: int) -> None:
        """Take the next sample: its `{key}.json`, and where it lies in the tar.

        Raises:
            RenderError: it has a turn of an unknown role.
        """
        long = lengths(content["turns"], self._tokenizer)
        images = content["images"]
        row = {
            "offset": offset,
            "size": size,
            "tokens": long.tokens,
            "loss_tokens": long.loss_tokens,
            "images": [{"width": image["width"], "height": image["height"]} for image in images],
            "modality": images[0]["modality"] if images else NO_PICTURE,
            **{name: content[name] for name in ("source", "task", "license", "access")},
        }
        for name, values in self._columns.items():
            values.append(row[name])

    def table(self) -> pa.Table:
        """The rows, of schema PART."""
        return pa.table(self._columns, schema=PART)
