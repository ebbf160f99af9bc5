"""All that a sample says, piece by piece: its turns, and what of its other fields is not in them."""

import base64
import binascii
import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dedup.kernels.buffers import Texts, texts_of
from dedup.kernels.pieces import contained, long_runs

FIELDS = ("question", "answer", "meta")
_ENCODED = re.compile(rb"(?:[A-Za-z0-9+/_-]{40,}(?:\r?\n|\\n)){0,100000}[A-Za-z0-9+/_-]{32,}={0,2}")
_SHORTEST_RUN = 32
_SPACELESS = "\u0e00"
"""From this sign on are the scripts that are written without spaces, Chinese and Japanese among them."""
_LINE_ENDS = re.compile(rb"\r?\n|\\n")


class Pieces(NamedTuple):
    """Texts `data[begins[i]:ends[i]]` in the order of rows; `documents[row]` is the row's first piece."""

    data: npt.NDArray[np.uint8]
    begins: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    documents: npt.NDArray[np.int64]
    fields: npt.NDArray[np.int32]
    """Number of the turn, or -1 - k for FIELDS[k]."""
    stands_for: npt.NDArray[np.int64]
    """Of a decoded piece (start, stop) of the encoded text it came from; of others -1."""


def field_name(number: int) -> str:
    """The name of a piece's field as TEXT_HITS has it."""
    return f"turns.{number}" if number >= 0 else FIELDS[-1 - number]


def pieces_of(samples: pa.Table) -> Pieces:
    """The pieces of samples; rows may be chunked, columns of FIELDS may be absent.

    `question` and `answer` are left out where a turn of the sample has them letter by letter. Base64 of UTF-8 text is
    a piece of its own, after the row's others.
    """
    turns, starts = _turns(samples)
    rows = samples.num_rows
    parts, owners, numbers, data, at = [], [], [], [turns.data], len(turns.data)
    turn_rows = np.repeat(np.arange(rows), np.diff(starts))
    parts.append(np.column_stack([turns.offsets[:-1], turns.offsets[1:]]))
    owners.append(turn_rows)
    numbers.append(np.arange(len(turn_rows)) - starts[turn_rows])
    for number, name in enumerate(FIELDS):
        if name not in samples.column_names or samples[name].null_count == rows:
            continue
        texts = texts_of(samples[name])
        wanted = texts.offsets[1:] > texts.offsets[:-1]
        if name != "meta":
            wanted &= ~contained(turns.data, turns.offsets, starts, texts.data, texts.offsets)
        chosen = np.flatnonzero(wanted)
        if len(chosen):
            parts.append(np.column_stack([texts.offsets[chosen] + at, texts.offsets[chosen + 1] + at]))
            owners.append(chosen)
            numbers.append(np.full(len(chosen), -1 - number))
            data.append(texts.data)
            at += len(texts.data)
    return _sorted(np.concatenate(data) if len(data) > 1 else turns.data, parts, owners, numbers, rows)


def _turns(samples: pa.Table) -> tuple[Texts, npt.NDArray[np.int64]]:
    """Texts of all turns, and where each row's begin (one more than there are rows)."""
    column = samples["turns"].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    lengths = np.asarray(column.value_lengths().fill_null(0), np.int64)
    # `flatten` leaves out what nulls and slices hide; null turns are empty.
    return texts_of(column.flatten().field("text")), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _sorted(
    data: npt.NDArray[np.uint8], parts: list[npt.NDArray[np.int64]], owners: list[npt.NDArray[np.int64]],
    numbers: list[npt.NDArray[np.int64]], rows: int,
) -> Pieces:  # fmt: skip
    spans, rows_of, fields = np.concatenate(parts), np.concatenate(owners), np.concatenate(numbers)
    stands_for = np.full((len(spans), 2), -1, np.int64)
    begins, ends = np.ascontiguousarray(spans[:, 0]), np.ascontiguousarray(spans[:, 1])
    flagged = np.flatnonzero(long_runs(data, begins, ends, _SHORTEST_RUN))
    decoded = [(piece, *found) for piece in flagged for found in _decoded(data[begins[piece] : ends[piece]].tobytes())]
    if decoded:
        whole = b"".join(text for _, _, text in decoded)
        stops = len(data) + np.cumsum([len(text) for _, _, text in decoded])
        spans = np.vstack([spans, np.column_stack([np.concatenate([[len(data)], stops[:-1]]), stops])])
        data = np.concatenate([data, np.frombuffer(whole, np.uint8)])
        origins = np.array([piece for piece, _, _ in decoded])
        rows_of = np.concatenate([rows_of, rows_of[origins]])
        fields = np.concatenate([fields, fields[origins]])
        stands_for = np.vstack([stands_for, [begins[piece] + np.array(span) for piece, span, _ in decoded]])
    order = np.argsort(rows_of, kind="stable")
    documents = np.searchsorted(rows_of[order], np.arange(rows + 1))
    data.flags.writeable = False
    return Pieces(
        data, np.ascontiguousarray(spans[order, 0]), np.ascontiguousarray(spans[order, 1]), documents.astype(np.int64),
        fields[order].astype(np.int32), stands_for[order],
    )  # fmt: skip


def _decoded(text: bytes) -> list[tuple[tuple[int, int], bytes]]:
    """What of a text is base64 of UTF-8 text: span and what it says."""
    found = []
    for match in _ENCODED.finditer(text):
        signs = _LINE_ENDS.sub(b"", match.group()).replace(b"-", b"+").replace(b"_", b"/").rstrip(b"=")
        signs = signs[: len(signs) - (len(signs) % 4 == 1)]
        # The beginning shows whether it is text: pictures in base64 are long.
        if _plain_text(signs[:64]) and (said := _plain_text(signs)):
            found.append((match.span(), said))
    return found


def _plain_text(signs: bytes) -> bytes:
    try:
        said = base64.b64decode(signs + b"=" * (-len(signs) % 4), validate=True)
        text = said.decode(errors="strict" if len(signs) != 64 else "ignore")
    except (binascii.Error, UnicodeDecodeError):
        return b""
    readable = sum(sign.isprintable() or sign.isspace() for sign in text)
    spaceless = sum(sign >= _SPACELESS for sign in text)
    return said if text and readable >= 0.95 * len(text) and (" " in text or spaceless > 0.5 * len(text)) else b""
