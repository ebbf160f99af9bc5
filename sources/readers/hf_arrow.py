"""Arrow IPC streams, the files of saved HF datasets: where their batches lie, and rows of one without the rest."""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

WHOLE_BYTES = 32 * 2**20
"""Batches up to this size are read in one piece; of larger ones only the rows and columns that are asked for."""
_MAGIC = b"ARROW1\0\0"
"""Begins the file format, which is the stream format with a footer."""
_CONTINUES = 0xFFFFFFFF
_SCHEMA, _DICTIONARY, _RECORDS = 1, 2, 3
_MAX_HEADER_BYTES = 64 * 2**20


class StreamError(ValueError):
    """A file is not a whole Arrow IPC stream, or in a form that is not read. The message says which."""


@dataclass(frozen=True)
class Message:
    """One message of a stream: its bytes are `start:stop`, its body begins at `body`."""

    start: int
    body: int
    stop: int
    rows: int


@dataclass(frozen=True)
class Stream:
    """How a stream begins."""

    schema: pa.Schema
    header: bytes
    """The schema as it lies in the file."""
    start: int
    """Where its first batch does."""


def open_stream(file: BinaryIO) -> Stream:
    """Read the schema.

    Raises:
        StreamError: the file does not begin with one.
    """
    file.seek(0)
    start = len(_MAGIC) if file.read(len(_MAGIC)) == _MAGIC else 0
    kind, message = _message(file, start)
    if kind != _SCHEMA or message is None:
        raise StreamError("is not an Arrow IPC stream")
    header = _read(file, message.start, message.stop)
    try:
        return Stream(pa.ipc.read_schema(pa.py_buffer(header)), header, message.stop)
    except (pa.ArrowException, OSError, ValueError):
        raise StreamError("is not an Arrow IPC stream") from None


def batches(file: BinaryIO, start: int, size: int) -> Iterator[Message]:
    """The record batches from `start` to the end of the stream; only their headers are read.

    Raises:
        StreamError: it is cut off (`size` are its bytes), or holds dictionaries, which `datasets` never writes.
    """
    place = start
    while True:
        kind, message = _message(file, place)
        if message is None:
            return
        if kind == _DICTIONARY:
            raise StreamError("has dictionary-encoded columns, which are not read: save it with `datasets`")
        if kind != _RECORDS or message.stop > size:
            raise StreamError("is cut off, or no Arrow IPC stream: save it again")
        yield message
        place = message.stop


def read_rows(
    file: BinaryIO, message: Message, schema: pa.Schema, span: tuple[int, int], columns: dict[str, bool]
) -> pa.RecordBatch:
    """Rows `span` of a batch, of the named columns; `columns[name]` says whether its bytes values are wanted too.

    Where they are not, which of them are null can be told, and nothing else of them may be looked at. Of a batch
    of more than 32 MiB only what was asked for is read and held.

    Raises:
        StreamError: its body is damaged.
    """
    size = message.stop - message.start
    try:
        if size <= WHOLE_BYTES:
            batch = _batch(_read(file, message.start, message.stop), schema)
        else:
            batch = _sparse(file, message, schema, span, columns)
        return batch.select(list(columns)).slice(span[0], span[1] - span[0])
    except StreamError:
        raise
    except (pa.ArrowException, struct.error, ValueError, IndexError):
        raise StreamError("holds a damaged record batch") from None


def _message(file: BinaryIO, start: int) -> tuple[int, Message | None]:
    """Kind and place of the message at `start`; None at the end of the stream.

    https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format
    """
    file.seek(start)
    prefix = file.read(8)
    if len(prefix) < 8:
        raise StreamError("is cut off, or no Arrow IPC stream: save it again")
    first, second = struct.unpack("<Ii", prefix)
    length, at = (second, 8) if first == _CONTINUES else (struct.unpack("<i", prefix[:4])[0], 4)
    if length == 0:
        return 0, None
    if not 0 < length <= _MAX_HEADER_BYTES:
        raise StreamError("is not an Arrow IPC stream")
    file.seek(start + at)
    header = file.read(length)
    try:
        kind, rows, body = _header(header)
    except (struct.error, IndexError):
        raise StreamError("is cut off, or no Arrow IPC stream: save it again") from None
    if len(header) < length or body < 0 or rows < 0:
        raise StreamError("is cut off, or no Arrow IPC stream: save it again")
    return kind, Message(start, start + at + length, start + at + length + body, rows)


def _header(data: bytes) -> tuple[int, int, int]:
    """Kind, rows and body bytes of a message: three fields of the flatbuffer tables Message and RecordBatch."""
    message = struct.unpack_from("<I", data, 0)[0]
    kind_at, header_at, body_at = (_field(data, message, number) for number in (1, 2, 3))
    kind = data[kind_at] if kind_at else 0
    body = struct.unpack_from("<q", data, body_at)[0] if body_at else 0
    rows = 0
    if kind == _RECORDS and header_at:
        rows_at = _field(data, header_at + struct.unpack_from("<I", data, header_at)[0], 0)
        rows = struct.unpack_from("<q", data, rows_at)[0] if rows_at else 0
    return kind, rows, body


def _field(data: bytes, table: int, number: int) -> int:
    """Where a field of a flatbuffer table lies; 0 where it has its default."""
    fields = table - struct.unpack_from("<i", data, table)[0]
    if fields < 0 or 4 + 2 * number >= struct.unpack_from("<H", data, fields)[0]:
        return 0
    offset: int = struct.unpack_from("<H", data, fields + 4 + 2 * number)[0]
    return table + offset if offset else 0


def _read(file: BinaryIO, start: int, stop: int) -> bytes:
    file.seek(start)
    data = file.read(stop - start)
    if len(data) < stop - start:
        raise StreamError("is cut off: save it again")
    return data


def _batch(data: Any, schema: pa.Schema) -> pa.RecordBatch:
    return pa.ipc.read_record_batch(pa.ipc.read_message(pa.py_buffer(data)), schema)


def _sparse(
    file: BinaryIO, message: Message, schema: pa.Schema, span: tuple[int, int], columns: dict[str, bool]
) -> pa.RecordBatch:
    """A batch over memory that is empty but for what was asked for: pages that nothing is written to take none."""
    size = message.stop - message.start
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory[: message.body - message.start] = _read(file, message.start, message.body)
    batch = _batch(memory, schema)
    window = _Window(file, message.start, memory, np.frombuffer(memory, np.uint8).ctypes.data)
    for name, values in columns.items():
        window.fill(batch.column(name), span[0], span[1], values=values)
    return batch


@dataclass(frozen=True)
class _Window:
    """A message's memory, and how ranges of it are read from the file."""

    file: BinaryIO
    start: int
    memory: mmap.mmap
    address: int

    def fill(self, array: pa.Array, first: int, last: int, *, values: bool) -> None:
        """Read what rows `first:last` of an array need, and of all its rows which are null and how long they are.

        With these, which are small, the array is sound as a whole and Arrow can check it.
        """
        kind = array.type
        if isinstance(array, pa.ExtensionArray):
            self.fill(array.storage, first, last, values=values)
            return
        own = array.buffers()
        if pa.types.is_null(kind) or last <= first:
            return
        self._whole(own[0])
        if pa.types.is_struct(kind):
            for number in range(kind.num_fields):
                self.fill(array.field(number), first, last, values=values)
        elif pa.types.is_fixed_size_list(kind):
            self.fill(array.values, first * kind.list_size, last * kind.list_size, values=values)
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            begin, end = self._offsets(own[1], first, last, 8 if pa.types.is_large_list(kind) else 4)
            self.fill(array.values, begin, end, values=values)
        else:
            self._leaf(kind, own, first, last, values=values)

    def _leaf(self, kind: pa.DataType, own: list[pa.Buffer], first: int, last: int, *, values: bool) -> None:
        is_text = kind in (pa.string(), pa.large_string())
        if is_text or kind in (pa.binary(), pa.large_binary()):
            wide = kind in (pa.large_binary(), pa.large_string())
            begin, end = self._offsets(own[1], first, last, 8 if wide else 4)
            if values or is_text:
                self._read(own[2], begin, end)
        elif pa.types.is_primitive(kind) or pa.types.is_fixed_size_binary(kind):
            bits = kind.bit_width
            self._read(own[1], first * bits // 8, (last * bits + 7) // 8)
        else:
            raise StreamError(f"has a column of type {kind}, which is not read in batches of this size")

    def _offsets(self, buffer: pa.Buffer, first: int, last: int, width: int) -> tuple[int, int]:
        self._whole(buffer)
        offsets = np.frombuffer(buffer, np.int64 if width == 8 else np.int32)
        return int(offsets[first]), int(offsets[last])

    def _whole(self, buffer: pa.Buffer | None) -> None:
        self._read(buffer, 0, 0 if buffer is None else buffer.size)

    def _read(self, buffer: pa.Buffer | None, first: int, last: int) -> None:
        if buffer is None or last <= first:
            return
        at = buffer.address - self.address
        if first < 0 or not 0 <= at <= at + last <= len(self.memory) or last > buffer.size:
            raise StreamError("holds a compressed or damaged record batch: save it again with `datasets`")
        self.memory[at + first : at + last] = _read(self.file, self.start + at + first, self.start + at + last)
