"""Questions as they were asked: without their options and without the prompts of benchmarks.

An evaluation puts the same sentences behind every question (Lingshu Fig. 8); left there, all questions look alike, and
none looks like its copy in the training data, which has other ones.
"""

import re
from collections.abc import Sequence

from sources.choices import LETTERS

_PROMPTS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\s*Answer with the option(?:['\u2019])?s letter\s+from the given choices(?: directly)?\.?\s*$",
        r"\s*Answer the question using a single word or phrase\.?\s*$",
        r"\s*Answer the question concisely\.?\s*$",
        r"\s*Please (?:select|choose) the (?:correct|best|right) (?:answer|option)[^.\n]{0,40}\.?\s*$",
        r"^\s*(?:The following is|The following are) (?:a )?multiple[- ]choice questions?[^\n]{0,200}\n+",
        r"^\s*Question:\s+(?=\S)",
    )
)
_PLACEHOLDER = re.compile(r"[ \t]*<image(?:[ _]?\d+)?>[ \t]*\n?", re.IGNORECASE)
_HEADED = re.compile(r"\s*(?:Answer Choices|Options|Choices)\s*:\s*\(?A\s*[).:].*\Z", re.IGNORECASE | re.DOTALL)
_STATEMENTS = re.compile(r"\bA\s?\).*?\SB\s?\).*?\S", re.IGNORECASE | re.DOTALL)
_GLUED = re.compile(r"(?<=[^\s(])(?=[b-e]\s?\))")
_HEADING = r"\s*(?:(?:answer choices|options|choices)\s*:?)?"


def bare_question(question: str | None, options: Sequence[str] | None) -> str | None:
    """The question alone; None where nothing else was there.

    Taken off: prompts known from benchmarks, placeholders of pictures, `Answer Choices: (A) ...`, and lettered options
    at its end where they are the item's own. Statements that are glued together ("a) Apneab) Fever") are parted.
    """
    if question is None:
        return None
    text = _PLACEHOLDER.sub(" ", question)
    before = None
    while before != text:
        before = text
        for prompt in _PROMPTS:
            text = prompt.sub("", text)
        text = _HEADED.sub("", text)
        if options and _ends_with(text, options[-1]):
            text = _own_options(options).sub("", text)
    if _STATEMENTS.search(text):
        text = _GLUED.sub(" ", text)
    return text.strip() or None


def _ends_with(text: str, option: str) -> bool:
    """Whether it is worth looking closer: making a pattern costs a thousand times this."""
    return text.rstrip(" \t\n.;").casefold().endswith(option.rstrip(" \t\n.;").casefold())


def _own_options(options: Sequence[str]) -> re.Pattern[str]:
    listed = r"\s+".join(
        rf"\(?{letter}\s*[).:]\s*{re.escape(option)}\s*[.;]?" for letter, option in zip(LETTERS, options, strict=False)
    )
    return re.compile(rf"{_HEADING}\s*{listed}\s*\Z", re.IGNORECASE)
