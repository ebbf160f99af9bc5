"""Catalogue cards: what a corpus is, where its files lie, what its fields mean, under which terms."""

import codecs
import difflib
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from sources.schema import ACCESS, MODALITIES, TASKS, UNKNOWN_LICENSE

CATALOGUE = Path(__file__).parent / "catalogue"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
M = TypeVar("M", bound=BaseModel)

FIELD_NAMES = (
    "id", "text", "caption", "image", "images", "question", "options", "answer", "rationale", "context",
    "findings", "impression", "indication", "instruction", "input", "output", "conversations", "split",
    "license", "language",
)  # fmt: skip
GROUP_KINDS = (
    "article", "figure", "panel", "patient", "study", "series", "case", "video", "slide", "lesion",
)  # fmt: skip


def _one_of(allowed: tuple[str, ...]) -> AfterValidator:
    def check(value: str) -> str:
        if value not in allowed:
            raise ValueError(f"{value!r} is not one of {', '.join(allowed)}")
        return value

    return AfterValidator(check)


def _known_field(value: str) -> str:
    known = (*FIELD_NAMES, *GROUP_KINDS)
    if value not in known:
        nearest = difflib.get_close_matches(value, known, 1, 0.0)[0]
        raise ValueError(f"{value!r} is not a field or group kind; did you mean {nearest!r}?")
    return value


class Strict(BaseModel):
    """A configuration model: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _is_pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is not a regular expression: {error}") from None
    return value


Pattern = Annotated[str, AfterValidator(_is_pattern)]


class Pick(Strict):
    """A value made from a field: the first group of `pattern` (or the whole match) after `prefix`.

    A prefix keeps local numbers apart: patient 2 of one corpus is not patient 2 of another. `value` stands for
    what matched, `otherwise` for a field that is absent or does not match, `empty` for a list without items.
    """

    field: str
    pattern: Pattern = r"(?s)\S.*"
    prefix: str = ""
    value: str | None = None
    otherwise: str | None = None
    empty: str | None = None


class First(Strict):
    """The first of several columns that has a value: spellings of one column (`Answer`, `Anwser`) in its versions."""

    first: Annotated[tuple[str, ...], Field(min_length=2)]


class Speakers(Strict):
    """How a dialogue in one text field is cut into turns.

    `pattern` finds a speaker's label at the start of a line (its first group is the name); `roles` maps the
    lower-cased name to `user` or `assistant`, others are `user`.
    """

    pattern: Pattern
    roles: dict[str, Literal["user", "assistant"]]


def ascii_based(encoding: str) -> str | None:
    """The one name of an encoding that has ASCII's bytes for ASCII; None of any other, and of what is none."""
    try:
        name = codecs.lookup(encoding).name.removesuffix("-sig")
        return name if name != "utf-7" and 'a,"\n'.encode(name) == b'a,"\n' else None
    except (LookupError, ValueError):
        return None


def _text_encoding(value: str) -> str:
    name = ascii_based(value)
    if name is None:
        raise ValueError(f"{value!r} is unknown or not built on ASCII; convert the table to UTF-8")
    return name


def _one_byte(value: str) -> str:
    if not value.isascii() or value in '"\r\n\0':
        raise ValueError(f"{value!r} is not one ASCII character that may stand between fields")
    return value


class Join(Strict):
    """A second table: its columns are added to each record where `left` (a field here) equals `right` there.

    `path` is under the corpus; `{folder}` in it is the folder of the record file. CSV (with a header), TSV,
    JSON lines, a JSON array of objects, a JSON object (`right: "@key"`; values that are no objects are in a
    column named after the file), or Parquet. A record's own columns win. Of DICOM files `left` may be any element
    of the header (`AccessionNumber`): it is joined by, and never stored.
    """

    path: str
    left: str
    right: str
    many: bool = False
    """Each added column is the list of all matching rows' values, not the first one's."""
    delimiter: Annotated[str, AfterValidator(_one_byte)] | None = Field(None, min_length=1, max_length=1)
    """Of CSV, an ASCII character. By default a tab where the header has one, else a semicolon where it has more of
    them than commas, else a comma."""
    encoding: Annotated[str, AfterValidator(_text_encoding)] = "utf-8"
    """Of CSV: a name that Python knows (`windows-1252`) of an encoding built on ASCII, which UTF-16 is not."""


class Layout(Strict):
    """Where a corpus lies under a data root: candidate corpus folders, and the record files in them.

    A data root that is called like one of the folders is tried as the corpus itself; one with any other name
    only where `roots` has `.`.
    """

    roots: tuple[str, ...] = (".",)
    files: tuple[str, ...] | dict[str, tuple[str, ...]]
    """Globs of the record files; as a mapping, split -> globs."""
    images: str | None = None
    """Folder of the pictures under the corpus (`data/images`), or a template of their paths.

    `{folder}/images/{id}.jpg`: `folder` of the record file, `split`, `key`, a mapped field or a column.
    """
    split_images: dict[str, str] = Field(default_factory=dict)
    """Split -> template of its pictures' paths, where those of the splits differ by more than `{split}`."""
    archives: tuple[str, ...] = ()
    """Globs of archives that hold pictures, as if each had been unpacked beside itself; none is ever unpacked."""

    @model_validator(mode="after")
    def _templates_of_its_splits(self) -> "Layout":
        splits = tuple(self.files) if isinstance(self.files, dict) else ()
        for split, template in self.split_images.items():
            if split not in splits:
                near = difflib.get_close_matches(split, splits, 1, 0.0)
                hint = f"did you mean {near[0]!r}?" if near else "`files` names none"
                raise ValueError(f"split_images: {split!r} is not a split of `files`; {hint}")
            if "{" not in template:
                raise ValueError(f"split_images: {split}: {template!r} is no template: it has no {{name}} in it")
        return self


FieldMap = dict[Annotated[str, AfterValidator(_known_field)], str | Pick | First | tuple[str | Pick, ...]]


class CardForm(Strict):
    """Another form in which the same corpus is published: what is given here stands in place of the card's own."""

    reader: str
    options: dict[str, Any] = Field(default_factory=dict)
    layout: Layout
    fields: FieldMap
    join: Join | None = None
    groups: tuple[str, ...] = ()
    meta: tuple[str, ...] = ()
    ignored: tuple[str, ...] | None = None


class Card(Strict):
    """What the project knows about a corpus. `description`, `home` and `fetch` are for people."""

    name: str
    description: str = ""
    home: str = ""
    fetch: str = ""
    """What a user must download, accept or sign, and where to put it."""
    reader: str
    options: dict[str, Any] = Field(default_factory=dict)
    """Settings of the reader: `delimiter`, `quote`, `header`, `encoding`, `items`, `metadata`, `match`.

    And of the answers: `answer_base`, 0 or 1 where they are indexes of the options, `letter` where they are letters.
    """
    layout: Layout
    fields: FieldMap = Field(default_factory=dict)
    """Canonical name or group kind -> column of the record (dots go into nested ones, `@key` is its key).

    Several columns make a list (`options: [opa, opb, opc, opd]`). With no fields at all, columns are found by
    their canonical names.
    """
    task: Annotated[str, _one_of(TASKS)]
    license: str = UNKNOWN_LICENSE
    access: Annotated[str, _one_of(ACCESS)]
    identifiers: Literal["public", "keyed"] | None = None
    language: str | None = None
    modality: Annotated[str, _one_of(MODALITIES)] = "unknown"
    training_splits: tuple[str, ...] = ()
    """The splits a training recipe takes when it names none; empty: all."""
    groups: tuple[str, ...] = ()
    """Kinds of group every sample of the corpus is promised to have."""
    meta: tuple[str, ...] = ()
    """Columns kept as JSON in `meta`; nothing else of a record is kept. `*` is every other column with words."""
    ignored: tuple[str, ...] | None = None
    """Columns that the published version has and nothing reads: `curate sources check` tells any other as new. None:
    nobody listed them."""
    speakers: Speakers | None = None
    join: Join | None = None
    forms: tuple[CardForm, ...] = ()
    """Other forms of the same corpus, tried in this order where the card's own is not there."""
    made_from: tuple[str, ...] = ()
    """The corpora that this one was made from."""
    holds: tuple[str, ...] = ()
    """The corpora whose questions or pictures are among its own, rewritten or not: not all of them need be."""
    note: str = ""
    """What is odd about the corpus, for people: traps, and what could not be checked."""

    @property
    def all_forms(self) -> "tuple[Card, ...]":
        """A card for each form, its own first; none of them has further forms."""
        if not self.forms:
            return (self,)
        own = self.model_copy(update={"forms": ()})
        return (own, *(own.model_copy(update=dict(form)) for form in self.forms))

    @property
    def keyed(self) -> bool:
        """Whether identifiers are stored only under the site key (docs/privacy.md)."""
        if self.identifiers is None:
            return self.access == "credentialed" or self.reader == "dicom"
        return self.identifiers == "keyed"

    @property
    def tells_of_people(self) -> bool:
        """Whether its records may tell of people."""
        return tells_of_people(self.keyed, self.access, self.reader)


def tells_of_people(keyed: bool, access: str, reader: str | None) -> bool:  # noqa: FBT001 - a fact about a corpus
    """Whether records may tell of people: keyed, credentialed, or DICOM, whatever its identifiers are said to be.

    Such sources are searched for identifiers, and no page has text or pictures of them.
    """
    return keyed or access == "credentialed" or reader == "dicom"


@lru_cache(maxsize=1)
def catalogue() -> Mapping[str, Card]:
    """All cards that ship with the project, by name."""
    return cards_in(CATALOGUE, Card)


def cards_in(folder: Path, model: type[M]) -> dict[str, M]:
    """The cards of a folder, `NAME.yaml` each, by name.

    Raises:
        ValueError: a card has another name than its file.
    """
    cards = {}
    for path in sorted(folder.glob("*.yaml")):
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - a safe one, in C
        if document.get("name") != path.stem:
            raise ValueError(f"{path}: the card's name is {document.get('name')}")
        cards[path.stem] = model.model_validate(document)
    return cards
