"""Options of a multiple-choice question, and which of them the answer is, in all the forms they come in."""

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sources.columns import text_of
from sources.identity import storable
from sources.records import RecordError
from sources.schema import Reason

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
BY_LETTER = "letter"
"""`answer_base` of a card whose answers are letters, whatever the options say."""
MAX_LITERAL_CHARACTERS = 65_536
_LETTER_NAMES, _TEXT_NAMES = ("letter", "label", "key"), ("content", "text", "value")
"""What the letter and the text of an option are called where it is an object."""
_LETTERED = re.compile(r"\(?([A-Za-z])\s*[:.)]\s*(.*)", re.DOTALL)
_LETTER = re.compile(r"\(?([A-Za-z])\)?[.:]?")


def options_of(value: Any) -> list[str] | None:
    """The texts of the options, without letters, or None where there are none.

    A list, a mapping from letters, a list of objects (`{letter, content}`, `{label, text}`, `{key, value}`), a Python
    or JSON literal of these, or lines `A. text`. One that is empty at the end, or has only its letter, is absent.

    Raises:
        RecordError: something else, more than 26 options, or an empty one before others.
    """
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, Mapping):
        return _texts([value[letter] for letter in _ordered(value)]) or None
    if value is None or value == []:
        return None
    if not isinstance(value, list | tuple):
        raise RecordError("the options are not a list")
    names = _text_names(value)
    options = [_option(item, names) for item in value]
    return _texts(_without_absent(_without_letters(_without_absent(options))))


def _without_absent(options: list[str | None]) -> list[str | None]:
    """Without the empty ones at the end; the first stays, since no options at all are another thing."""
    count = next((number for number in range(len(options), 1, -1) if options[number - 1]), 1)
    return options[:count]


def _texts(values: list[Any]) -> list[str]:
    texts = [text_of(value) for value in values]
    if any(text is None for text in texts) or len(texts) > len(LETTERS):
        raise RecordError("an option is empty, or there are more than 26")
    if any(storable(text) != text for text in texts if text is not None):
        raise RecordError("an option is not UTF-8", Reason.RECORD_ENCODING)
    return [text for text in texts if text is not None]


def chosen(answer: Any, options: list[str], base: int | str | None) -> int | None:
    """The index of the option that an answer names: an index from `base`, a letter (`BY_LETTER`), or a text or letter.

    None where the answer is a text that is no option.

    Raises:
        RecordError: an index or letter without option, a number although the card states no `answer_base`, or a letter
            that is the text of one option and stands before another.
    """
    if isinstance(base, int):
        return _by_index(answer, len(options), base)
    text = text_of(answer) or ""
    folded = [option.casefold() for option in options]
    letter = _LETTER.fullmatch(text)
    if base == BY_LETTER and letter:
        return _by_index(LETTERS.index(letter.group(1).upper()), len(options), 0)
    if text.casefold() in folded:
        index = folded.index(text.casefold())
        if letter and LETTERS.index(letter.group(1).upper()) not in (index, *range(len(options), len(LETTERS))):
            raise RecordError("the answer is the letter of one option and the text of another: `answer_base: letter`?")
        return index
    if isinstance(answer, int | float) or text.isdecimal():
        raise RecordError("the answer is a number: the card says where counting begins with `answer_base: 0` or 1")
    if letter:
        return _by_index(LETTERS.index(letter.group(1).upper()), len(options), 0)
    lettered = _LETTERED.fullmatch(text)
    if lettered and lettered.group(2).strip().casefold() in folded:
        return folded.index(lettered.group(2).strip().casefold())
    return None


def lettered(options: list[str], index: int) -> str:
    """An option as it is shown: `A. text`."""
    return f"{LETTERS[index]}. {options[index]}"


def _by_index(answer: Any, count: int, base: int) -> int:
    try:
        index = int(str(answer).removesuffix(".0")) - base
    except ValueError:
        raise RecordError("the answer is not an index, although the card states `answer_base`") from None
    if not 0 <= index < count:
        raise RecordError("the answer names no option")
    return index


def _parsed(value: str) -> Any:
    text = value.strip()
    if not text:
        return None
    if text[0] in "[{" and len(text) <= MAX_LITERAL_CHARACTERS:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            raise RecordError("the options are not a list") from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > 2 and lines[0].endswith(":") and not _LETTERED.fullmatch(lines[0]):
        lines.pop(0)  # `Answer Choices:`, as MedReason writes
    if len(lines) > 1 and all(_LETTERED.fullmatch(line) for line in lines):
        return lines
    raise RecordError("the options are not a list")


def _ordered(options: Mapping[Any, Any]) -> list[Any]:
    """The letters of a mapping in order, those of absent options at the end left out."""
    letters = sorted(options, key=str)
    while letters and text_of(options[letters[-1]]) is None:
        letters.pop()
    if any(not _LETTER.fullmatch(str(letter)) for letter in letters):
        raise RecordError("the options are a mapping whose keys are no letters")
    if "".join(str(letter).strip("().:").upper() for letter in letters) != LETTERS[: len(letters)]:
        raise RecordError("the letters of the options have a gap")
    return letters


def _text_names(items: Sequence[Any]) -> tuple[str, ...]:
    """Names of an option's text, those last under which each option has the letter of its place."""
    objects = [item for item in items if isinstance(item, Mapping)]

    def lettered(name: str) -> bool:
        return [str(item.get(name)).strip("(). :").upper() for item in objects] == list(LETTERS[: len(objects)])

    return tuple(sorted(_TEXT_NAMES, key=lettered))


def _option(item: Any, text_names: Sequence[str]) -> str | None:
    """An option, with its letter where it has one: a number or a word beside it is no part of it."""
    if not isinstance(item, Mapping):
        return text_of(item)
    content = text_of(_first(item, text_names))
    letter = _LETTER.fullmatch(str(_first(item, _LETTER_NAMES)).strip())
    return content if letter is None or content is None else f"{letter.group(1)}. {content}"


def _first(item: Mapping[Any, Any], names: Sequence[str]) -> Any:
    """The value under the first of these names that has one."""
    return next((item[name] for name in names if item.get(name) is not None), None)


def _without_letters(options: list[str | None]) -> list[str | None]:
    """Strip `A:`, `B.`, `(C)`, where every option has the letter of its place, and one of them more than that."""
    matches = [_LETTERED.fullmatch(option or "") for option in options]
    letters = "".join(match.group(1).upper() for match in matches if match)
    stripped: list[str | None] = [match.group(2).strip() or None for match in matches if match]
    return stripped if letters == LETTERS[: len(options)] and any(stripped) else options
