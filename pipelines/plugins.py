"""Steps of other packages: found through entry points, made from the recipe's settings, held to the contract.

An entry point of the group `curate.steps` names a factory: `(settings: dict) -> step`. The step satisfies
DecideStep (filters), DecideStep and FactStep (filters with facts that are computed once) or ExchangeStep
(comparisons) of `pipelines/steps.py`. docs/adding_a_step.md has a whole example.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import orjson
from pydantic import ValidationError

from pipelines.errors import CurateError, UsageError, code_locations
from pipelines.nodes import is_taken
from pipelines.recipe import OtherSettings, Recipe
from pipelines.steps import own_fingerprint
from sources.schema import SAMPLES

ENTRY_POINTS = "curate.steps"
NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
FACTS = {"images": "measure", "tokens": "tokens"}
"""Facts of ours that steps of others may read, and the step before which they are not there."""
PLACES = ("measure", "modality", "quality", "license", "tokens", "phi", "exact", "near_text", "near_image")
RESERVED = frozenset({*PLACES, "decontaminate", "others"})
"""Names of steps in recipes that are ours; those of our folders in `work/` are, too (pipelines/nodes.py)."""


@dataclass(frozen=True)
class Made:
    """How a step of another package is made again in every process: small, and never pickled itself."""

    name: str
    settings: str
    """JSON."""
    distribution: str
    version: str

    @property
    def step(self) -> Any:
        """The step, made once a process.

        Raises:
            UsageError: this machine has not the distribution that the build was started with.
        """
        return _step(self)

    @property
    def shown(self) -> str:
        """How messages name it."""
        return f"step {self.name} of {self.distribution} {self.version}"


class PluginError(CurateError):
    """A step of another package answered what no step may answer. Ends the run: no record is to blame."""


def is_reserved(name: str) -> bool:
    """Whether no step of another package may be called so."""
    return name in RESERVED or is_taken(name)


def installed() -> dict[str, EntryPoint]:
    """The steps of other packages by name, whether they can be loaded or not."""
    return {point.name: point for point in sorted(entry_points(group=ENTRY_POINTS), key=_order)}


def origin(point: EntryPoint) -> tuple[str, str]:
    """Name and version of the distribution that an entry point belongs to."""
    return (point.dist.name, point.dist.version) if point.dist is not None else ("an unknown distribution", "0")


def made_steps(recipe: Recipe) -> list[tuple[OtherSettings, Made]]:
    """The enabled steps of others in a recipe, made and checked, sorted by name.

    Raises:
        UsageError: one is not installed, cannot be made of its settings, or breaks the contract.
    """
    others = recipe.steps.others or {}
    return [(chosen, _made(name, chosen)) for name, chosen in sorted(others.items()) if chosen.enabled]


def _made(name: str, chosen: OtherSettings) -> Made:
    found = [point for point in entry_points(group=ENTRY_POINTS) if point.name == name]
    if not found:
        raise UsageError(f"steps.{name}: no installed package has this step", f"leave steps.{name} out, or install it")
    if len({origin(point) for point in found}) > 1:
        packages = " and ".join(sorted(origin(point)[0] for point in found))
        raise UsageError(f"steps.{name}: {packages} both have a step of this name", "uninstall one of them")
    made = Made(name, orjson.dumps(chosen.settings, option=orjson.OPT_SORT_KEYS).decode(), *origin(found[0]))
    _check(made, made.step, chosen.after)
    return made


@lru_cache(maxsize=64)
def _step(made: Made) -> Any:
    point = next((point for point in entry_points(group=ENTRY_POINTS) if point.name == made.name), None)
    if point is None or origin(point) != (made.distribution, made.version):
        here = "it is not installed" if point is None else f"{' '.join(origin(point))} is installed"
        raise UsageError(f"{made.shown}: on this machine {here}", "install the same distribution on every machine")
    try:
        return point.load()(orjson.loads(made.settings))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)[0]
        where = ".".join([f"steps.{made.name}", *(str(part) for part in details["loc"])])
        said = "unknown key" if details["type"] == "extra_forbidden" else details["msg"].removeprefix("Value error, ")
        raise UsageError(f"{where}: {said}", f"its settings are those of {made.distribution} {made.version}") from None
    except ValueError as error:
        raise UsageError(f"steps.{made.name}: {error}", f"says {made.distribution} {made.version}") from None
    except Exception as error:  # noqa: BLE001 - somebody else's code may raise anything as it is imported
        raise UsageError(
            f"{made.shown}: cannot be made ({type(error).__name__} at {code_locations(error)[-1]})",
            f"repair or uninstall {made.distribution}, or leave steps.{made.name} out",
        ) from None


def _check(made: Made, step: Any, after: str) -> None:
    """What can be told before any data is read.

    Raises:
        UsageError: the step breaks the contract; the message says where.
    """
    for fault in _faults(made, step, after):
        raise UsageError(f"{made.shown}: {fault}", "docs/adding_a_step.md says what a step must offer")


def _faults(made: Made, step: Any, after: str) -> list[str]:
    name = getattr(step, "name", None)
    if name != made.name or is_reserved(made.name) or not NAME.fullmatch(made.name):
        return [f"its `name` must be {made.name!r}, as its entry point's, and none of our own names"]
    version = getattr(step, "version", None)
    if type(version) is not int:
        return ["its `version` must be an int"]
    if not callable(getattr(step, "decide", None)) or not callable(getattr(step, "parameters", None)):
        return ["it needs the methods `parameters` and `decide`"]
    columns = getattr(step, "columns", None)
    if not isinstance(columns, tuple) or not columns or not set(columns) <= set(SAMPLES.names):
        return [f"its `columns` must be a tuple of columns of the samples table ({', '.join(SAMPLES.names)})"]
    try:
        own_fingerprint(step)
    except TypeError:
        return ["what its `parameters` return must be JSON"]
    return _faults_of_reads(step, after)


def _faults_of_reads(step: Any, after: str) -> list[str]:
    if is_exchange(step):
        return ["a step with `keys` has no `measure`: give facts to a filter"] if is_measured(step) else []
    reads = getattr(step, "reads", None)
    if not isinstance(reads, tuple) or not all(isinstance(fact, str) and NAME.fullmatch(fact) for fact in reads):
        return ["its `reads` must be a tuple of names of facts"]
    faults = []
    if not is_measured(step) and not set(reads) <= set(FACTS):
        faults.append(f"without `measure`, its `reads` may name {', '.join(FACTS)} only")
    if is_measured(step) and not own_facts(step):
        faults.append("it has `measure`, and its `reads` name no fact of its own")
    for fact in set(reads) & set(FACTS):
        if PLACES.index(after) < PLACES.index(FACTS[fact]):
            faults.append(f"it reads {fact}, which is not there yet: write `after: {FACTS[fact]}`")
    return faults


def is_exchange(step: Any) -> bool:
    """Whether it compares samples."""
    return callable(getattr(step, "keys", None))


def is_measured(step: Any) -> bool:
    """Whether it computes facts of its own."""
    return callable(getattr(step, "measure", None))


def own_facts(step: Any) -> tuple[str, ...]:
    """The facts that the step computes itself."""
    return tuple(fact for fact in step.reads if fact not in FACTS)


def listing() -> list[dict[str, Any]]:
    """What `curate doctor` says of steps of others: name, distribution, version, and whether they can be loaded."""
    rows = []
    for name, point in installed().items():
        try:
            point.load()
            fault = "its name is one of our own: its authors must choose another" if is_reserved(name) else None
        except Exception as error:  # noqa: BLE001 - somebody else's code may raise anything as it is imported
            fault = f"cannot be loaded ({type(error).__name__}); repair or uninstall it"
        distribution, version = origin(point)
        rows.append({"name": name, "distribution": distribution, "version": version, "hint": fault})
    return rows


def separated(steps: Mapping[str, Any]) -> dict[str, Any]:
    """The `steps` of a recipe file with those of installed packages moved to `others`, their settings apart."""
    names = set(installed()) - RESERVED if set(steps) - set(RESERVED) else set()
    ours = {name: given for name, given in steps.items() if name not in names}
    others = {name: _apart(given) for name, given in steps.items() if name in names}
    return {**ours, "others": others} if others else ours


def _apart(given: Any) -> Any:
    if given is None:
        return {}
    if not isinstance(given, dict):
        return given
    placed = {key: given[key] for key in ("enabled", "after") if key in given}
    return {**placed, "settings": {str(key): value for key, value in given.items() if key not in placed}}


def _order(point: EntryPoint) -> tuple[str, tuple[str, str]]:
    return point.name, origin(point)
