"""Identifiers in the texts of one record: found by rules, by a language model, and by what its header says."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from filters.phi_capitals import sentence_cased
from filters.phi_dates import age_spans, date_spans
from filters.phi_names import is_given_name, model_spans, parts_of, rule_spans, spans_of_capitals
from filters.phi_numbers import number_spans
from filters.phi_spans import Kind, Span, merged
from filters.phi_speech import speech_spans

VERSION = 2
"""Raised when the same text may be redacted in another way."""

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
    """A value that identifies, as a header or a column of the same record says it."""

    kind: Kind
    value: str


def find(texts: Sequence[str], names: Names, known: Iterable[Known] = ()) -> list[list[Span]]:
    """The identifiers of each text, in order and without overlaps.

    The texts are of one record: what one of them shows to be a name is found in all of them, also where it stands
    alone. `known` values are found in whatever spelling: parts of a name in any case, dates in any usual form.

    Raises:
        ImportError: `names` is `model` and the model is not installed.
    """
    literals = [literal for one in known for literal in _spellings(one)]
    found = [list(_found(text, names)) for text in texts]
    literals += [
        Known("name", part)
        for text, spans in zip(texts, found, strict=True)
        for span in spans
        if span.kind == "name"
        for part in parts_of(text[span.start : span.stop])
    ]
    pattern = _pattern(literals)
    if pattern is not None:
        kinds = {one.value.casefold(): one.kind for one in literals}
        for text, spans in zip(texts, found, strict=True):
            spans.extend(_literal_spans(text, pattern, kinds))
    return [merged(spans) for spans in found]


def _found(text: str, names: Names) -> Iterator[Span]:
    yield from date_spans(text)
    yield from age_spans(text)
    yield from number_spans(text)
    yield from rule_spans(text)
    yield from speech_spans(text)
    copy = sentence_cased(text)
    if copy is not None:
        yield from spans_of_capitals(copy)
        yield from (span for span in number_spans(copy) if span.kind == "address")
    if names == "model":
        yield from model_spans(text if copy is None else copy)


def _pattern(literals: Sequence[Known]) -> re.Pattern[str] | None:
    values = sorted({one.value for one in literals if len(one.value) <= _LONGEST_LITERAL}, key=lambda v: (-len(v), v))
    if not values:
        return None
    return re.compile(_WORD_EDGE.format(f"(?:{'|'.join(re.escape(value) for value in values)})"), re.IGNORECASE)


def _literal_spans(text: str, pattern: re.Pattern[str], kinds: dict[str, Kind]) -> Iterator[Span]:
    for match in pattern.finditer(text):
        yield Span(match.start(), match.end(), kinds.get(match.group().casefold(), "name"))


def _spellings(known: Known) -> Iterator[Known]:
    """The forms in which a header's value may stand in a text."""
    value = known.value.strip(" \0^=")
    if known.kind == "name":
        words = [word for word in re.split(r"[\s^=,;]+", value) if word]
        if len(words) > 1:
            yield from (
                Known("name", f"{a}{mark}{b}") for mark in (" ", ", ", "^", ",") for a in words for b in words if a != b
            )
        yield from (Known("name", word) for word in words if len(word) > 2 or not word.isascii())
    elif known.kind == "date":
        yield from (Known("date", form) for form in _dates(value))
    elif len(value) > 2:
        yield Known(known.kind, value)


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


def is_identifying_word(word: str) -> bool:
    """Whether a word alone, in any case, is a common given name."""
    return is_given_name(word)
