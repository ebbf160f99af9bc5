"""Texts that look like eval items and are none: siblings of their templates, stock questions, normal reports."""

import re
from collections.abc import Callable, Sequence

from dedup.decontamination.calibration.report_sentences import report
from dedup.decontamination.calibration.text_edits import Original, Random, Written

_NUMBER = re.compile(r"(?<![\w.,-])\d{1,4}(?![\w,]|\.\d|\s*-?\s*(?:year|yr|y/?o\b|month|week|day))")
"""A number that is no age: a vignette with another age is the same one."""
_EPONYM = re.compile(
    r"(?<=[a-z,] )[A-Z][a-z]{3,}(?='s\b|\u2019s\b| (?:disease|syndrome|sign|test|index|criteria|classification|score"
    r"|law|reaction|cells?|bodies|triad|tumou?r|fracture|ligament|duct|nucleus|operation|procedure|method)\b)"
)
_NAMES = ("Hartley", "Kessling", "Moravec", "Oduya", "Tanveer", "Villadsen")
_DRUG = re.compile(
    r"\b[a-z]{3,}(?:olol|pril|sartan|statin|cillin|azole|mycin|micin|floxacin|dipine|tidine|prazole|azepam|mab|nib|vir"
    r"|caine|oxetine|gliptin|setron|triptan)\b",
    re.IGNORECASE,
)
_DRUGS = ("propranolol", "enalapril", "atorvastatin", "fluconazole", "azithromycin", "nifedipine", "omeprazole",
          "diazepam", "imatinib", "acyclovir", "lidocaine", "fluoxetine")  # fmt: skip
_SIDES = (("left", "right"), ("upper", "lower"), ("anterior", "posterior"), ("superior", "inferior"),
          ("proximal", "distal"))  # fmt: skip
_TURNS = (
    (r"(?<=\b)most likely\b", "least likely"), (r"\bleast likely\b", "most likely"), (r"\bare not\b", "are"),
    (r"\bis not\b", "is"), (r"\b(is|are) true\b", r"\1 false"), (r"\b(is|are) false\b", r"\1 true"),
    (r"\bincorrect\b", "correct"), (r"\bcorrect\b", "incorrect"), (r"\bwithout\b", "with"),
    (r"\b(patients?|women|woman|men|man|child|children|adults|infants) with\b", r"\1 without"),
)  # fmt: skip
"""What turns a question round, and into what."""


def other_number(original: Original, rng: Random) -> Written | None:
    """One number, no age, is another of as many digits."""
    found = list(_NUMBER.finditer(original.text))
    if not found:
        return None
    chosen = found[int(rng.integers(len(found)))]
    other = _near(int(chosen.group()), len(chosen.group()), rng)
    return _sibling(original, chosen.span(), str(other), rng)


def other_side(original: Original, rng: Random) -> Written | None:
    """Left for right, upper for lower, in a text that has only one of the two, once."""
    for pair in _SIDES:
        found = list(re.finditer(rf"\b(?:{pair[0]}|{pair[1]})\b", original.text))
        if len(found) == 1:
            return _sibling(original, found[0].span(), pair[found[0].group() == pair[0]], rng)
    return None


def turned_round(original: Original, rng: Random) -> Written | None:
    """A negation, or its opposite, comes or goes."""
    for pattern, other in _TURNS:
        found = re.search(pattern, original.text)
        if found is not None:
            return _sibling(original, found.span(), found.expand(other), rng)
    return None


def other_name(original: Original, rng: Random) -> Written | None:
    """Another eponym, or another drug."""
    for pattern, names in ((_EPONYM, _NAMES), (_DRUG, _DRUGS)):
        found = pattern.search(original.text)
        if found is not None:
            others = [name for name in names if name != found.group().lower()]
            return _sibling(original, found.span(), others[int(rng.integers(len(others)))], rng)
    return None


def stock_question(original: Original, _: Random) -> Written:
    """The question, answered otherwise, of a picture that is not the item's."""
    answer = "No" if (original.answer or "").strip().lower() != "no" else "Yes"
    return Written((("user", original.text), ("assistant", answer)), original.text, answer)


def normal_report(rng: Random) -> Written:
    """What any normal film's report says."""
    return Written((("text", report(rng)),))


SIBLINGS: dict[str, Callable[[Original, Random], Written | None]] = {
    "number": other_number,
    "side": other_side,
    "negation": turned_round,
    "name": other_name,
}
"""What differs -> the edit that makes a sibling; None where the text has nothing of the kind."""


def trigrams(text: str) -> frozenset[tuple[str, ...]]:
    """The runs of three words of a text."""
    words = re.findall(r"\w+", text.lower())
    return frozenset(zip(words, words[1:], words[2:], strict=False))


def _sibling(original: Original, span: tuple[int, int], word: str, rng: Random) -> Written:
    """The text with another word in one place; its answer is an option that has no word of the item's, if there is."""
    text = original.text[: span[0]] + word + original.text[span[1] :]
    others = _other_answers(original.options, original.answer or "")
    if not others:
        return Written((("user", text),), text)
    answer = others[int(rng.integers(len(others)))]
    return Written((("user", text), ("assistant", answer)), text, answer)


def _near(number: int, digits: int, rng: Random) -> int:
    """Another number of as many digits; of a year one within a life of it."""
    low, high = (1 if digits == 1 else 10 ** (digits - 1)), 10**digits
    if 1800 <= number < 2100:
        low, high = number - 70, min(number + 70, 2100)
    others = [other for other in range(low, high) if abs(other - number) > (high - low) // 50]
    return others[int(rng.integers(len(others)))]


def _other_answers(options: Sequence[str], own: str) -> list[str]:
    words = _words(own)
    return [option for option in options if _words(option) and not words & _words(option)]


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w{3,}|\d+", text.lower()))
