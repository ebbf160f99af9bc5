"""Near-duplicate texts: which samples may be ones, whether two are, and in which words they differ.

A text's shingles are its words and its pairs of words; of a short text, four letters at a time (`kernels/signatures.py`
has both). Longer runs of words lose duplicates: one word replaced in 20 leaves a Jaccard similarity of .86 in words
and pairs, .81 in pairs, .71 in runs of three and .52 in runs of five. docs/near_text.md has what was measured.
"""

import difflib
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dedup.bands import BAND_KEYS, band_keys
from dedup.bandwidths import banding_for
from dedup.exact import PROMPTED_TASKS, comparable_text
from dedup.guards import VERDICTS, guards
from dedup.kernels.buffers import texts_of
from dedup.kernels.comparison import FEWEST_TOKENS, LETTERS_BELOW, compare
from dedup.kernels.normal_form import write_normal_forms
from dedup.kernels.signatures import PERMUTATIONS, band_digests, signatures_of
from dedup.keys import by_key
from dedup.order import survivor_order
from sources.schema import Reason

COMPARED = pa.schema(
    [
        pa.field("jaccard", pa.float64(), nullable=False),
        pa.field("containment", pa.float64(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("edits", pa.int32(), nullable=False),
    ]
)
"""What comparing a pair gives: Jaccard similarity of the shingle sets, the share of the smaller set that is in the
larger, a verdict of `dedup.guards.VERDICTS`, and, of pairs over the threshold, how many tokens were added or left out
(-1: more than 1,000)."""

Run = tuple[Literal["equal", "delete", "insert"], str]


class NearText:
    """Proposes samples without pictures whose texts may be near-duplicates; samples with pictures are `near_image`'s.

    Two texts are near-duplicates where the Jaccard similarity of their shingles is at least `jaccard` and no guard
    objects (dedup/guards.py). Texts of fewer than 3 tokens are left to `exact`.
    """

    name = "near_text"
    version = 2
    reason = Reason.NEAR_TEXT
    columns = ("sample_id", "source", "task", "turns", "images", "question", "access")

    def __init__(self, *, jaccard: float = 0.8, sources: Sequence[str] = ()) -> None:
        """`sources`: names in the recipe's order, the first one's samples survive.

        Raises:
            ValueError: `jaccard` is not from 0.5 to 1 (below, most reports of one template would be proposed).
        """
        if not 0.5 <= jaccard <= 1:
            raise ValueError(f"jaccard is a similarity from 0.5 to 1, not {jaccard}")
        self.jaccard = jaccard
        self.sources = tuple(sources)
        self.banding = banding_for(jaccard, PERMUTATIONS)

    @property
    def threshold(self) -> float:
        """Of the score: the similarity of two texts."""
        return self.jaccard

    def parameters(self) -> dict[str, object]:
        """The threshold, and whose samples survive."""
        return {"jaccard": self.jaccard, "sources": list(self.sources)}

    def keys(self, samples: pa.Table, rows: pa.Array, facts: Mapping[str, pa.Table]) -> pa.Table:
        """BAND_KEYS of the samples without pictures; `rows` are the samples' numbers in the fragment."""
        mask = pc.equal(pc.fill_null(pc.list_value_length(samples["images"]), 0), 0).combine_chunks()
        return self.salted_keys(samples.filter(mask), rows.filter(mask), facts.get("images"), None)

    def salted_keys(
        self, samples: pa.Table, rows: pa.Array, images: pa.Table | None, salt: npt.NDArray[np.uint64] | None
    ) -> pa.Table:
        """BAND_KEYS of all samples given; only those of equal salt ever share a band."""
        order = survivor_order(samples, images, self.sources)
        return self.keys_of_texts(comparable_texts(samples), order, rows.to_numpy(zero_copy_only=False), salt)

    def keys_of_texts(
        self,
        texts: pa.Array,
        order: npt.NDArray[np.uint64],
        rows: npt.NDArray[np.int32],
        salt: npt.NDArray[np.uint64] | None = None,
    ) -> pa.Table:
        """BAND_KEYS of comparable texts with their places in the order of survivors and their numbers."""
        if salt is None:
            salt = np.zeros(len(texts), np.uint64)
        signatures_NK, tokens_N = signatures_of(texts_of(texts))
        by_words = np.flatnonzero(tokens_N >= LETTERS_BELOW)
        # A pair is compared by letters where its shorter text is short: its longer one may have a few tokens more.
        by_letters = np.flatnonzero((tokens_N >= FEWEST_TOKENS) & (tokens_N <= LETTERS_BELOW / self.jaccard))
        letters_NK, _ = signatures_of(texts_of(texts.take(pa.array(by_letters))), letters=True)
        bands, width = self.banding
        tables = [
            band_keys(band_digests(signatures, bands, width, first, salt[places]), order[places], rows[places])
            for places, signatures, first in ((by_words, signatures_NK[by_words], 0), (by_letters, letters_NK, bands))
            if len(places)
        ]
        if len(tables) < 2:
            return tables[0] if tables else BAND_KEYS.empty_table()
        return by_key(pa.concat_tables(tables)).cast(BAND_KEYS)


def comparable_texts(samples: pa.Table) -> pa.Array:
    """`dedup.exact.comparable_text` of every sample, as large_string: what all text comparisons are made on.

    Samples all in ASCII, most of English corpora, are made by a kernel (about 1.4 GB/s); others one by one in Python.

    Args:
        samples: with the columns `task`, `turns`, `question`.
    """
    turns = samples["turns"]
    turns = turns.chunk(0) if turns.num_chunks == 1 else turns.combine_chunks()
    roles, spoken = turns.values.field("role"), turns.values.field("text")
    role_texts, spoken_texts = texts_of(roles), texts_of(spoken)
    questions = texts_of(samples["question"])
    starts = turns.offsets.to_numpy().astype(np.int64)
    prompted = pc.is_in(samples["task"], pa.array(sorted(PROMPTED_TASKS))).to_numpy(zero_copy_only=False)
    # A list that is null has no turns, but Arrow may keep some where it stands.
    other = turns.is_null().to_numpy(zero_copy_only=False) & (starts[1:] > starts[:-1])
    broken = pc.or_(roles.is_null(), spoken.is_null()).to_numpy(zero_copy_only=False)
    other[np.searchsorted(starts, np.flatnonzero(broken[: starts[-1]]), "right") - 1] = True
    room = (len(questions.data) + len(role_texts.data) + len(spoken_texts.data) + 4 * len(broken)) + 1
    out, offsets = np.empty(room, np.uint8), np.empty(len(prompted) + 1, np.int64)
    write_normal_forms(prompted, starts, *role_texts, *spoken_texts, *questions, out, offsets, other)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(out)]
    texts = pa.LargeStringArray.from_buffers(len(prompted), buffers[1], buffers[2])
    if not other.any():
        return texts
    left = samples.filter(pa.array(other)).select(["task", "turns", "question"]).to_pylist()
    made = pa.array([comparable_text(sample) for sample in left], pa.large_string())
    return pc.replace_with_mask(texts, pa.array(other), made)


def verify_texts(a: pa.Array, b: pa.Array, jaccard: float = 0.8) -> pa.Table:
    """COMPARED of the pairs (a[i], b[i]) of comparable texts, exact up to collisions of 64-bit hashes."""
    jaccards, containments, verdicts, edits = compare(texts_of(a), texts_of(b), jaccard, guards())
    named = pa.array(VERDICTS).take(pa.array(verdicts))
    return pa.table([jaccards, containments, named, edits], schema=COMPARED)


def difference(a: str, b: str) -> list[Run]:
    """How one text becomes the other, in words as they are written: runs that stay, go (of a), come (of b)."""
    words_a, words_b = a.split(), b.split()
    runs: list[Run] = []
    for kind, from_a, to_a, from_b, to_b in difflib.SequenceMatcher(None, words_a, words_b, False).get_opcodes():  # noqa: FBT003
        if kind == "equal":
            runs.append(("equal", " ".join(words_a[from_a:to_a])))
            continue
        if to_a > from_a:
            runs.append(("delete", " ".join(words_a[from_a:to_a])))
        if to_b > from_b:
            runs.append(("insert", " ".join(words_b[from_b:to_b])))
    return runs
