"""Which column of anyone's data is what: by its name, or as `--fields` says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pipelines.errors import UsageError
from sources.cards import FIELD_NAMES, GROUP_KINDS, Card, Layout, Strict
from sources.choices import BY_LETTER
from sources.columns import PICTURE_NAMES, REST, text_of
from sources.records import RecordError

ALSO = {
    **{name: "image" for name in PICTURE_NAMES if name not in FIELD_NAMES},
    "messages": "conversations", "conversatons": "conversations", "prompt": "instruction", "response": "output",
    "explanation": "rationale", "report": "text", "pmcid": "article", "patient_id": "patient", "study_id": "study",
    "case_id": "case", "question_id": "id", "qid": "id",
}  # fmt: skip
"""Names that columns of published data sets have beside our own."""


class GivenFields(Strict):
    """What `--fields` says: canonical name -> column, and how answers name options (`answer_base` of a card).

    `items`: where in a JSON document its records are.
    """

    columns: dict[str, str | tuple[str, ...]]
    answer_base: int | str | None = None
    items: str | None = None


@dataclass
class Seen:
    """The columns of some records."""

    columns: set[str] = field(default_factory=set)
    answers_are_numbers: bool = False

    def add(self, row: Mapping[str, Any]) -> None:
        """Look at one more record."""
        self.columns.update(name for name in row if not name.startswith("@"))


def read_fields(path: Path) -> GivenFields:
    """The map in a YAML file.

    Raises:
        UsageError: it cannot be read, or is no map from fields to columns.
    """
    hint = "write `question: COLUMN`, one field a line; " + ", ".join(FIELD_NAMES) + " and kinds of group"
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--fields {path}: cannot be read ({error.strerror})", hint) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise UsageError(f"--fields {path}: not valid YAML", hint) from None
    if not isinstance(document, dict) or not document:
        raise UsageError(f"--fields {path}: is no map from fields to columns", hint)
    base = document.pop("answer_base", None)
    if base not in (None, 0, 1, BY_LETTER):
        raise UsageError(f"--fields {path}: answer_base is 0, 1 or letter", hint)
    items = document.pop("items", None)
    if not isinstance(items, str | None):
        raise UsageError(f"--fields {path}: items is the name of a member, `data` or `data.rows`", hint)
    columns: dict[str, str | tuple[str, ...]] = {}
    for name, column in document.items():
        several = isinstance(column, list) and all(isinstance(one, str) for one in column) and column
        if name not in (*FIELD_NAMES, *GROUP_KINDS) or not (isinstance(column, str) or several):
            raise UsageError(f"--fields {path}: {name!r}: no field, or its columns are no names", hint)
        columns[name] = column if isinstance(column, str) else tuple(column)
    return GivenFields(columns=columns, answer_base=base, items=items)


def fields_by_name(columns: Iterable[str]) -> dict[str, str]:
    """Canonical name -> column, of columns that are called so, whatever their case, or by a usual other name."""
    found: dict[str, str] = {}
    known = (*FIELD_NAMES, *GROUP_KINDS)
    names = sorted(columns)
    for name in [*(name for name in names if name in known), *names]:
        folded = name.casefold()
        field_name = folded if folded in known else ALSO.get(folded)
        if field_name is not None and name not in found.values():
            found.setdefault(field_name, name)
    return found


def task_of(fields: Mapping[str, Any], *, pictures: bool) -> str | None:
    """What samples with these fields are; None where there is nothing to look at."""
    has = frozenset(fields)
    pictures = pictures or bool(has & {"image", "images"})
    if "conversations" in has:
        return "instruct"
    if "question" in has:
        return "reasoning" if "rationale" in has else "vqa" if pictures else "text_qa"
    for task, marks in (("report", {"findings", "impression"}), ("instruct", {"instruction", "output"})):
        if has & marks:
            return task
    if pictures:
        return "caption"
    return "text" if has & {"text", "caption"} else None


def card_of(
    name: str, reader: str, seen: Seen, given: GivenFields | None, *, named: bool, pictures: bool, shown: bool
) -> Card:
    """The card of data with these columns; `named` maps columns, else readers find them by their canonical names.

    `shown` says that messages may name columns.

    Raises:
        UsageError: no column is known.
    """
    mapped = given is not None and bool(given.columns)
    fields: dict[str, Any] = dict(given.columns if given is not None and mapped else fields_by_name(seen.columns))
    base = None if given is None else given.answer_base
    if base is None and "options" in fields and seen.answers_are_numbers:
        fields.pop("answer", None)  # which option it is nobody said: it is looked at as a number
        named = True
    task = task_of(fields, pictures=pictures)
    if task is None:
        columns = ", ".join(sorted(map(str, seen.columns))[:12]) if shown else f"{len(seen.columns)} columns"
        raise UsageError(
            f"{name}: no column that is known (it has {columns})",
            "say which is which with --fields FILE, a YAML map such as `question: COLUMN`",
        )
    return Card(
        name=name,
        reader=reader,
        layout=Layout(files=("**/*",)),
        options={} if base is None else {"answer_base": base},
        fields=fields if named or mapped else {},
        task=task,
        access="open",
        identifiers="public",
        meta=(REST,),
    )


def are_numbers(answers: Sequence[Any]) -> bool:
    """Whether answers are indexes of options: all of them whole numbers."""
    try:
        texts = [text for answer in answers if (text := text_of(answer)) is not None]
    except RecordError:
        return False
    return bool(texts) and all(text.removesuffix(".0").isdecimal() for text in texts)
