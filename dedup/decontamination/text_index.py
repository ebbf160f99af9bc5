"""The index of the eval items' texts: their tokens, who has which text, and how often their words are elsewhere."""

import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dedup.decontamination.text_background import NONE, Digests, first_pieces, piece_digests
from dedup.decontamination.text_pieces import Pieces, pieces_of
from dedup.decontamination.text_settings import TextSettings
from dedup.decontamination.text_tokens import (
    Places,
    Tokens,
    code_point_spans,
    cut,
    distinct,
    gathered,
    tokens_of,
    vocabulary_from,
    vocabulary_of,
)
from dedup.kernels.buffers import texts_of
from dedup.kernels.eval_search import MAX_TEXTS, gram_keys
from dedup.kernels.rare_grams import document_counts
from dedup.kernels.vocabulary import WORD_BITS, Vocabulary, slots_of

ROLES = ("question", "context", "rationale", "text", "answer")
"""Fields of an item that are sought; an answer only from ANSWER_TOKENS on: reports and explanations."""
QUESTION, CONTEXT, RATIONALE, TEXT, ANSWER = range(len(ROLES))
ANSWER_TOKENS = 20
LONGEST_TEXT = 4000
"""Tokens after which a text is cut into several."""
_FORMAT = 1


@dataclass(frozen=True, eq=False)
class TextIndex:
    """The distinct texts of eval items as flat arrays."""

    settings: TextSettings
    vocabulary: Vocabulary
    words: npt.NDArray[np.int32]
    forms: npt.NDArray[np.int32]
    kinds: npt.NDArray[np.uint8]
    spans: npt.NDArray[np.uint16]
    """(tokens, 2): start and stop in code points of the item's field; 65,535 stands for all that is further."""
    starts: Places
    roles: npt.NDArray[np.uint8]
    items: npt.NDArray[np.int32]
    """Numbers of the items that have each text, rising, from `item_starts` on."""
    item_starts: Places
    answers: npt.NDArray[np.int32]
    """Words of each item's answer, from `answer_starts` on."""
    answer_starts: Places
    background_counts: npt.NDArray[np.int64]
    """In how many of `documents` texts each word is, then each gram of `gram_keys`."""
    documents: int

    @classmethod
    def of(cls, items: pa.Table, settings: TextSettings) -> Self:
        """The index of ITEMS; an item's number is its row.

        Raises:
            ValueError: there are more than 2 million distinct words or 67 million texts.
        """
        data, begins, ends, owners, roles = _columns(items)
        tokens = tokens_of(data, begins, ends)
        vocabulary, forms = vocabulary_of(data, begins, tokens)
        if len(vocabulary.plains) >= 1 << WORD_BITS:
            raise ValueError(f"eval items with {len(vocabulary.plains)} distinct words: audit them in several parts")
        words = vocabulary.form_words[forms]
        spans = np.column_stack([np.minimum(ends, 0xFFFF) for ends in code_point_spans(data, begins, tokens)])
        answers, answer_starts = _answers(words, tokens, owners, roles, items.num_rows)
        starts, pieces = cut(tokens.texts, LONGEST_TEXT)
        lengths = np.diff(starts)
        wanted = np.flatnonzero(lengths >= np.where(roles[pieces] == ANSWER, ANSWER_TOKENS, 1))
        chosen_places, chosen_starts = gathered(starts, wanted)
        firsts, numbers = distinct(words[chosen_places], chosen_starts, roles[pieces[wanted]])
        if len(firsts) >= MAX_TEXTS:
            raise ValueError(f"eval items with {len(firsts)} texts: audit them in several parts")
        pairs = np.unique(np.column_stack([numbers, owners[pieces[wanted]]]), axis=0)
        places, text_starts = gathered(starts, wanted[firsts])
        return cls(
            settings, vocabulary, words[places], forms[places], tokens.kinds[places],
            spans[places].astype(np.uint16), text_starts, roles[pieces[wanted[firsts]]], pairs[:, 1].astype(np.int32),
            np.searchsorted(pairs[:, 0], np.arange(len(firsts) + 1)).astype(np.int64), answers, answer_starts,
            np.zeros(0, np.int64), 0,
        )  # fmt: skip

    @cached_property
    def grams(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]]:
        """Keys of all grams of the texts, sorted, and the number of the gram that begins at each token (-1: none)."""
        keys = np.empty(len(self.words), np.uint64)
        gram_keys(self.words, self.starts, keys)
        distinct_keys, numbers = np.unique(keys, return_inverse=True)
        if len(distinct_keys) and distinct_keys[0] == 0:
            return distinct_keys[1:], (numbers - 1).astype(np.int32)
        return distinct_keys, numbers.astype(np.int32)

    @cached_property
    def alike(self) -> npt.NDArray[np.int32]:
        """For each item, under which item hits of its question are given: another where too many have the question."""
        stands_for = np.arange(len(self.answer_starts) - 1, dtype=np.int32)
        counts = np.diff(self.item_starts)
        for text in np.flatnonzero((counts > self.settings.max_items) & (self.roles == QUESTION)):
            members = self.items[self.item_starts[text] : self.item_starts[text + 1]]
            stands_for[members] = members[0]
        return stands_for

    def background(self, texts: pa.Table) -> npt.NDArray[np.int64]:
        """In how many of the samples (SAMPLES) each word and each gram is; copies of a text count once."""
        counts, _ = self.counted(texts, NONE)
        return counts

    def counted(self, texts: pa.Table, earlier: Digests) -> tuple[npt.NDArray[np.int64], int]:
        """The background of samples whose texts are not among those counted earlier, and how many samples have any.

        Over fragments both add up where `earlier` has the `text_digests` of all fragments before.
        """
        keys, _ = self.grams
        word_counts, gram_counts = np.zeros(len(self.vocabulary.plains), np.int64), np.zeros(len(keys), np.int64)
        seen = np.empty(len(word_counts), np.int64), np.empty(len(gram_counts), np.int64)
        slots, count = slots_of(keys), 0
        for chunk in chunks_of(texts):
            tokens, _ = read_pieces(self, pieces := pieces_of(chunk))
            values = piece_digests(chunk, pieces, tokens)
            chosen = first_pieces(values, earlier)
            places, starts = gathered(tokens.texts, chosen)
            firsts = np.searchsorted(chosen, pieces.documents)
            document_counts(tokens.words[places], starts[firsts], slots, keys, word_counts, gram_counts, *seen)
            count += int((np.diff(firsts) > 0).sum())
            earlier = np.union1d(earlier, values[chosen])
        return np.concatenate([word_counts, gram_counts]), count

    def text_digests(self, texts: pa.Table) -> Digests:
        """What tells the texts of samples apart, sorted, each once."""
        found = [NONE]
        for chunk in chunks_of(texts):
            tokens, _ = read_pieces(self, pieces := pieces_of(chunk))
            found.append(piece_digests(chunk, pieces, tokens))
        return np.unique(np.concatenate(found))

    def weighted(self, background: npt.NDArray[np.int64], documents: int) -> Self:
        """The index with weights from the eval items and a background of so many documents.

        Raises:
            ValueError: the background is not of this index.
        """
        expected = len(self.vocabulary.plains) + len(self.grams[0])
        if len(background) != expected:
            raise ValueError(f"a background of {len(background)} counts for an index of {expected} words and grams")
        return replace(self, background_counts=background, documents=documents)

    def tables(self) -> dict[str, pa.Table]:
        """What is to be kept of it; the same for the same items on every machine."""
        lists: dict[str, tuple[npt.NDArray[Any], Places]] = {
            "words": (self.words, self.starts), "forms": (self.forms, self.starts), "kinds": (self.kinds, self.starts),
            "span_starts": (self.spans[:, 0], self.starts), "span_stops": (self.spans[:, 1], self.starts),
            "items": (self.items, self.item_starts),
        }  # fmt: skip
        about = {"format": _FORMAT, "documents": self.documents, "settings": self.settings.model_dump()}
        texts = pa.table({"role": self.roles, **{name: _lists(*parts) for name, parts in lists.items()}})
        return {
            "texts": texts.replace_schema_metadata({"curate": json.dumps(about)}),
            "answers": pa.table({"words": _lists(self.answers, self.answer_starts)}),
            "forms": pa.table({"form": self.vocabulary.forms, "word": self.vocabulary.form_words}),
            "words": pa.table({"word": self.vocabulary.plains, "numeral": self.vocabulary.numerals}),
            "background": pa.table({"count": self.background_counts}),
        }

    @classmethod
    def from_tables(cls, tables: dict[str, pa.Table]) -> Self:
        """The index from its `tables`.

        Raises:
            ValueError: they are of another format.
        """
        texts = tables["texts"]
        about = json.loads((texts.schema.metadata or {}).get(b"curate", b"{}"))
        if about.get("format") != _FORMAT:
            raise ValueError(f"text index of format {about.get('format')}, expected {_FORMAT}")
        words, starts = _flat(texts["words"])
        items, item_starts = _flat(texts["items"])
        answers, answer_starts = _flat(tables["answers"]["words"])
        vocabulary = vocabulary_from(
            *(tables["forms"][name].to_numpy() for name in ("form", "word")),
            *(tables["words"][name].to_numpy() for name in ("word", "numeral")),
        )
        spans = np.column_stack([_flat(texts["span_starts"])[0], _flat(texts["span_stops"])[0]])
        return cls(
            TextSettings(**about["settings"]), vocabulary, words, _flat(texts["forms"])[0], _flat(texts["kinds"])[0],
            spans, starts, texts["role"].to_numpy(), items, item_starts, answers, answer_starts,
            tables["background"]["count"].to_numpy(), about["documents"],
        )  # fmt: skip


def read_pieces(index: TextIndex, pieces: Pieces) -> tuple[Tokens, Places]:
    """Tokens of pieces in the index's vocabulary, and the first token of each document (one more than there are)."""
    tokens = tokens_of(pieces.data, pieces.begins, pieces.ends, index.vocabulary)
    return tokens, tokens.texts[pieces.documents]


BYTES_AT_ONCE = 1 << 22


def chunks_of(samples: pa.Table) -> list[pa.Table]:
    """The samples in groups of at most 4 MB of text, so that memory does not grow with the fragment.

    A longer sample is a group of its own.
    """
    bounds, low, held = [], 0, 0
    for row, size in enumerate(_sizes(samples).tolist()):
        if row > low and held + size > BYTES_AT_ONCE:
            bounds.append((low, row))
            low, held = row, 0
        held += size
    bounds.append((low, samples.num_rows))
    return [samples.slice(low, high - low) for low, high in bounds if high > low]


def _sizes(samples: pa.Table) -> Places:
    """Bytes of the texts of each sample."""
    sizes = np.zeros(samples.num_rows, np.int64)
    for name in samples.column_names:
        column = samples[name]
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            sizes += np.asarray(pc.fill_null(pc.binary_length(column), 0), np.int64)
    row = 0
    for turns in samples["turns"].chunks if "turns" in samples.column_names else ():
        owners = np.asarray(pc.list_parent_indices(turns), np.int64)
        lengths = pc.fill_null(pc.binary_length(pc.struct_field(pc.list_flatten(turns), "text")), 0)
        sizes[row : row + len(turns)] += np.bincount(owners, np.asarray(lengths), len(turns)).astype(np.int64)
        row += len(turns)
    return sizes


def _columns(
    items: pa.Table,
) -> tuple[npt.NDArray[np.uint8], Places, Places, Places, npt.NDArray[np.uint8]]:
    """Bytes of all texts, where each begins and ends, whose it is, and its role."""
    data, begins, ends, owners, roles, at = [], [], [], [], [], 0
    for role, name in enumerate(ROLES):
        texts = texts_of(items[name])
        chosen = np.flatnonzero(np.diff(texts.offsets))
        data.append(texts.data)
        begins.append(texts.offsets[chosen] + at)
        ends.append(texts.offsets[chosen + 1] + at)
        owners.append(chosen)
        roles.append(np.full(len(chosen), role, np.uint8))
        at += len(texts.data)
    whole = np.concatenate(data)
    whole.flags.writeable = False
    return whole, np.concatenate(begins), np.concatenate(ends), np.concatenate(owners), np.concatenate(roles)


def _answers(
    words: npt.NDArray[np.int32], tokens: Tokens, owners: Places, roles: npt.NDArray[np.uint8], items: int
) -> tuple[npt.NDArray[np.int32], Places]:
    of_answers = np.flatnonzero(roles == ANSWER)
    places, starts = gathered(tokens.texts, of_answers)
    lengths = np.zeros(items, np.int64)
    lengths[owners[of_answers]] = np.diff(starts)
    return words[places], np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _lists(values: npt.NDArray[Any], starts: Places) -> pa.Array:
    return pa.LargeListArray.from_arrays(pa.array(starts), pa.array(values))


def _flat(column: pa.ChunkedArray) -> tuple[npt.NDArray[Any], Places]:
    whole = pa.concat_arrays(column.chunks) if column.num_chunks != 1 else column.chunk(0)
    lengths = np.asarray(whole.value_lengths(), np.int64)
    return whole.flatten().to_numpy(), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
