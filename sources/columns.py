"""Values of a record by the canonical names of its card: columns, nested columns, picks, lists of columns."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sources.cards import FIELD_NAMES, GROUP_KINDS, Card, First, Pick
from sources.records import Record, RecordError

Column = str | Pick | First | tuple[str | Pick, ...]

KEY = "@key"
"""Stands for the record's key where a column is named."""
SPLIT = "@split"
"""Column in which a reader gives a record's split, where its form of corpus tells one."""
TELL_SPLITS = frozenset({"hf"})
"""The readers that do."""
REST = "*"
"""Among the columns of a card's `meta`: every column with words that the samples do not take theirs from."""
USED: Mapping[str, frozenset[str]] = {
    "instruct": frozenset({"conversations", "instruction", "input", "output", "question", "answer"}),
    "reasoning": frozenset({"question", "options", "answer", "context", "rationale"}),
    "vqa": frozenset({"question", "options", "answer", "context"}),
    "text_qa": frozenset({"question", "options", "answer", "context"}),
    "report": frozenset({"findings", "impression", "indication"}),
    "caption": frozenset({"text", "caption"}),
    "text": frozenset({"text", "caption"}),
}
"""Fields that a sample of a task takes its words from."""
PICTURE_NAMES = (
    "image", "images", "img", "img_name", "image_path", "image_name", "image_file", "img_path", "file_name",
    "filename", "picture", "pictures", "picture_path", "photo",
)  # fmt: skip
"""Columns that hold a record's pictures, or name them, where everything of a record is asked for."""
SENTENCE_WORDS = 8
"""From so many words on what stands in an id or a licence is a text."""
_NO_WORDS = frozenset({"id", "image", "images", "split", "license", "language", *GROUP_KINDS})
ALIASES = {"text": "caption", "image": "images"}
"""Two spellings of one field: a card may use either."""
MAX_NESTED = 32
"""Lists in lists that are still text. A number of our own: where Python itself gives up depends on who is asking."""
TEMPLATE_NAME = re.compile(r"\{([^{}]+)\}")
_BY_NAME: dict[str, Column] = {name: name for name in FIELD_NAMES}
_BY_READER: dict[str, dict[str, Column]] = {
    "llava": {"id": "id", "image": "image", "conversations": "conversations"},
    "dicom": {
        "text": "caption", "patient": "PatientID", "study": "StudyInstanceUID", "series": "SeriesInstanceUID",
    },
}  # fmt: skip
"""Columns of forms that name their own."""
DICOM_META = ("Modality", "BodyPartExamined", "ViewPosition", "Laterality", "ImageLaterality")
"""Of headers, where a card names no `meta`: codes of closed vocabularies (sources/dicom/facts.py)."""


def fields_of(card: Card) -> Mapping[str, Column]:
    """The card's map, over the reader's own where it has one; with no map at all, columns have canonical names."""
    own = _BY_READER.get(card.reader)
    if own and card.reader == "dicom" and card.task == "report":
        own = {name: column for name, column in own.items() if name != "text"}  # a made caption is nobody's report
    fields = {**own, **card.fields} if own else card.fields or _BY_NAME
    return {**fields, "split": SPLIT} if card.reader in TELL_SPLITS and "split" not in card.fields else fields


def columns_of(card: Card) -> Mapping[str, tuple[Column, ...]]:
    """Canonical name -> the columns that may hold it, both spellings; made once a card: every record asks."""
    held = _columns_held.get(id(card))
    if held is None or held[0] is not card:
        fields = fields_of(card)
        found = {
            name: tuple(fields[spelling] for spelling in {name: 0, ALIASES.get(name, name): 0} if spelling in fields)
            for name in {*fields, *ALIASES}
        }
        if REST in card.meta:  # a picture that only late records name is one, too
            own = (*found["image"], *(column for column in found.get("images", ()) if column not in found["image"]))
            found["image"] = found["images"] = (*own, *(name for name in PICTURE_NAMES if name not in own))
        held = card, {name: columns for name, columns in found.items() if columns}
        _columns_held.clear()
        _columns_held[id(card)] = held
    return held[1]


_columns_held: dict[int, tuple[Card, dict[str, tuple[Column, ...]]]] = {}


def meta_of(card: Card) -> tuple[str, ...]:
    """The columns that the card keeps in `meta`, or its reader does where it names none."""
    return card.meta or (DICOM_META if card.reader == "dicom" else ())


def value_of(card: Card, record: Record, name: str) -> Any:
    """The raw value of a canonical field (either spelling of it), or None."""
    for column in columns_of(card).get(name, ()):
        value = _resolve(record, column)
        if value is not None:
            return value
    return None


def text_field(card: Card, record: Record, name: str, between: str = "\n") -> str | None:
    """The text of a canonical field, lists joined by `between`, or None where there is none.

    Raises:
        RecordError: it holds something that is no text.
    """
    return text_of(value_of(card, record, name), between)


def text_of(value: Any, between: str = "\n") -> str | None:
    r"""A value as text: stripped, newlines as `\n`; None for blank ones and NaN.

    Raises:
        RecordError: a mapping or bytes, or lists more than 32 deep.
    """
    if value is None or value != value:  # noqa: PLR0124 - NaN is what is unequal to itself
        return None
    if isinstance(value, str):
        return value.replace("\r\n", "\n").replace("\r", "\n").strip() or None
    if isinstance(value, list | tuple):
        return _text_of_list(value, between, MAX_NESTED)
    if isinstance(value, Mapping | bytes):
        raise RecordError(f"a text field holds {type(value).__name__}")
    return str(value)


def _text_of_list(values: Sequence[Any], between: str, left: int) -> str | None:
    if not left:
        raise RecordError(f"a text field holds lists nested more than {MAX_NESTED} deep")
    texts = (
        _text_of_list(item, between, left - 1) if isinstance(item, list | tuple) else text_of(item) for item in values
    )
    return between.join(text for text in texts if text is not None) or None


def lookup(record: Record, column: str) -> Any:
    """The value of a column; dots go into nested mappings (and through lists of them); None where absent."""
    if column == KEY:
        return record.key
    if column in record.row or "." not in column:
        return record.row.get(column)
    value: Any = record.row
    for part in column.split("."):
        if isinstance(value, list):
            value = [item.get(part) for item in value if isinstance(item, Mapping)]
        elif isinstance(value, Mapping):
            value = value.get(part)
        else:
            return None
    return value


def mapped_columns(card: Card) -> frozenset[str]:
    """Every column the card names, nested ones by their outermost name: nothing else of a record is used."""
    columns = set(meta_of(card))
    for column in fields_of(card).values():
        columns.update(names_of(column))
    if card.join is not None:
        columns.add(card.join.left)
    for template in (card.layout.images or "", *card.layout.split_images.values()):
        columns.update(TEMPLATE_NAME.findall(template))
    return frozenset(name for column in columns if column != KEY for name in (column, column.partition(".")[0]))


def takes_rest(card: Card) -> bool:
    """Whether every column of a record is used, named or not."""
    return REST in card.meta


def rest_of(card: Card, record: Record, *, told: bool) -> dict[str, Any]:
    """The columns with words that are in no field of the sample; all of them where the sample has none (`told`)."""
    taken: set[str] = set()
    for name, columns in columns_of(card).items():
        held = {own for column in columns for own in names_of(column)}
        if name in _NO_WORDS:
            taken.update(own for own in held if not _is_sentence(record.row.get(own)))
        elif told and name in USED.get(card.task, ()):
            taken.update(held)
    said = {value for name in taken if isinstance(value := record.row.get(name), str)}
    return {
        name: value
        for name, value in record.row.items()
        if name not in taken and has_words(name, value) and not (isinstance(value, str) and value in said)
    }


def _is_sentence(value: Any) -> bool:
    return isinstance(value, str) and len(value.split(None, SENTENCE_WORDS)) >= SENTENCE_WORDS


def has_words(name: str, value: Any) -> bool:
    """Whether a column holds text, at any depth, and no bytes; what readers tell themselves is none."""
    return not name.startswith("@") and _has_words(value, MAX_NESTED)


def _has_words(value: Any, left: int) -> bool:
    if not left:
        raise RecordError(f"a column holds lists nested more than {MAX_NESTED} deep")
    if isinstance(value, Mapping):
        return _has_words(list(value.values()), left - 1)
    if isinstance(value, list | tuple):
        return not any(isinstance(one, bytes) for one in value) and any(_has_words(one, left - 1) for one in value)
    return isinstance(value, str) and any(character.isalpha() for character in value)


def required_columns(card: Card) -> frozenset[str]:
    """The columns that some record of a file (or of its companion table) must have: the mapped fields'."""
    parts = (part for column in card.fields.values() for part in (column if isinstance(column, tuple) else (column,)))
    return frozenset(name for part in parts if not _optional(part) for name in names_of(part) if name != KEY)


def required_choices(card: Card) -> list[tuple[str, ...]]:
    """Columns of which one of each group must be there: the spellings of one field."""
    return [column.first for column in card.fields.values() if isinstance(column, First)]


def _optional(column: Column) -> bool:
    return isinstance(column, First) or (isinstance(column, Pick) and column.otherwise is not None)


def names_of(column: Column) -> tuple[str, ...]:
    """The columns of a record that a mapped column is made of."""
    if isinstance(column, Pick):
        return (column.field,)
    if isinstance(column, First):
        return column.first
    if isinstance(column, str):
        return (column,)
    return tuple(name for part in column for name in names_of(part))


def _resolve(record: Record, column: Column) -> Any:
    if isinstance(column, str):
        return lookup(record, column)
    if isinstance(column, Pick):
        return _pick(record, column)
    if isinstance(column, First):
        found = (value for name in column.first if _is_something(value := lookup(record, name)))
        return next(found, None)
    values = [_resolve(record, part) for part in column]
    while values and text_of(values[-1]) is None:
        values.pop()
    return values or None


def _is_something(value: Any) -> bool:
    return value is not None and value != [] and not (isinstance(value, str) and not value.strip())


def _pick(record: Record, pick: Pick) -> str | list[str] | None:
    value = lookup(record, pick.field)
    if value == [] and pick.empty is not None:
        return pick.empty
    if isinstance(value, list):
        return [picked for item in value if (picked := _pick_text(text_of(item), pick)) is not None]
    return _pick_text(text_of(value), pick)


def _pick_text(text: str | None, pick: Pick) -> str | None:
    match = _compiled(pick.pattern).search(text) if text is not None else None
    if match is None:
        return pick.otherwise
    if pick.value is not None:
        return pick.value
    picked = match.group(1) if match.re.groups else match.group()
    return None if picked is None else pick.prefix + picked


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
