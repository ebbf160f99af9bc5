"""Pictures inside Parquet: columns of bytes, and the `struct<bytes, path>` of HF datasets, alone or in lists."""

import errno
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sources.cards import Card, First, Pick
from sources.columns import columns_of, fields_of, names_of, takes_rest
from sources.records import Corpus, CorpusError
from sources.storage import MAX_READ_BYTES, TooLargeError
from sources.uris import PICTURE, inner_uri, placed

BYTES, PATH = "bytes", "path"

Slot = tuple[bool, str | None]
"""Whether the bytes of a picture are there, and the path that stands beside them."""


@dataclass(frozen=True)
class PictureColumns:
    """The columns of a file that hold bytes. Of `mapped` the pictures are taken, of the others only the paths.

    Where everything of a record is asked for, all of them are pictures: `every`, in the order of the file.
    """

    held: frozenset[str]
    mapped: frozenset[str]
    every: tuple[str, ...] = ()

    @classmethod
    def of(cls, corpus: Corpus, path: str, schema: pa.Schema, names: list[str]) -> "PictureColumns":
        """Those among the columns that are read.

        Raises:
            CorpusError: a column of bytes is mapped to a field of text.
        """
        held = frozenset(name for name in names if _holds_bytes(schema.field(name).type))
        images, every = _image_columns(corpus.card), tuple[str, ...]()
        if takes_rest(corpus.card):
            every = tuple(name for name in names if name in held)
            images |= held
        for name in sorted(held):
            if _is_text(corpus.card, name) or (name not in images and not _has_path(schema.field(name).type)):
                raise CorpusError(
                    f"{corpus.shown(path)}: column {name!r} holds bytes, which are no text: map it to `image`, or map"
                    " another column"
                )
        return cls(held, held & images, every)

    def rows(self, corpus: Corpus, path: str, batch: pa.RecordBatch, first: int) -> list[dict[str, Any]]:
        """The rows of a batch that begins at row `first`, pictures by their uris; no bytes are copied.

        Raises:
            UnicodeDecodeError: a text is not UTF-8.
        """
        here = [name for name in batch.schema.names if name in self.held]
        others = batch.drop_columns(here)
        rows: list[dict[str, Any]] = others.to_pylist() if others.num_columns else [{} for _ in range(batch.num_rows)]
        if not here and not self.mapped:
            return rows
        slots = {name: _slots(batch.column(name)) for name in here}
        for offset, row in enumerate(rows):
            own = {name: slots[name][offset] for name in here}
            pictures = self._pictures(corpus, path, first + offset, row, own)
            for name, found in own.items():
                kind = batch.schema.field(name).type
                if _has_path(kind):
                    paths = [{PATH: place} for _, place in found]
                    row[name] = paths if _is_list(kind) else paths[0]
            if pictures is not None:
                row[PICTURE] = pictures
        return rows

    def _pictures(
        self, corpus: Corpus, path: str, number: int, row: Mapping[str, Any], slots: Mapping[str, list[Slot]]
    ) -> list[str] | None:
        """A row's pictures as the card maps them, then the others; None where it maps text that says them."""
        every = self._uris(corpus, path, number, slots, self.every)
        for column in columns_of(corpus.card).get("image", ()):
            names = names_of(column)
            if isinstance(column, Pick | First) or not self.mapped.intersection(names):
                if not isinstance(column, Pick | First) and all(row.get(name) is None for name in names):
                    continue
                return every or None
            uris = self._uris(corpus, path, number, slots, names)
            if uris:
                return uris + [uri for uri in every if uri not in uris]
        return every if self.mapped else None

    def _uris(
        self, corpus: Corpus, path: str, number: int, slots: Mapping[str, list[Slot]], names: Sequence[str]
    ) -> list[str]:
        """The pictures of a row in some of its columns."""
        folder = corpus.card.layout.images
        return [
            inner_uri(path, f"{number}/{name}/{n}") if there else placed(folder, place or "")
            for name in names
            for n, (there, place) in enumerate(slots.get(name, ()))
            if there or place
        ]


def picture_in(batch: pa.RecordBatch, offset: int, name: str, number: int) -> bytes:
    """The bytes of picture `number` in a column of row `offset`.

    Raises:
        FileNotFoundError: there is none.
        TooLargeError: it has more than 1 GiB.
    """
    value = batch.column(name)[offset]
    if _is_list(value.type):
        if not value.is_valid or number >= len(value.values):
            raise _absent()
        value = value.values[number]
    elif number:
        raise _absent()
    if pa.types.is_struct(value.type):
        value = value[BYTES] if value.is_valid else pa.scalar(None, pa.binary())
    if not value.is_valid:
        raise _absent()
    buffer = value.as_buffer()
    if buffer.size > MAX_READ_BYTES:
        raise TooLargeError(buffer.size, MAX_READ_BYTES)
    data: bytes = buffer.to_pybytes()
    return data


def place_of(what: str) -> tuple[int, str, int]:
    """Row, column and number that the inner name of a picture says.

    Raises:
        FileNotFoundError: it is no such name.
    """
    row, _, rest = what.partition("/")
    name, _, number = rest.rpartition("/")
    if not (row.isascii() and row.isdigit() and number.isascii() and number.isdigit()):
        raise _absent()
    return int(row), name, int(number)


def _absent() -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "no such picture in the file")


def _slots(column: pa.Array) -> list[list[Slot]]:
    """Of each row its pictures, in order; a place in a list that holds none stays, so that numbers do."""
    if not _is_list(column.type):
        return [[slot] for slot in _flat(column)]
    flat = iter(_flat(pc.list_flatten(column)))
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_pylist()
    return [[next(flat) for _ in range(length)] for length in lengths]


def _flat(values: pa.Array) -> Iterator[Slot]:
    if not pa.types.is_struct(values.type):
        return zip(values.is_valid().to_pylist(), [None] * len(values), strict=True)
    there = pc.is_valid(pc.struct_field(values, BYTES)).to_pylist()
    paths = pc.struct_field(values, PATH).to_pylist() if _has_path(values.type) else [None] * len(values)
    return zip(there, paths, strict=True)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _holds_bytes(kind: pa.DataType) -> bool:
    kind = kind.value_type if _is_list(kind) else kind
    if pa.types.is_struct(kind):
        return BYTES in [kind.field(number).name for number in range(kind.num_fields)]
    return _is_bytes(kind)


def _has_path(kind: pa.DataType) -> bool:
    kind = kind.value_type if _is_list(kind) else kind
    if not pa.types.is_struct(kind):
        return False
    return PATH in [kind.field(number).name for number in range(kind.num_fields)]


def _image_columns(card: Card) -> frozenset[str]:
    """The columns that are mapped to `image` or `images` as they are."""
    columns = columns_of(card).get("image", ())
    return frozenset(name for column in columns if not isinstance(column, Pick | First) for name in names_of(column))


def _is_text(card: Card, name: str) -> bool:
    """Whether a column is mapped, as it is or its bytes, to a field that is no picture."""
    for spelling, column in fields_of(card).items():
        names = () if spelling in ("image", "images") else names_of(column)
        if name in names or f"{name}.{BYTES}" in names:
            return True
    return name in card.meta
