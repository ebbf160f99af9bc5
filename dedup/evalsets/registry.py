"""Eval-set cards: what a benchmark is, which part of it is really evaluated, how its items are read."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from sources.cards import FIELD_NAMES, GROUP_KINDS, Card, Join, Layout, Pick, Strict, cards_in, catalogue
from sources.columns import REST
from sources.schema import ACCESS, TASKS, UNKNOWN_LICENSE

CARDS = Path(__file__).parent
ALL = "all"
"""The suite of every registered eval set."""
SUITES = ("medgpt-oss", "lingshu", "medgemma")
"""The papers whose evaluations the registry covers; a card names those that it belongs to."""


class EvalSetError(Exception):
    """An eval set that was asked for cannot be had. `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type["EvalSetError"], tuple[str, str]]:
        return type(self), (self.message, self.hint)


def _suite(value: str) -> str:
    if value not in SUITES:
        raise ValueError(f"{value!r} is not one of {', '.join(SUITES)}")
    return value


def _access(value: str) -> str:
    if value not in ACCESS:
        raise ValueError(f"{value!r} is not one of {', '.join(ACCESS)}")
    return value


def _task(value: str) -> str:
    if value not in TASKS:
        raise ValueError(f"{value!r} is not one of {', '.join(TASKS)}")
    return value


def _field(value: str) -> str:
    known_names = (*FIELD_NAMES, *GROUP_KINDS)
    if value not in known_names:
        nearest = difflib.get_close_matches(value, known_names, 1, 0.0)[0]
        raise ValueError(f"{value!r} is not a field or group kind; did you mean {nearest!r}?")
    return value


Fields = dict[Annotated[str, AfterValidator(_field)], str | Pick | tuple[str, ...]]
"""Canonical name or group kind -> column of the record, as on a catalogue card."""


class Hub(Strict):
    """Where the set lies on the Hugging Face hub."""

    repo: str
    configs: tuple[str, ...] = ()
    """The configs that are evaluated; none: the default one."""
    revision: str | None = None
    """The commit; None: nobody checked one yet, and a fetch takes the newest and writes down which it was."""
    files: tuple[str, ...] = ()
    """Files of the repository that are taken as they are (globs); archives among them are unpacked."""
    tables: bool = True
    """Whether `datasets` loads it; else its `files` are all there is."""


class Expected(Strict):
    """What the evaluated part holds, by who counted it. None: nobody did."""

    items: int | None = None
    images: int | None = None
    by: str = ""


class Form(Strict):
    """One way in which a set lies on disk. What it leaves out is the catalogue card's, where it names one."""

    catalogue: str | None = None
    reader: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    layout: Layout | None = None
    fields: Fields = Field(default_factory=dict)
    where: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    """Column of a record -> the values with which it is evaluated."""
    join: Join | None = None


class EvalSet(Strict):
    """What the project knows about a benchmark. `description`, `home`, `fetch` and `note` are for people."""

    name: str
    description: str = ""
    home: str = ""
    fetch: str = ""
    """What a user must download, accept or sign, and where to put it."""
    note: str = ""
    """Traps: odd splits, items made public in another set, facts that nobody checked."""
    version: str | None = None
    revision: str | None = None
    """The hub's commit that was fetched."""
    content: str | None = None
    """`reading.content_hash` of its items when it was fetched."""
    license: str = UNKNOWN_LICENSE
    access: Annotated[str, AfterValidator(_access)]
    identifiers: Literal["public", "keyed"] | None = None
    language: str | None = None
    task: Annotated[str, AfterValidator(_task)]
    hub: Hub | None = None
    suites: tuple[Annotated[str, AfterValidator(_suite)], ...] = ()
    split: tuple[str, ...] = ()
    """The splits that are really evaluated, as records or files tell theirs; none: whatever is there."""
    forms: Annotated[tuple[Form, ...], Field(min_length=1)]
    groups: tuple[str, ...] = ()
    made_from: tuple[str, ...] = ()
    """The corpora it was made from (names of `dedup/decontamination/provenance.py`, the catalogue, or a recipe)."""
    expected: Expected = Expected()

    @property
    def keyed(self) -> bool:
        """Whether identifiers are stored only under the site key (docs/privacy.md)."""
        return any(card_of(self, form).keyed for form in self.forms)


def card_of(evalset: EvalSet, form: Form) -> Card:
    """The card by which a form's files are found and read.

    Raises:
        pydantic.ValidationError: the form lacks a reader or a layout.
    """
    document: dict[str, Any] = {}
    if form.catalogue is not None:
        document = catalogue()[form.catalogue].model_dump(exclude={"forms"})
    given = form.model_dump(exclude={"catalogue", "where"}, exclude_none=True)
    for name in ("options", "fields"):
        given[name] = {**document.get(name, {}), **given[name]}
    terms = {"license": evalset.license, "access": evalset.access, "identifiers": evalset.identifiers}
    everything = () if form.catalogue is not None or form.fields else (REST,)  # nobody said which columns matter
    own = {"name": evalset.name, "task": evalset.task, "training_splits": (), "groups": evalset.groups,
           "meta": everything}  # fmt: skip
    return Card.model_validate(
        {**document, **given, **terms, **own, "language": evalset.language or document.get("language"), "fetch": ""}
    )


@lru_cache(maxsize=1)
def registry() -> Mapping[str, EvalSet]:
    """All cards that ship with the project, by name."""
    return cards_in(CARDS, EvalSet)


def suites() -> Mapping[str, tuple[str, ...]]:
    """Suite -> names of its eval sets, sorted; `all` is every one."""
    named = {suite: tuple(name for name, card in registry().items() if suite in card.suites) for suite in SUITES}
    return {**named, ALL: tuple(registry())}


def known(name: str) -> EvalSet:
    """The registered eval set of that name.

    Raises:
        EvalSetError: there is none; the hint names the nearest.
    """
    card = registry().get(name)
    if card is None:
        nearest = difflib.get_close_matches(name, [*registry(), *suites()], 1, 0.5)
        hint = f"did you mean {nearest[0]!r}?" if nearest else "`curate evals list` names them all"
        raise EvalSetError(f"{name}: no such eval set in the registry", hint)
    return card


def expanded(names: Iterable[str]) -> Sequence[str]:
    """Names with suites replaced by their sets; each once, in the order first named.

    Raises:
        EvalSetError: a name is neither a set nor a suite.
    """
    found: dict[str, None] = {}
    for name in names:
        found.update(dict.fromkeys(suites()[name] if name in suites() else (known(name).name,)))
    return tuple(found)
