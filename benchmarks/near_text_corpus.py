"""Generated documents of 20 to 400 words with planted near-duplicates and hard negatives, from a seed.

Words are made of syllables and drawn by a Zipf law from 30,000. Of 100 documents 80 are originals, 10 are copies of
originals with 2 % of their words (one at least) replaced, left out, added or exchanged with their neighbour, and 10
are other originals with one thing said otherwise: another number, the other side, a "no" left out, another unit.
All originals hold such phrases. Edits touch no number, unit, side or negation: with one of those changed a text
would be a hard negative.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dedup.guards import VERDICTS, guarded_words
from sources.schema import SAMPLES

VOCABULARY = 30_000
UNITS, SIDES, NUMBERS = ("mm", "cm", "ml", "mg"), ("left", "right"), tuple(str(number) for number in range(1, 100))
NO = "no"
CHUNK = 20_000


@dataclass(frozen=True)
class Corpus:
    """Documents, and what was planted among them: pairs of numbers (original, made of it)."""

    texts: pa.Array
    copies: npt.NDArray[np.int64]
    negatives: npt.NDArray[np.int64]


def vocabulary(random: np.random.Generator) -> list[str]:
    """Words that guard nothing, then numbers, units, sides and "no"."""
    guarded = frozenset(word for kind in VERDICTS[2:-2] for word in guarded_words(kind))
    syllables = np.array([a + b for a in "bdfghklmnprstvw" for b in ("a", "e", "i", "o", "u", "an", "er", "il", "os")])
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        word = "".join(random.choice(syllables, random.integers(1, 5)))
        if word not in guarded:
            words[word] = None
    return [*words, *NUMBERS, *UNITS, *SIDES, NO]


def made_corpus(count: int, seed: int = 0) -> Corpus:
    """`count` documents in random order; the same ones for the same seed."""
    random = np.random.default_rng(seed)
    words = pa.array(vocabulary(random))
    weights = 1 / np.arange(10, VOCABULARY + 10) ** 1.05
    cumulated = np.cumsum(weights / weights.sum())
    planted = count // 10
    originals = count - 2 * planted
    made_of = random.permutation(originals)[: 2 * planted]
    places = random.permutation(count)
    wanted: dict[int, int] = {int(original): number for number, original in enumerate(made_of)}
    parts: list[pa.Array] = []
    later: list[tuple[int, npt.NDArray[np.int64]]] = []
    for start in range(0, originals, CHUNK):
        documents = [_original(random, cumulated) for _ in range(min(CHUNK, originals - start))]
        parts.append(_joined(words, documents))
        for at, document in enumerate(documents):
            number = wanted.get(start + at)
            if number is not None:
                change = _edited if number < planted else _contradicted
                later.append((number, change(random, document, cumulated)))
    later.sort(key=lambda pair: pair[0])
    parts.extend(
        _joined(words, [document for _, document in later[at : at + CHUNK]]) for at in range(0, len(later), CHUNK)
    )
    texts = pa.concat_arrays(parts).take(pa.array(np.argsort(places)))
    pairs = np.column_stack([places[made_of], places[originals + np.arange(2 * planted)]])
    return Corpus(texts, pairs[:planted], pairs[planted:])


def as_samples(texts: pa.Array, first: int = 0) -> pa.Table:
    """SAMPLES of one turn of text each; the number of the first makes their ids."""
    count = len(texts)
    constant = {"source": "made", "source_key": "k", "task": "text", "license": "MIT", "access": "open"}
    columns = {name: pa.nulls(count, SAMPLES.field(name).type) for name in SAMPLES.names}
    columns |= {name: pa.repeat(pa.scalar(value), count) for name, value in constant.items()}
    roles = pa.repeat(pa.scalar("text"), count)
    turns = pa.StructArray.from_arrays([roles, texts.cast(pa.string())], ["role", "text"])
    columns["turns"] = pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32)), turns)
    columns["sample_id"] = pa.array(
        [f"{number * 2654435761 % 2**32:08x}{number:024x}" for number in range(first, first + count)]
    )
    return pa.table([columns[name] for name in SAMPLES.names], schema=SAMPLES)


def _drawn(random: np.random.Generator, cumulated: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.int64]:
    return np.minimum(np.searchsorted(cumulated, random.random(count)), VOCABULARY - 1)


def _original(random: np.random.Generator, cumulated: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Numbers of the words: a "no", a side, and a number with its unit stand somewhere among others."""
    words = _drawn(random, cumulated, int(random.integers(20, 401)))
    no, side, number = random.permutation(len(words) // 2)[:3] * 2
    first = VOCABULARY
    words[number] = first + random.integers(len(NUMBERS))
    words[no] = first + len(NUMBERS) + len(UNITS) + len(SIDES)
    words[side] = first + len(NUMBERS) + len(UNITS) + random.integers(len(SIDES))
    words[number + 1] = first + len(NUMBERS) + random.integers(len(UNITS))
    return words


def _edited(
    random: np.random.Generator, words: npt.NDArray[np.int64], cumulated: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """The words with 2 % of them edited."""
    edited = words.tolist()
    for _ in range(max(1, round(0.02 * len(words)))):
        plain = [at for at in range(len(edited) - 1) if max(edited[at], edited[at + 1]) < VOCABULARY]
        at = int(random.choice(plain))
        kind = random.integers(4)
        if kind == 0:
            edited[at] = int(_drawn(random, cumulated, 1)[0])
        elif kind == 1:
            del edited[at]
        elif kind == 2:
            edited.insert(at, int(_drawn(random, cumulated, 1)[0]))
        else:
            edited[at], edited[at + 1] = edited[at + 1], edited[at]
    return np.array(edited)


def _contradicted(
    random: np.random.Generator,
    words: npt.NDArray[np.int64],
    cumulated: npt.NDArray[np.float64],  # noqa: ARG001 - as `_edited`
) -> npt.NDArray[np.int64]:
    """The words with a number, a unit or a side changed for another, or "no" left out."""
    low = VOCABULARY
    bounds = [low, low + len(NUMBERS), low + len(NUMBERS) + len(UNITS), low + len(NUMBERS) + len(UNITS) + len(SIDES)]
    kind = int(random.integers(4))
    if kind == 3:
        return words[words != bounds[3]]
    changed = words.copy()
    of_kind = (words >= bounds[kind]) & (words < bounds[kind + 1])
    size = bounds[kind + 1] - bounds[kind]
    changed[of_kind] = bounds[kind] + (words[of_kind] - bounds[kind] + random.integers(1, size)) % size
    return changed


def _joined(words: pa.Array, documents: list[npt.NDArray[np.int64]]) -> pa.Array:
    offsets = np.cumsum([0, *map(len, documents)], dtype=np.int32)
    taken = words.take(pa.array(np.concatenate(documents)))
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), taken), " ").cast(pa.large_string())
