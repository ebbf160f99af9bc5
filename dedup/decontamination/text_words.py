"""Words that say nothing about where a question comes from, and words that tell two alike questions apart."""

from functools import cache
from itertools import combinations

import numpy as np
import pyarrow as pa

from dedup.guards import guarded_words
from dedup.kernels.buffers import texts_of
from dedup.kernels.folding import folding
from dedup.kernels.reading import read

STOCK = """
    a an the of in on at is are was were be been being it its this that these those there to for as by from into with
    which what who whom whose where when why how has have had do does did can could may might will would shall should
    must and or but if then than so not no nor both either neither all any none each every some most more less least
    one ones other another same such only also very about above below between among within without during after before
    following true false correct incorrect statement statements answer answers option options choice choices select
    choose best likely except question questions given shown show shows seen see present presents presented please
    patient patients case image images picture pictures figure photo photograph scan slice film abnormality
    abnormalities abnormal normal finding findings diagnosis diagnosed diagnose diagnoses disease condition organ
    organs part body modality type kind plane view location located left right side treatment management next step
    appropriate cause causes caused associated regarding concerning considered used use uses describe described
    describes explain they them their he she his her him you your we our i me my who us let following's it's
    year years old man woman male female boy girl day days week weeks month months history
    x ray xray radiograph ct mri ultrasound chest brain abdomen head lung lungs liver heart kidney
"""
"""Function words, the words of exam questions, and those of questions about any picture."""
EMPTY_ANSWERS = """
    yes no true false none all above below both neither either left right bilateral unknown normal abnormal positive
    negative present absent increased decreased increase decrease a b c d e i ii iii iv v cm mm mg ml percent
    male female upper lower anterior posterior medial lateral and or of the option answer not sure maybe
"""
"""Answers of these words alone are in any text."""
KINDS = ("numerals", "unit", "laterality", "negation", "opposite")
_NEGATIONS = "no not without never except nor neither cannot none least incorrect false"
"""Of the guarded negations, those whose coming or going turns a question round."""


def hashes_of(words: str) -> frozenset[int]:
    """Hashes of words, as a text's tokens have them."""
    data, offsets = texts_of(pa.array([words]))
    room = int(offsets[-1]) + 1
    hashes, kinds = np.empty(room, np.uint64), np.empty(room, np.uint8)
    starts, stops = np.empty(room, np.int32), np.empty(room, np.int32)
    count = read(data, 0, int(offsets[-1]), folding(), hashes, starts, stops, kinds, 0)
    return frozenset(hashes[:count].tolist())


@cache
def stock_words() -> frozenset[int]:
    """Hashes of STOCK."""
    return hashes_of(STOCK)


@cache
def statement_letters() -> frozenset[int]:
    """Hashes of letters of statements ("ace": the first, third and fifth)."""
    return hashes_of(" ".join("".join(chosen) for size in range(1, 6) for chosen in combinations("abcdef", size)))


@cache
def empty_answers() -> frozenset[int]:
    """Hashes of EMPTY_ANSWERS, and of letters of statements."""
    return hashes_of(EMPTY_ANSWERS) | statement_letters()


@cache
def side_words() -> frozenset[int]:
    """Hashes of the words for sides."""
    return hashes_of(" ".join(sorted(guarded_words("laterality"))))


@cache
def negations() -> frozenset[int]:
    """Hashes of the words that turn a question round."""
    return hashes_of(_NEGATIONS)


@cache
def kinds_of_words() -> dict[int, str]:
    """What the words of dedup/guards.py guard, by hash; of two lists that have a word, the first counts."""
    kinds: dict[int, str] = {}
    for kind in KINDS:
        spelled = " ".join(word for word in sorted(guarded_words(kind)) if len(word) > 1 or kind != "numerals")
        for value in hashes_of(spelled):
            kinds.setdefault(value, kind)
    return kinds
