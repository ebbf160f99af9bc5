"""Ways in which an exam question or a report comes back: variants of eval texts, each a function of a seed."""

import html
import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from dedup.decontamination.calibration.report_sentences import surroundings
from dedup.guards import guarded_words
from sources.choices import LETTERS

Random = np.random.Generator


class Original(NamedTuple):
    """What of an eval item is planted: its question, or, of a set of reports, its text."""

    text: str
    options: tuple[str, ...] = ()
    answer: str | None = None


class Written(NamedTuple):
    """A sample of training data: its turns, and the fields that its corpus named."""

    turns: tuple[tuple[str, str], ...]
    question: str | None = None
    answer: str | None = None


Edit = Callable[[Original, Random], Written | None]

WORDS_ABOUT = 200
"""Words before and after a text that is embedded."""
LINE_WORDS = 8
_WORD = re.compile(r"(?<![\w-])[^\W\d_]+(?:['\u2019-][^\W\d_]+)*(?![\w-])")
_NOT_WORD = re.compile(r"[^\w\s]|_")
_REPLACEMENTS = (
    "further", "recent", "several", "clinic", "noted", "described", "following", "evaluated", "typical", "routine",
    "observed", "considered", "reported", "initial", "overall", "specific", "relevant", "common", "local", "general",
    "documented", "subsequent", "usual", "available",
)  # fmt: skip
"""What stands in the place of a replaced word: words that name nothing."""
_KINDS = ("numerals", "unit", "laterality", "negation", "opposite")
_SPELLINGS = (
    ("aemi", "emi"), ("aemo", "emo"), ("haem", "hem"), ("oedema", "edema"), ("oesoph", "esoph"), ("tumour", "tumor"),
    ("paediatr", "pediatr"), ("diarrhoea", "diarrhea"), ("foet", "fet"), ("anaesth", "anesth"), ("gynaec", "gynec"),
    ("orthopaed", "orthoped"), ("coelia", "celia"), ("dyspnoea", "dyspnea"), ("apnoea", "apnea"), ("colour", "color"),
    ("behaviour", "behavior"), ("labour", "labor"), ("odour", "odor"), ("catheteris", "catheteriz"),
    ("hospitalis", "hospitaliz"), ("generalis", "generaliz"), ("localis", "localiz"), ("characteris", "characteriz"),
    ("metastasis", "metastasiz"), ("oestr", "estr"), ("caecum", "cecum"), ("faec", "fec"), ("leucoc", "leukoc"),
)  # fmt: skip
"""British and American parts of words; the first that a text has is exchanged wherever it stands."""


def verbatim(original: Original, _: Random) -> Written:
    """As a corpus has it, its options below it."""
    return _record(original.text, original)


def case_and_punctuation(original: Original, _: Random) -> Written:
    """In small letters, without signs."""
    return _record(" ".join(_NOT_WORD.sub(" ", original.text.lower()).split()), original)


def rewrapped(original: Original, _: Random) -> Written:
    """In lines of eight words, as in a page of text."""
    words = _prose(original).split()
    lines = [" ".join(words[at : at + LINE_WORDS]) for at in range(0, len(words), LINE_WORDS)]
    return _text("\n".join(lines))


def embedded(original: Original, rng: Random) -> Written:
    """Amid a text of four hundred words."""
    before, after = (surroundings(rng, WORDS_ABOUT) for _ in range(2))
    return _text(f"{before}\n\n{_prose(original)}\n\n{after}")


def markup(original: Original, _: Random) -> Written:
    """As a web page left it: entities, tags, soft hyphens in words, invisible characters before others."""
    words = html.escape(_prose(original)).split(" ")
    for at in range(0, len(words), 5):
        words[at] = f"<b>{words[at]}</b>"
    for at in range(2, len(words), 7):
        if words[at].isalpha() and len(words[at]) > 5:
            words[at] = f"{words[at][:3]}\u00ad{words[at][3:]}"
    for at in range(4, len(words), 11):
        words[at] = f"\u200b{words[at]}"
    return _text("".join(f"{word}{'&nbsp;' if at % 3 == 1 else ' '}" for at, word in enumerate(words)).rstrip())


def options_between(original: Original, rng: Random) -> Written | None:
    """In a dialogue, the options in another order between the question and its answer."""
    if len(original.options) < 2:
        return None
    order = rng.permutation(len(original.options))
    listed = "\n".join(f"({LETTERS[at]}) {original.options[number]}" for at, number in enumerate(order))
    return _said(f"{original.text}\n{listed}", original)


def replaced(share: float) -> Edit:
    """The edit that replaces this share of the words: none that is a number, a name, a side or a negation."""

    def edit(original: Original, rng: Random) -> Written | None:
        found = list(_WORD.finditer(original.text))
        free = [word for at, word in enumerate(found) if _may_be_replaced(word.group(), first=at == 0)]
        count = round(share * len(found))
        if not 0 < count <= len(free):
            return None
        text = original.text
        for number in sorted(rng.choice(len(free), count, replace=False), reverse=True):
            start, stop = free[number].span()
            text = text[:start] + _REPLACEMENTS[rng.integers(len(_REPLACEMENTS))] + text[stop:]
        return _record(text, original)

    return edit


def spelled_otherwise(original: Original, _: Random) -> Written | None:
    """British for American, or American for British."""
    for british, american in _SPELLINGS:
        for here, there in ((british, american), (american, british)):
            text, count = re.subn(rf"{here}(?!\w*{there})", there, original.text, flags=re.IGNORECASE)
            if count and text != original.text:
                return _record(text, original)
    return None


def answer_first(original: Original, _: Random) -> Written | None:
    """The answer stands before the question."""
    if not original.answer:
        return None
    return _text(f"The answer is {original.answer}. The question was: {original.text}")


def question_alone(original: Original, _: Random) -> Written:
    """Without options, without an answer."""
    return _text(original.text)


def beginning(original: Original, _: Random) -> Written | None:
    """The first 60 % of the words, with the answer."""
    words = original.text.split()
    kept = round(0.6 * len(words))
    return _record(" ".join(words[:kept]), original) if original.answer and 0 < kept < len(words) else None


EDITS: dict[str, Edit] = {
    "verbatim": verbatim,
    "case_and_punctuation": case_and_punctuation,
    "rewrapped": rewrapped,
    "embedded": embedded,
    "markup": markup,
    "options_between": options_between,
    "replaced10%": replaced(0.1),
    "replaced20%": replaced(0.2),
    "spelling": spelled_otherwise,
    "answer_first": answer_first,
    "question_alone": question_alone,
    "first60%": beginning,
}
"""Name -> edit; None where the text has nothing to edit in this way."""


def _record(text: str, original: Original) -> Written:
    """A sample of a corpus with fields, as ingest makes it (`sources/turns.py`)."""
    listed = "".join(f"\n{letter}. {option}" for letter, option in zip(LETTERS, original.options, strict=False))
    turns = [("user", text + listed)]
    if original.answer:
        turns.append(("assistant", original.answer))
    return Written(tuple(turns), text, original.answer or None)


def _said(text: str, original: Original) -> Written:
    """A dialogue, of which nothing is known but what was said."""
    return Written((("user", text), ("assistant", original.answer or "I do not know.")))


def _text(text: str) -> Written:
    return Written((("text", text),))


def _prose(original: Original) -> str:
    return f"{original.text} {original.answer}" if original.answer else original.text


def _may_be_replaced(word: str, *, first: bool) -> bool:
    names_something = not first and word[0].isupper()
    return len(word) >= 3 and word.isascii() and not names_something and word.lower() not in _guarded()


@cache
def _guarded() -> frozenset[str]:
    return frozenset().union(*(guarded_words(kind) for kind in _KINDS))
