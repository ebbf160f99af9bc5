"""The texts of one sample without identifiers: turns, question, options, answer and what stands beside them."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from filters.phi_spans import Kind, Span, redacted
from filters.phi_text import Known, Names, find
from sources.identifying import identifying_kind
from sources.records import RecordError
from sources.schema import IMAGE_PLACEHOLDER, Reason

MOST_FINDINGS = 100
"""That are listed one by one; of more the numbers by kind are told."""
MOST_CHARACTERS = 200_000
"""Of all texts of a record, repeated ones each time, some 70 printed pages: 10 to 26 s for the model, one or two for
the rules, twice that where there are two copies (`phi_copies.py`)."""

_DEEPEST = 8
_INSIDE = re.compile(rf"\S{re.escape(IMAGE_PLACEHOLDER)}\S")
_BLANK = " " * len(IMAGE_PLACEHOLDER)
_UNSEEN = "\u200b" * len(IMAGE_PLACEHOLDER)


@dataclass(frozen=True)
class Finding:
    """What was found in a sample: which kind, in which field, how many characters. Never what it says."""

    kind: Kind
    place: str
    length: int


def known_values(row: Mapping[str, Any]) -> list[Known]:
    """The identifying values of a record that say by their column's name what they are, nested ones included."""
    return [
        Known(kind, value)
        for column, value in row.items()
        for kind, value in _named_values(column, value, None, 0)
        if 1 < len(value) <= 100
    ]


def _named_values(name: str, value: Any, around: Kind | None, depth: int) -> Iterator[tuple[Kind, str]]:
    """Texts and numbers beneath a name; `around` is what the name of a list says of its items."""
    kind = around or identifying_kind(name)
    if isinstance(value, Mapping) and depth < _DEEPEST:
        for inner, item in value.items():
            # {"patient": {"name": ...}}: a name alone says little, with the one around it it does
            own = identifying_kind(str(inner)) or identifying_kind(f"{name}_{inner}")
            yield from _named_values(str(inner), item, own, depth + 1)
    elif isinstance(value, (list, tuple)) and depth < _DEEPEST:
        for item in value:
            yield from _named_values(name, item, kind if not isinstance(item, Mapping) else None, depth + 1)
    elif kind is not None and isinstance(value, (str, int, float)) and not isinstance(value, bool):
        said = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
        yield "id" if kind == "name" and any(mark.isdigit() for mark in said) else kind, said


def redact_row(
    row: Mapping[str, Any], names: Names, known: Iterable[Known] = ()
) -> tuple[dict[str, Any], list[Finding]]:
    """The row of SAMPLES with placeholders (`[NAME]`, `[DATE]` ...) for identifiers, and what they were.

    `<image>` placeholders stay. Texts of one record are searched together: a name that one of them shows is found in
    all.

    Raises:
        RecordError: there are more than `MOST_CHARACTERS`; nothing was searched.
        ImportError: `names` is `model` and the model is not installed.
    """
    texts: list[tuple[str, str]] = []

    def noted(place: str, text: str) -> str:
        texts.append((place, text))
        return text

    _each_text(row, noted)
    characters = sum(len(text) for _, text in texts)
    if characters > MOST_CHARACTERS:
        detail = f"too_long: {characters} characters; identifiers are sought in {MOST_CHARACTERS} of a record at most"
        raise RecordError(detail, Reason.PHI_TEXT)
    findings, answers = [], []
    for (place, text), kept in zip(texts, _around_pictures([text for _, text in texts], names, known), strict=True):
        findings += [Finding(span.kind, place, span.stop - span.start) for span in kept]
        answers.append(redacted(text, kept) if kept else text)
    if not findings:
        return dict(row), []
    following = iter(answers)
    return _each_text(row, lambda _place, _text: next(following)), findings


def evidence_of(findings: Iterable[Finding]) -> str:
    """JSON for the ledger."""
    listed = list(findings)
    said: dict[str, Any] = {"kinds": dict(sorted(Counter(one.kind for one in listed).items()))}
    said["findings"] = [{"kind": one.kind, "place": one.place, "length": one.length} for one in listed[:MOST_FINDINGS]]
    return orjson.dumps(said).decode()


def _around_pictures(texts: Sequence[str], names: Names, known: Iterable[Known]) -> list[list[Span]]:
    """The spans of each text, none of which touches the placeholder of a picture.

    A placeholder is no word. One between two characters may stand in the middle of a number, as what nobody sees may.
    """
    blanked = [text.replace(IMAGE_PLACEHOLDER, _UNSEEN if _INSIDE.search(text) else _BLANK) for text in texts]
    return [
        list(_apart(text, spans)) if IMAGE_PLACEHOLDER in text else spans
        for text, spans in zip(texts, find(blanked, names, known), strict=True)
    ]


def _apart(text: str, spans: Iterable[Span]) -> Iterator[Span]:
    """The parts of the spans on both sides of placeholders."""
    pictures = [match.span() for match in re.finditer(re.escape(IMAGE_PLACEHOLDER), text)]
    for span in spans:
        start = span.start
        for low, high in pictures:
            if low < span.stop and start < high:
                if text[start:low].strip():
                    yield Span(start, low, span.kind)
                start = max(start, high)
        if text[start : span.stop].strip():
            yield Span(start, span.stop, span.kind)


def _each_text(row: Mapping[str, Any], change: Callable[[str, str], str]) -> dict[str, Any]:
    """The row with every text replaced by `change(place, text)`, always in the same order."""
    new = dict(row)
    if row["turns"]:
        new["turns"] = [
            {**turn, "text": change(f"turns.{number}", turn["text"])} for number, turn in enumerate(row["turns"])
        ]
    for name in ("question", "answer"):
        if row[name]:
            new[name] = change(name, row[name])
    if row["options"]:
        new["options"] = [change(f"options.{number}", option) for number, option in enumerate(row["options"])]
    if row["meta"]:
        meta = _each_value(orjson.loads(row["meta"]), lambda text: change("meta", text))
        new["meta"] = orjson.dumps(meta, option=orjson.OPT_SORT_KEYS).decode()
    return new


def _each_value(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_each_value(item, change) for item in value]
    if isinstance(value, dict):
        return {name: _each_value(item, change) for name, item in value.items()}
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        said = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
        told = change(said)
        return value if told == said else told
    return value
