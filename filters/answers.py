"""Whether an answer is one or several of the options it was to choose from, in whatever words it says so."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import islice

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LONGEST = 4000
"""Characters of an answer, and of an option, that are looked at; many accents on one letter take quadratic time."""
_BESIDE = frozenset(
    {
        "a", "an", "and", "answer", "answers", "are", "best", "boxed", "both", "choice", "choices", "correct", "final",
        "i", "is", "it", "of", "option", "options", "or", "right", "so", "statement", "statements", "text", "the",
        "therefore", "true",
    }
)  # fmt: skip
"""Words around a choice ("The correct answer is (B)"), where they are no option themselves."""
_COUNTED = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: str(number) for number, word in enumerate(_COUNTED)}
_SHORT = {"yes": "y", "no": "n", "true": "t", "false": "f"}
_NUMBER = r"\d{1,3}(?:,\d{3})+(?![\d,])(?:\.\d+)?|\d+(?:[.,]\d+)?|\.\d+"
_TOKEN = re.compile(rf"(?<![\w)])-(?=[\d.])|(?<!\w)(?:{_NUMBER})|\w+")
_APOSTROPHES = re.compile("['\u2018\u2019\u02bc\u00b4`]")
_CUT = re.compile(r"[.:!](?=\s)|\n|\)(?=\s*\S)|\s[-\u2013\u2014]\s|,?(?=\s(?:because|since|as|there)\b)")
"""Where a reason may begin."""
_MOST_CUTS = 8
_LETTERED = re.compile(r"\W*(?:option\s+)?([a-z])\s*[.):]", re.IGNORECASE)
"""An option's letter that begins an answer: "B.The edge of the lung"."""
_LED = re.compile(r"(yes|no)\b(\s*[,;])?", re.IGNORECASE)
"""An answer's or an option's first word: of "No, normal" is "No, it is clear", but not "No effusion"; of "No effusion"
is "No" alone."""


def is_among(answer: str, options: Sequence[str]) -> bool:
    """Whether all that an answer says is options: their texts, letters or places, one or several of them.

    Case, accents, punctuation and trailing zeros make no difference, numbers may be words, and words around the choice
    and a reason after it may stand. An answer without a letter or digit is not judged: True.
    """
    plain = answer.strip().casefold()
    if any(plain == option.strip().casefold() for option in options):
        return True
    answer = answer[:LONGEST]
    lettered = _LETTERED.match(answer)
    if lettered is not None and lettered[1].upper() in _LETTERS[: len(options)]:
        return True
    told = words_of(answer)
    if not told:
        return True
    given = [words_of(option[:LONGEST]) for option in options]
    choices = _choices(given)
    firsts = Counter(words[0] for words in given if words)
    signs = {(sign,) for sign in ("yes", "no") if firsts[sign] == 1}  # of "Yes, pneumonia" and "No, normal"
    apart = answer.replace(",", ", ")  # "1,2" is a number, or two answers
    alone = choices | signs
    if _tiled(told, alone) or _tiled(words_of(apart), alone) or _are_letters(answer, len(options)):
        return True
    choices |= signs & {
        (option[1].casefold(),) for option in map(_LED.match, map(str.strip, options)) if option and option[2]
    }
    led = _LED.match(answer.strip())
    if led is not None and ([led[1].casefold()] in given or (led[2] and (led[1].casefold(),) in choices)):
        return True
    cuts = islice(_CUT.finditer(answer), _MOST_CUTS)
    return any(_tiled(words_of(answer[: cut.start()]), choices) for cut in cuts)


def words_of(text: str) -> list[str]:
    """The words and numbers of a text, each in one form: "5.0mm" and "5 MM" are `5`, `mm`."""
    plain = unicodedata.normalize("NFKD", _APOSTROPHES.sub("", text)).replace("\u2212", "-").casefold()
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    words: list[str] = []
    for word in _TOKEN.findall(plain):
        form = _number(word) if word[0].isdecimal() or word[0] == "." else _NUMBERS.get(word, word)
        if words and words[-1] == "-":
            words[-1] += form
        else:
            words.append(form)
    return words


def _number(word: str) -> str:
    """A number without thousands' commas, leading and trailing zeros; a word that only begins like one as it is."""
    match = re.fullmatch(_NUMBER, word)
    if match is None:
        return word
    digits = word.replace(",", "") if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", word) else word.replace(",", ".")
    whole, _, rest = digits.partition(".")
    rest = rest.rstrip("0")
    return (whole.lstrip("0") or "0") + (f".{rest}" if rest else "")


def _choices(options: Sequence[list[str]]) -> set[tuple[str, ...]]:
    """Every way of naming one option."""
    letters = _LETTERS[: len(options)].lower()
    found = {tuple(words) for words in options if words} | {(letter,) for letter in letters}
    for place, words in enumerate(options):
        if len(words) > 1 and (words[0] in set(letters) or words[0] == str(place + 1)):
            found.add(tuple(words[1:]))  # an option that has its letter or number before it
            found.add(tuple(words[:1]))
        if len(words) > 1:
            found.add(("".join(words),))
        if len(words) == 1 and words[0] in _SHORT:
            found.add((_SHORT[words[0]],))
    if not any(re.fullmatch(r"-?[\d.]+", word) for words in options for word in words[:1]):
        found |= {(str(place),) for place in range(len(options) + 1)}  # counted from 0 or from 1
    return found


def _are_letters(answer: str, count: int) -> bool:
    """Whether it is several letters of options without anything between them: "ABD"."""
    letters = answer.strip(" .()[]")
    return letters.isupper() and len(set(letters)) == len(letters) and set(letters) <= set(_LETTERS[:count])


def _tiled(told: Sequence[str], choices: set[tuple[str, ...]]) -> bool:
    """Whether the words are choices one after the other, at least one, with nothing but `_BESIDE` between them."""
    joined = {"".join(choice) for choice in choices if len("".join(choice)) > 1}
    if "".join(told) in joined:
        return True
    lengths = sorted(set(map(len, choices)))
    reached = [{False}, *(set[bool]() for _ in told)]
    """For each place whether it is reached without a choice before it, or with one."""
    for start in range(len(told)):
        if not reached[start]:
            continue
        if told[start] in _BESIDE:
            reached[start + 1] |= reached[start]
        for stop in (start + length for length in lengths if start + length <= len(told)):
            if tuple(told[start:stop]) in choices:
                reached[stop] |= {True}
    return True in reached[-1]
