"""Words whose difference makes two alike texts two texts: "no effusion" is not "effusion", "left" is not "right".

Two texts over the threshold of similarity are still not merged when the words in which they *differ* (a word that was
added, left out or replaced, or that moved to the other side of a guarded word) hold one of these. Only differences
count: two reports that both say "no effusion" are compared as any others. The price is a duplicate that is kept
where an edit happens to touch such a word; it is counted by verdict, never silent.

Covered are English and the Latin abbreviations of English clinical notes. Of other languages only numerals, signs and
metric units are known here; `pipelines/near/texts.py` merges their texts only where no token differs.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

VERDICTS = ("accepted", "below", "numerals", "unit", "laterality", "negation", "opposite", "answer", "wording")
"""What comparing two texts ends with, `dedup/text.py: verify_texts`; where several apply, the first of these."""
ACCEPTED, BELOW, NUMERALS, UNIT, LATERALITY, NEGATION, OPPOSITE, ANSWER, WORDING = range(len(VERDICTS))
FUNCTION_WORD = len(VERDICTS)
"""Marks words that say nothing by themselves: short texts may differ in them, and they may move."""

_WORDS: dict[int, str] = {
    # Digits are told by the tokeniser. Single letters name panels, grades and types (a, i and s are words); what a
    # sign compares or relates is a number.
    NUMERALS: """
        zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
        eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million half third
        quarter first second fourth fifth sixth seventh eighth ninth tenth once twice thrice single double triple
        quadruple dual few several many multiple ii iii iv v vi vii viii ix x xi xii
        b c d e f g h j k m n o p q t u w y z alpha beta gamma delta
        < > = ≤ ≥ ± + - × ÷ ≈ ≠ ↑ ↓ → ← ♂ ♀ $ € £
    """,  # noqa: RUF001 - the sign of multiplication is meant
    UNIT: """
        % percent ° celsius fahrenheit degree degrees mm cm dm km μm um nm inch inches foot feet ml dl cl μl ul cc
        litre liter litres liters mg kg mcg μg ug ng pg gram grams iu unit units meq mmol μmol umol nmol mol mmhg
        kpa bpm hz khz mhz ghz kv kvp ma mas mv gy cgy mgy sv msv mci mbq hu tesla ms sec secs second seconds min mins
        minute minutes hr hrs hour hours day days week weeks month months year years yr yrs decade decades daily weekly
        monthly hourly yearly bid tid qid qd qhs prn stat
    """,
    LATERALITY: """
        left right bilateral bilaterally unilateral unilaterally l r od os ou lt rt ipsilateral ipsilaterally
        contralateral contralaterally leftward rightward leftwards rightwards midline upper lower middle mid superior
        inferior superiorly inferiorly anterior posterior anteriorly posteriorly medial lateral medially laterally
        proximal distal proximally distally dorsal ventral dorsally ventrally cranial caudal cranially caudally cephalad
        caudad rostral internal external internally externally inner outer apical basal basilar central peripheral
        centrally peripherally superficial deep ap pa frontal axial transverse sagittal coronal oblique supine prone
        upright erect decubitus top bottom above below over under front back ascending descending afferent efferent
        lul lll rul rml rll luq llq ruq rlq lad lcx rca
    """,
    NEGATION: """
        no not without absent absence none nor neither never cannot negative negatively denies denied deny denying free
        excluded excludes exclude excluding ruled rule unlikely lack lacks lacking lacked fails failed fail unable
        except nothing nobody nil dont doesnt didnt isnt arent wasnt werent cant couldnt wont wouldnt shouldnt hasnt
        havent hadnt positive positively present presence yes true false likely possible possibly probable probably
        suspected confirmed questionable uncertain
    """,
    OPPOSITE: """
        normal abnormal normally abnormally benign malignant acute chronic subacute mild moderate severe mildly
        moderately severely minimal minimally marked markedly trace massive slight slightly large small larger smaller
        big little tiny high low higher highest lowest tall short long increase increased increases
        increasing decrease decreased decreases decreasing elevated reduced reduction elevation raised diminished
        improve improved improving improvement worsen worsened worsening better worse stable unstable unchanged changed
        new old newer older early late earlier later before after prior subsequent following preoperative postoperative
        open closed partial complete partially completely full empty male female man woman men women boy girl boys
        girls he she his her him hers mother father son daughter brother sister wife husband systolic diastolic
        arterial venous artery vein arteries veins enhancing nonenhancing hot cold solid cystic primary secondary
        metastatic sensitive resistant start started stop stopped begin began end ended add added remove removed
        gain loss gained lost best worst most least more less greater fewer maximum minimum max
        always sometimes rarely often occasionally
        perineal peroneal peritoneal ileum ilium ileal iliac dysphagia dysphasia dysplasia humeral humoral arteritis
        arthritis mucus mucous callus callous
    """,
    FUNCTION_WORD: """
        a an the of in on at is are was were be been it its this that these those there to for as by from into
        which who has have had do does did
    """,
}  # fmt: skip

_PREFIXES = (
    ("hyper", "hypo"), ("pre", "post"), ("intra", "extra"), ("intra", "inter"), ("supra", "infra"), ("supra", "sub"),
    ("endo", "exo"), ("endo", "epi"), ("ante", "retro"), ("antero", "postero"), ("antero", "retro"),
    ("macro", "micro"), ("tachy", "brady"), ("ipsi", "contra"), ("uni", "bi"), ("mono", "poly"), ("poly", "oligo"),
    ("ab", "ad"), ("af", "ef"), ("in", "ex"), ("under", "over"), ("up", "down"), ("hemi", "para"), ("hemi", "quadri"),
    ("para", "quadri"), ("homo", "hetero"), ("eu", "dys"), ("dextro", "levo"), ("medio", "latero"),
    ("super", "infer"), ("out", "in"),
    ("un", ""), ("non", ""), ("in", ""), ("im", ""), ("ir", ""), ("il", ""), ("a", ""), ("an", ""), ("dis", ""),
    ("de", ""), ("mal", ""), ("anti", ""), ("pseudo", ""), ("pre", ""), ("post", ""), ("sub", ""), ("semi", ""),
)  # fmt: skip
"""Beginnings that turn a word into its opposite ("hyperintense" and "hypointense"), or another thing ("typical" and
"atypical"), where what follows is the same."""


class Guards(NamedTuple):
    """The lists as kernels read them."""

    hashes: npt.NDArray[np.uint64]
    """Open addressing, linear probing from the lowest bits; 0 is an empty place."""
    kinds: npt.NDArray[np.uint8]
    """What the word at the same place guards."""
    prefixes: npt.NDArray[np.uint8]
    """UTF-8 of the prefixes: first and second of each pair."""
    prefix_offsets: npt.NDArray[np.int64]
    marks: npt.NDArray[np.uint64]
    """Hashes of the words "user", "system" and "assistant": they open turns where a colon follows."""


def guarded_words(kind: str) -> frozenset[str]:
    """The words whose difference gives a verdict, by its name."""
    return frozenset(_WORDS[VERDICTS.index(kind)].split())


@cache
def guards() -> Guards:
    """The lists, hashed as the tokeniser hashes a text's words. Of two lists that have a word, the first counts."""
    from dedup.kernels.tokens import hash_of_word

    slots = 4096
    hashes, kinds = np.zeros(slots, np.uint64), np.zeros(slots, np.uint8)
    for kind, words in _WORDS.items():
        for word in words.split():
            value = hash_of_word(word)
            place = int(value) % slots
            while hashes[place] not in (0, value):
                place = (place + 1) % slots
            if not hashes[place]:
                hashes[place], kinds[place] = value, kind
    spelled = [prefix.encode() for pair in _PREFIXES for prefix in pair]
    return Guards(
        hashes,
        kinds,
        np.frombuffer(b"".join(spelled), np.uint8),
        np.cumsum([0, *map(len, spelled)], dtype=np.int64),
        np.array([hash_of_word(word) for word in ("user", "system", "assistant")], np.uint64),
    )
