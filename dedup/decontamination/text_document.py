"""Samples that were read: their tokens, and where in which field each stands."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dedup.decontamination.text_index import TextIndex
from dedup.decontamination.text_pieces import Pieces, field_name
from dedup.decontamination.text_tokens import Places, Tokens, tokens_of
from dedup.kernels.buffers import texts_of

_CONTINUES, _TOP = np.uint8(0x80), np.uint8(0xC0)


@dataclass(frozen=True, eq=False)
class Documents:
    """The tokens of some samples, one document each."""

    pieces: Pieces
    tokens: Tokens
    starts: Places
    """First token of each document (one more than there are)."""
    supported: npt.NDArray[np.bool_]
    """Samples with a picture or a group."""
    answers: Tokens
    """Tokens of the `answer` of each sample, empty where it has none."""

    @classmethod
    def of(cls, samples: pa.Table, index: TextIndex, pieces: Pieces, tokens: Tokens, starts: Places) -> Self:
        """The documents of samples that were read into tokens."""
        supported = np.zeros(samples.num_rows, np.bool_)
        for name in ("images", "groups"):
            if name in samples.column_names:
                lengths = pc.fill_null(pc.list_value_length(samples[name]), 0)
                supported |= np.asarray(lengths) > 0
        answers = pa.nulls(samples.num_rows, pa.string())
        if "answer" in samples.column_names:
            answers = samples["answer"]
        data, offsets = texts_of(answers)
        return cls(
            pieces, tokens, starts, supported, tokens_of(data, offsets[:-1], offsets[1:], index.vocabulary)
        )  # fmt: skip

    def document(self, number: int) -> "Document":
        """One of them."""
        return Document(self, number)


@dataclass(frozen=True, eq=False)
class Document:
    """One sample among those that were read; tokens have their numbers among all."""

    all: Documents
    number: int

    @cached_property
    def start(self) -> int:
        """Its first token."""
        return int(self.all.starts[self.number])

    @cached_property
    def stop(self) -> int:
        """One beyond its last token."""
        return int(self.all.starts[self.number + 1])

    @property
    def supported(self) -> bool:
        """Whether it has a picture or a group."""
        return bool(self.all.supported[self.number])

    @cached_property
    def answer(self) -> npt.NDArray[np.int32]:
        """Words of the sample's own answer; empty where it has none or only a letter."""
        low, high = self.all.answers.texts[self.number], self.all.answers.texts[self.number + 1]
        words = self.all.answers.words[low:high]
        letter = len(words) == 1 and self.all.answers.stops[low] - self.all.answers.starts[low] == 1
        return words[:0] if letter else words

    def piece_of(self, token: int) -> int:
        """The piece that a token is of."""
        return int(np.searchsorted(self.all.tokens.texts, token, side="right")) - 1

    def piece_tokens(self, piece: int) -> tuple[int, int]:
        """First token of a piece, and one beyond its last."""
        return int(self.all.tokens.texts[piece]), int(self.all.tokens.texts[piece + 1])

    def field(self, piece: int) -> str:
        """The field that a piece is of."""
        return field_name(int(self.all.pieces.fields[piece]))

    def span(self, piece: int, first: int, last: int) -> tuple[int, int]:
        """Code points in the piece's field from token `first` to the end of token `last`.

        Of a decoded piece those of all that was encoded.
        """
        pieces, tokens = self.all.pieces, self.all.tokens
        start, stop = pieces.stands_for[piece].tolist()
        begin = int(pieces.begins[piece])
        if start >= 0:
            begin = self._begin_of_field(piece)
        else:
            start, stop = begin + int(tokens.starts[first]), begin + int(tokens.stops[last])
        before = _code_points(pieces.data[begin:start])
        return before, before + _code_points(pieces.data[start:stop])

    def _begin_of_field(self, piece: int) -> int:
        """Where the field begins that a decoded piece came from: another piece of the sample has it."""
        pieces = self.all.pieces
        low, high = pieces.documents[self.number], pieces.documents[self.number + 1]
        same = (pieces.fields[low:high] == pieces.fields[piece]) & (pieces.stands_for[low:high, 0] < 0)
        return int(pieces.begins[low + int(np.flatnonzero(same)[0])])


def _code_points(data: npt.NDArray[np.uint8]) -> int:
    return int(np.count_nonzero(data & _TOP != _CONTINUES))
