"""What is wrong with a sample's texts, as numbers: measured once, judged afterwards (`filters/quality.py`)."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.answers import is_among
from filters.languages import language_of
from filters.markup import entities_share, tags_in
from filters.mojibake import mojibake_share
from filters.words import WORD

TEXT_QUALITY = pa.schema(
    [
        pa.field("label_only", pa.bool_()),
        pa.field("boilerplate", pa.bool_()),
        pa.field("mojibake", pa.float32()),
        pa.field("repeated", pa.float32()),
        pa.field("markup", pa.int32()),
        pa.field("entities", pa.float32()),
        pa.field("script", pa.string()),
        pa.field("language", pa.string()),
        pa.field("answer_empty", pa.bool_()),
        pa.field("answer_repeats", pa.bool_()),
        pa.field("answer_no_option", pa.bool_()),
    ]
)
"""One row a sample. `label_only`: all that is said is "Figure 2" or the like; `boilerplate`: all that is said is what
publishers put under any picture; `mojibake`: share of characters that are text decoded wrongly, of what is said or of
all other turns, whichever has more; `repeated`: share of words in runs of words that come again; `markup` and
`entities`: HTML tags of captions and reports, and their entities beyond the first two over the words, elsewhere 0;
`script`: the writing of most letters; `language`: of texts in Latin letters, where their words tell it; `answer_empty`:
a question without an answer, or a turn of the assistant without a word; `answer_repeats` (the question) and
`answer_no_option`: of samples with question and answer."""

TEXT_EMBEDDING = pa.schema([pa.field("vector", pa.binary())])
"""Halves of a model's embedding of a caption, null where there is none."""
LONGEST = 20_000
"""Characters that are looked at. A caption of 2 MB shows on its first pages what it is."""
_RUN = 8
"""Words, or twice as many characters of Chinese. Shorter runs come again in honest captions: "a plane that is
perpendicular to the sagittal plane and"."""
_SAYING = frozenset({"assistant", "text"})
"""Roles of the turns that are learnt: most rules are about these."""

_LABEL = re.compile(
    r"\W*+(?:(?:(?:supplementary|supplemental|extended data|additional)\s+)?+"
    r"(?:fig(?:ure|ura|uur)?s?|image|bild|panel|table|plate|scheme|photo(?:graph)?|illustration|slide|video|case"
    r"|图|圖|図|表|그림|(?:ال)?شكل|рис(?:унок)?|abb(?:ildung)?)\W*+(?:(?:no|nr)\b\W*+)?+"
    r"(?:[a-z]?\d{1,4}[a-z]?|[ivx]{1,5}|[a-z]|and|to|continued|cont)?"
    r"|\d{1,4}[a-z]?|[ivx]{1,5}(?!\W+\d)|[a-z](?!\W+\d))?"
    r"(?:\W++(?:[a-z]|\d{1,3}|and|to|of|continued|cont)\b)*+\W*+",
    re.IGNORECASE,
)
"""A word for a figure and its number, or a bare number or letter; "T2", "L4" and "I-131" are findings. Runs of other
characters are possessive: three in a row would be tried in cubic time."""
_REST = r"(?:[^.]|(?<=\bdr)\.|(?<=\bprof)\.|(?<=\bmrs)\.|(?<=\bmr)\.|(?<=\bms)\.|(?<=\b[a-z])\.|\.(?=\w))*+"
"""To the end of the sentence: what comes after a credit may be the caption."""
_GAP = r"(?:(?!©|\(c\))\W)*+"
_BOILERPLATE = re.compile(
    rf"(?:{_GAP}(?:click (?:here|on the image)\b{_REST}"
    rf"|see (?:the )?(?:text|legend|caption|main text)(?: for (?:more )?details?)?+"
    rf"|(?:image|figure|photo) (?:not available|unavailable|courtesy of {_REST}|removed{_REST}|is missing)"
    rf"|no (?:caption|description|legend)(?: (?:available|provided))?+|(?:copyright|©|\(c\)\s*(?=(?:19|20)\d\d)){_REST}"
    rf"|all rights reserved|(?:used|reproduced|reprinted) (?:with|by) permission{_REST}"
    rf"|(?:caption|legend|description|title|n/?a|none|null|nan|untitled|image|picture|photo)"
    rf"|download(?: {_REST})?+|view larger version{_REST}|open in a new tab{_REST}"
    rf"|this (?:image|figure) (?:is|was) (?:licensed|published|distributed) under {_REST})(?!\w){_GAP})++",
    re.IGNORECASE,
)  # fmt: skip
_SPACES = re.compile(r"\W+")
SCRIPTS = (
    "arabic", "armenian", "bengali", "cjk", "cyrillic", "devanagari", "ethiopic", "georgian", "greek", "gujarati",
    "gurmukhi", "hangul", "hebrew", "kannada", "khmer", "lao", "latin", "malayalam", "mongolian", "myanmar", "oriya",
    "sinhala", "tamil", "telugu", "thai", "tibetan",
)  # fmt: skip
"""Writings that a recipe may ask for, of those that `script_of` tells."""
_SCRIPTS = {"CJK": "cjk", "HIRAGANA": "cjk", "KATAKANA": "cjk", "HANGUL": "hangul"}


class TextTower(Protocol):
    """A model that puts texts where it puts pictures (`filters.biomedclip.BiomedClip`)."""

    @property
    def name(self) -> str:
        """Which model it is."""
        ...

    @property
    def version(self) -> int | str:
        """Other when values may change."""
        ...

    @property
    def gpus(self) -> float:
        """What one worker needs."""
        ...

    @property
    def gpus_optional(self) -> bool:
        """Whether it goes without where there is none."""
        ...

    def embedded_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """N x D of length one."""
        ...


class TextQuality:
    """Measures the texts of samples: TEXT_QUALITY, and where a model is given their embeddings: TEXT_EMBEDDING."""

    name = "text_quality"
    version = 6
    columns = ("turns", "task", "question", "options", "answer", "images")

    def __init__(self, tower: TextTower | None = None) -> None:
        self.tower = tower

    @property
    def gpus(self) -> float:
        """What a worker of it needs."""
        return 0.0 if self.tower is None else self.tower.gpus

    @property
    def gpus_optional(self) -> bool:
        """Whether it goes without where there is none."""
        return self.tower is None or self.tower.gpus_optional

    def parameters(self) -> dict[str, Any]:
        """Limits come afterwards: what is measured depends on the model alone."""
        tower = {} if self.tower is None else {"tower": [self.tower.name, self.tower.version]}
        return {"longest": LONGEST, "run": _RUN, **tower}

    def measure(self, samples: pa.Table) -> dict[str, pa.Table]:
        """`text_quality`, and with a model `text_embedding`: one row a sample."""
        given = samples.select(self.columns).to_pylist()
        found = {"text_quality": pa.Table.from_pylist([_measured(row) for row in given], schema=TEXT_QUALITY)}
        if self.tower is not None:
            found["text_embedding"] = _embeddings(self.tower, given)
        return found


def _embeddings(tower: TextTower, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """TEXT_EMBEDDING: of captions and reports of pictures, the others are null."""
    captions = {
        number: text
        for number, row in enumerate(rows)
        if row["task"] in {"caption", "report"} and row["images"] and (text := _said(row)).strip()
    }
    values: list[bytes | None] = [None] * len(rows)
    if captions:
        for number, vector in zip(captions, tower.embedded_texts(list(captions.values())), strict=True):
            values[number] = vector.astype("<f2").tobytes()
    return pa.table([pa.array(values, pa.binary())], schema=TEXT_EMBEDDING)


def _said(row: Mapping[str, Any]) -> str:
    return "\n".join(turn["text"] for turn in row["turns"] or () if turn["role"] in _SAYING)


def _others(row: Mapping[str, Any]) -> str:
    """Questions, what a system is told, reasons."""
    return "\n".join(turn["text"] for turn in row["turns"] or () if turn["role"] not in _SAYING)


def _measured(row: Mapping[str, Any]) -> dict[str, Any]:
    text = _said(row)[:LONGEST]
    described = row["task"] in {"caption", "report"}
    short = text if row["task"] in {"caption", "report", "text"} and text.strip() and len(text) < 400 else None
    return {
        "label_only": short is not None and len(short) < 200 and _LABEL.fullmatch(short) is not None,
        "boilerplate": short is not None and _BOILERPLATE.fullmatch(short) is not None,
        "mojibake": round(max(mojibake_share(text), mojibake_share(_others(row)[:LONGEST])), 4),
        "repeated": round(repeated_share(text), 4),
        "markup": tags_in(text) if described else 0,
        "entities": round(entities_share(text), 4) if described else 0.0,
        "script": script_of(text),
        "language": language_of(text[:2000]),
        **_of_answer(row),
    }


def repeated_share(text: str) -> float:
    """Share of the words that lie in a run of eight that was there before.

    A character of Chinese or Japanese is a word, and half of one in the length of a run.
    """
    found = [(match[0].casefold(), 2 if match[1] is None else 1) for match in WORD.finditer(text)]
    seen: set[tuple[str, ...]] = set()
    covered = bytearray(len(found))
    stop = length = 0
    for start, (_, own) in enumerate(found):
        while length < 2 * _RUN and stop < len(found):
            length += found[stop][1]
            stop += 1
        if length < 2 * _RUN:
            break
        run = tuple(word for word, _ in found[start:stop])
        if run in seen:
            covered[start:stop] = b"\1" * (stop - start)
        seen.add(run)
        length -= own
    return sum(covered) / max(len(found), 1)


def script_of(text: str) -> str | None:
    """The writing that most letters have, by their Unicode names: latin, cjk, arabic ...; None without letters."""
    counted: Counter[str] = Counter()
    for letter, number in Counter(text[:2000]).items():
        if letter.isalpha():
            first = unicodedata.name(letter, "OTHER").split(" ", 1)[0].split("-", 1)[0]
            counted[_SCRIPTS.get(first, first.casefold())] += number
    return min(counted, key=lambda name: (-counted[name], name)) if counted else None


def _of_answer(row: Mapping[str, Any]) -> dict[str, bool]:
    question, options, answer = row["question"], row["options"] or (), row["answer"] or ""
    empty = any(turn["role"] == "assistant" and not turn["text"].strip() for turn in row["turns"] or ())
    if question is None:
        return {"answer_empty": empty, "answer_repeats": False, "answer_no_option": False}
    told, asked = _plain(answer), _plain(question)
    return {
        "answer_empty": empty or not answer.strip(),
        "answer_repeats": bool(told) and told == asked,
        "answer_no_option": bool(options) and not is_among(answer, options),
    }


def _plain(text: str) -> str:
    """Cut first: many accents on one letter are put in order in quadratic time."""
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", text[:LONGEST]).casefold()).strip()
