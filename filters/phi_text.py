"""Identifiers in the texts of one record: found by rules, by a language model, and by what its header says."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from filters.phi_ages import age_spans
from filters.phi_capitals import sentence_cased
from filters.phi_copies import copies, plain
from filters.phi_dates import date_spans
from filters.phi_names import model_spans, parts_of, rule_spans, spans_of_capitals
from filters.phi_numbers import number_spans
from filters.phi_shapes import FOLLOWING
from filters.phi_spans import Kind, Span, merged
from filters.phi_speech import speech_spans
from filters.phi_words import AFTER_EPONYM, AFTER_WORD, EPONYMS, NOT_A_NAME
from filters.surnames import BEGINNINGS, SURNAMES, WORD_SURNAMES

Names = Literal["rules", "model"]

_WORD_EDGE = r"(?<![^\W_]){}(?![^\W_])"
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_LONGEST_LITERAL = 200


@dataclass(frozen=True)
class Known:
    """A value that identifies, as a header or a column of the same record says it.

    `capital`: it is a common word, too, and one with a small letter is no name.
    """

    kind: Kind
    value: str
    capital: bool = False


def find(texts: Sequence[str], names: Names, known: Iterable[Known] = ()) -> list[list[Span]]:
    """The identifiers of each text, in order and without overlaps.

    The texts are of one record: what one of them shows to be a name is found in all of them, also where it stands
    alone. `known` values are found in whatever spelling: parts of a name in any case, dates in any usual form.

    Raises:
        ImportError: `names` is `model` and the model is not installed.
    """
    literals = [literal for one in known for literal in _spellings(one)]
    numbered = [(number, copy) for number, text in enumerate(texts) for copy in copies(text)]
    searched = [(number, copy, list(_found(copy.text, names))) for number, copy in numbered]
    literals += [
        Known("name", part, capital=len(part) < 4 or part.lower() in WORD_SURNAMES or part.title() in EPONYMS)
        for _, copy, spans in searched
        for span in spans
        if span.kind == "name"
        for part in parts_of(copy.text[span.start : span.stop])
    ]
    sought = _Literals(literals)
    found: list[list[Span]] = [[] for _ in texts]
    for number, copy, spans in searched:
        found[number].extend(copy.placed([*spans, *sought.spans(copy.text)]))
    return [merged(spans) for spans in found]


def _found(text: str, names: Names) -> Iterator[Span]:
    yield from date_spans(text)
    yield from age_spans(text)
    yield from number_spans(text)
    yield from rule_spans(text)
    yield from speech_spans(text)
    copy = sentence_cased(text)
    told = copy if copy is not None else sentence_cased(text, small=True)
    if told is not None:
        yield from (_without_heading(text, span) for span in spans_of_capitals(told))
    if copy is not None:
        yield from (span for span in number_spans(copy) if span.kind == "address")
    if names == "model":
        yield from (_without_heading(text, span) for span in model_spans(text if copy is None else copy))


def _without_heading(text: str, span: Span) -> Span:
    """The span's first line, where only what follows it is in capitals (`ADDENDUM:` below `Dr. Smith`)."""
    first, _, rest = text[span.start : span.stop].partition("\n")
    return Span(span.start, span.start + len(first.rstrip()), span.kind) if rest.isupper() > first.isupper() else span


class _Literals:
    """Values to be sought, in any case and with any accent: single words by look-up, others by a pattern."""

    def __init__(self, literals: Sequence[Known]) -> None:
        self._words: dict[str, Known] = {}
        phrases: dict[str, Known] = {}
        for one in literals:
            value = _folded(plain(one.value)).casefold()
            if value and len(value) <= _LONGEST_LITERAL:
                (self._words if _TOKEN.fullmatch(value) and not _CJK.search(value) else phrases).setdefault(value, one)
        self._phrases = phrases
        self._pattern = _alternatives([value for value in phrases if not _CJK.search(value)], _WORD_EDGE)
        self._joined = _alternatives([value for value in phrases if _CJK.search(value)], "{}")

    def spans(self, text: str) -> Iterator[Span]:
        """Where they stand in a copy of a text."""
        if not (self._words or self._phrases):
            return
        folded = _folded(text)
        small = folded == folded.lower()
        for match in _TOKEN.finditer(folded) if self._words else ():
            known = self._words.get(match.group().casefold())
            if known is not None and (not known.capital or _is_meant(folded, match, small=small)):
                yield Span(match.start(), match.end(), known.kind)
        for pattern in (self._pattern, self._joined):
            for match in () if pattern is None else pattern.finditer(folded):
                known = self._phrases.get(match.group().casefold())
                yield Span(match.start(), match.end(), "name" if known is None else known.kind)


_TOKEN = re.compile(r"[^\W_]+")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Writing without blanks between words."""
_MARKS = str.maketrans("\u2018\u2019\u02bc`\u2010\u2011\u2013", "''''---")


def _folded(text: str) -> str:
    """The text without accents, quotes and hyphens of one kind; as long as it was, character by character."""
    if text.isascii():
        return text.translate(_MARKS)
    return "".join(_base(character) for character in text).translate(_MARKS)


@lru_cache(maxsize=4096)
def _base(character: str) -> str:
    base = unicodedata.normalize("NFKD", character)[0]
    return base if base.isalpha() and character.isalpha() and not _CJK.match(character) else character


def _alternatives(values: Iterable[str], edges: str) -> re.Pattern[str] | None:
    ordered = sorted(values, key=lambda value: (-len(value), value))
    if not ordered:
        return None
    return re.compile(edges.format(f"(?:{'|'.join(re.escape(value) for value in ordered)})"), re.IGNORECASE)


def _is_meant(text: str, match: re.Match[str], *, small: bool) -> bool:
    """Whether a name that is a word, too, is one here: `Brown`, `BROWN`, of two letters only `Ng`; not `White matter`.

    `small`: the text has no capitals; there it is one unless it is a word.
    """
    word = match.group()
    if not word[0].isupper():
        return small and len(word) > 2 and word not in WORD_SURNAMES
    follows = FOLLOWING.match(text, match.end())
    if follows is not None and follows[0].startswith("'"):
        return word.title() not in EPONYMS or follows[1].lower() not in AFTER_EPONYM
    if follows is not None and (follows[1].lower() in AFTER_WORD or follows[1] in EPONYMS):
        return False
    if len(word) < 3:
        return not word.isupper()
    thing = word.lower() in BEGINNINGS or (word.title() in EPONYMS and word.upper() not in SURNAMES)
    return not thing or not _has_any_capital(text, match, follows) or _PEOPLE_DO.match(text, match.end()) is not None


def _has_any_capital(text: str, match: re.Match[str], follows: re.Match[str] | None) -> bool:
    """Whether a word has a capital whatever it is: first of a sentence (`Small effusion`), or among capitals."""
    if follows is None:
        return False
    before = text[max(match.start() - _LONGEST_WORD, 0) : match.start()]
    if match.group().isupper():
        last = _TOKEN.findall(before)
        return follows[1].isupper() and (not last or last[-1].isupper())
    return follows[1].islower() and re.search(r"(?:^|[.!?:;\n])\s*$", before) is not None


_LONGEST_WORD = 40
_PEOPLE_DO = re.compile(
    r",?\s+(?:(?:also|now|still|then|again|currently|later|initially|previously|recently)\s+)?(?:is|was|has|had|will|would|did|does|can|could|and|"
    r"reports?|reported|denie[sd]|presents?|presented|state[sd]|complain(?:s|ed)|returns?|returned|underwent|lives|"
    r"agree[sd]|called|notified|informed|reviewed|saw|performed|sa(?:id|ys)|recommend(?:s|ed)|asked|tolerate[sd]|"
    r"improve[sd]|feels|felt|looks|seems|appears|appeared|remains|remained|continues|continued|requires|required|"
    r"received|developed|came|went|arrived|ordered|fell|takes|took|needs|wants|wanted|understands|follows|followed|"
    r"requested|consented|accepted|declined|refused|smokes|drinks|works|walks|ambulate[sd]|"
    r"describe[sd]|endorse[sd]|admits|admitted|note[sd]|began|started|should|may|sustained|experienced|lost|gained|spoke|"
    r"verbali[sz]ed|expressed|discussed|suffers|suffered|rates|rated|slept|to|"
    r"alert|aware|awake|asleep|resting|sleeping|eating|ambulating|voiding|agreeable|at bedside|c/o|given|updated|"
    r"tripped|vomited|collapsed|died|expired|recovered|stopped|quit|uses|eats|sleeps|coughs|suggested|advised|"
    r"examined|evaluated|wrote|plans|prescribed|operated|explained|thinks|prefers|missed|cancelled|"
    r"left(?=\s*[.,;]|\s+(?:the|a|an|his|her|it|against|without|before|after|at|for|to|home)\b))\b",
    re.IGNORECASE,
)
"""A few of these a stone does, too."""


def _spellings(known: Known) -> Iterator[Known]:
    """The forms in which a header's value may stand in a text."""
    value = known.value.strip(" \0^=")
    if known.kind == "name":
        for group in value.split("="):
            yield from _spellings_of_name([word for word in re.split(r"[\s^,;]+", group) if word])
    elif known.kind == "date":
        yield from (Known("date", form) for form in _dates(value))
    elif known.kind == "id":
        digits = any(character.isdigit() for character in value)
        if (digits and len(value) > 3) or (len(value) > 4 and not _is_common(value)):
            yield Known("id", value, capital=not digits)
    elif len(value) > 2 and not _is_common(value):
        yield Known(known.kind, value)


def _spellings_of_name(words: Sequence[str]) -> Iterator[Known]:
    """Every two of its words beside one another, and each alone where it may be told from a common word."""
    if any(_CJK.search(word) for word in words):
        yield Known("name", "".join(words))
        yield from (Known("name", word) for word in words if len(word) > 1)
        return
    parts = [part for word in words for part in (word, *word.split("-"))] if any("-" in one for one in words) else words
    for a in parts:
        for b in parts:
            if a != b and not (_is_common(a) and _is_common(b)):
                yield from (Known("name", f"{a}{mark}{b}") for mark in (" ", ", ", "^", ",") if len(f"{a}{b}") > 3)
    for word in parts:
        if len(word) < 2 or _is_common(word):
            continue
        unsure = len(word) < 3 or word.lower() in WORD_SURNAMES
        for form in {word, *_otherwise_spelt(word)}:
            yield Known("name", form, capital=unsure)


def _otherwise_spelt(word: str) -> Iterator[str]:
    """`MUELLER` also as `Müller` (folded), `OBRIEN` as `O'Brien`, `O'BRIEN` as `OBrien`."""
    if len(word) > 4:
        yield re.sub(r"([aou])e", r"\1", word, flags=re.IGNORECASE)
    if "'" in word or "\u2019" in word:
        yield word.replace("'", "").replace("\u2019", "")
    elif len(word) > 4 and word[0] in "oOdD" and word[1].lower() not in "aeiou":
        yield f"{word[0]}'{word[1:]}"


_NOBODYS = frozenset(
    """
    patient anonymous anonymized anonymised unknown test phantom none null deidentified subject volunteer will
    """.split()  # noqa: SIM905 - a list of words reads better as one text
)
"""What stands in headers that name nobody, and words that are too common to be sought."""


def _is_common(word: str) -> bool:
    lower = word.lower()
    return lower in _NOBODYS or (
        lower not in WORD_SURNAMES and (word.title() in NOT_A_NAME or word.upper() in _MODALITIES)
    )


_MODALITIES = frozenset({"MRI", "CT", "MR", "US", "PET", "XRAY", "DX", "CR", "DR", "NM", "XA", "MG"})


def _dates(value: str) -> Iterator[str]:
    """Usual spellings of a DICOM date (YYYYMMDD) or one of ISO 8601."""
    match = re.match(r"((?:18|19|20)\d{2})[-./]?(\d{2})[-./]?(\d{2})", value)
    if match is None:
        if len(value) > 5:
            yield value
        return
    year, month, day = match.groups()
    if not 1 <= int(month) <= 12:
        return
    word = _MONTHS[int(month) - 1]
    for m, d in ((month, day), (str(int(month)), str(int(day)))):
        for mark in "-/.":
            yield from (f"{year}{mark}{m}{mark}{d}", f"{m}{mark}{d}{mark}{year}", f"{d}{mark}{m}{mark}{year}")
            yield from (f"{m}{mark}{d}{mark}{year[2:]}", f"{d}{mark}{m}{mark}{year[2:]}")
        for name in (word, word[:3]):
            yield from (f"{d} {name} {year}", f"{name} {d}, {year}", f"{name} {d} {year}", f"{d} {name}", f"{name} {d}")
    yield f"{year}{month}{day}"
