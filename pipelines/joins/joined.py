"""What a join by exchange answered, as the records of a fragment find it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.work import Part, Work
from sources.records import Corpus, Fragment
from sources.sealing import Seal

Row = tuple[Any, ...]


def with_joined_rows(work: Work, corpus: Corpus, fragment: Fragment) -> Corpus:
    """The corpus with the rows that the fragment's records match, where its card joins a table by exchange.

    They are unsealed here, in memory, for one record at a time: nowhere else is a row of a keyed source in the clear.
    """
    found, companion = fragment.joined, corpus.companion
    if found is None or companion is None or companion.seal is None:
        return corpus
    table = work.read(Part(found.path, found.digest, found.rows, found.size))
    rows = SealedRows(table, companion.seal, found.columns)
    return replace(corpus, companion=replace(companion, kept=found.columns, rows=rows))


class SealedRows(Mapping[str | bytes, list[Row] | None]):
    """The rows of each hash, unsealed whenever they are asked for; None where they are too many.

    `table` has `key` and `sealed`, those of one key next to each other. Rows of Python take some five times the bytes.

    Raises:
        cryptography.exceptions.InvalidTag: they were sealed with another site key.
    """

    def __init__(self, table: pa.Table, seal: Seal, columns: tuple[str, ...]) -> None:
        self._sealed = table["sealed"].combine_chunks()
        self._seal, self._columns = seal, columns
        keys = table["key"].to_pylist()
        starts = [place for place, key in enumerate(keys) if place == 0 or key != keys[place - 1]]
        stops = [*starts, len(keys)][1:]
        self._places: dict[bytes, tuple[int, int]] = {
            keys[start]: (start, stop) for start, stop in zip(starts, stops, strict=True)
        }
        first = pc.index(pc.is_valid(self._sealed), True).as_py()
        if first >= 0:  # what is wrong with all of them is told now, not of one record after the other
            self._row(keys[first], self._sealed[first].as_py())

    def __getitem__(self, key: str | bytes) -> list[Row] | None:
        """The rows of a hash.

        Raises:
            KeyError: there are none.
        """
        if not isinstance(key, bytes):
            raise KeyError(key)
        start, stop = self._places[key]
        if not self._sealed[start].is_valid:
            return None
        return [self._row(key, sealed) for sealed in self._sealed.slice(start, stop - start).to_pylist()]

    def __iter__(self) -> Iterator[str | bytes]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def _row(self, key: bytes, sealed: bytes) -> Row:
        row = orjson.loads(self._seal.unseal(key, sealed))
        return tuple(row.get(name) for name in self._columns)
