"""Reading a recipe: shipped or a user's, with `--set` overrides, and errors that name the nearest valid key."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipelines.errors import UsageError
from pipelines.plugins import installed, made_steps, separated
from pipelines.recipe import NOT_YET, Recipe, Steps

SHIPPED = Path(__file__).parent / "recipes"


def load_recipe(stage: str | None, path: Path | None, overrides: Sequence[str]) -> Recipe:
    """The recipe of `stage`, or of `path` with `stage` put over its own, with `key.path=value` overrides.

    Raises:
        UsageError: no such file, bad YAML, an unknown key or a value out of range.
    """
    where = str(path) if path else f"the {stage} recipe"
    document = _read(path or SHIPPED / f"{stage}.yaml")
    if stage is not None:
        document["stage"] = stage
    for override in overrides:
        _override(document, override)
    _refuse_unavailable(document, where)
    _set_apart(document, where)
    try:
        recipe = Recipe.model_validate(document)
    except ValidationError as error:
        details = error.errors()[0]
        raise UsageError(f"{where}: {_location(details)}: {_say(details)}", _nearest(details)) from None
    made_steps(recipe)
    return recipe


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})", "--recipe takes a YAML file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise UsageError(f"{path}: not valid YAML{line}", "check indentation and quotes") from None
    if not isinstance(document, dict):
        raise UsageError(f"{path}: a recipe is a mapping of keys", "see pipelines/recipes/mid.yaml for the form")
    return document


def _override(document: dict[str, Any], override: str) -> None:
    """Apply `steps.tokens.max=2048`. A source is named by its name: `sources.vqa_rad.weight=2`."""
    keys, separator, text = override.partition("=")
    if not separator or not keys:
        raise UsageError(f"--set {override}: no value", "write --set steps.tokens.max=2048")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UsageError(f"--set {override}: the value is not valid YAML", "quote it for the shell") from None
    place: Any = document
    *parents, last = keys.split(".")
    for key in parents:
        place = _enter(place, key, override)
    if not isinstance(place, dict):
        raise UsageError(f"--set {override}: {'.'.join(parents)} has no keys", "see `curate build --help`")
    place[last] = value


def _enter(place: Any, key: str, override: str) -> Any:
    if isinstance(place, list):
        for entry in place:
            if isinstance(entry, dict) and entry.get("name") == key:
                return entry
        names = [str(entry.get("name")) for entry in place if isinstance(entry, dict)]
        raise UsageError(f"--set {override}: the recipe has no source {key!r}", _did_you_mean(key, names))
    if not isinstance(place, dict):
        raise UsageError(f"--set {override}: {key!r} is not a group of settings", "see the recipe's form")
    if place.get(key) is None:
        place[key] = {}
    return place[key]


def _refuse_unavailable(document: Mapping[str, Any], where: str) -> None:
    steps = document.get("steps")
    if not isinstance(steps, dict):
        return
    for name in NOT_YET:
        settings = steps.get(name)
        if name in steps and not (isinstance(settings, dict) and settings.get("enabled") is False):
            raise UsageError(
                f"{where}: steps.{name}: not available in this version",
                f"leave steps.{name} out, or write `{name}: {{enabled: false}}`",
            )
    for name in NOT_YET:
        steps.pop(name, None)


def _set_apart(document: dict[str, Any], where: str) -> None:
    """Move settings of other packages' steps to where the recipe keeps them."""
    steps = document.get("steps")
    if not isinstance(steps, dict):
        return
    if "others" in steps:
        raise UsageError(f"{where}: steps.others: unknown key", "write a step's own name under `steps`")
    document["steps"] = separated(steps)


def _location(details: ErrorDetails) -> str:
    place = [str(part) for part in details["loc"]]
    if place[:2] == ["steps", "others"]:
        del place[1]
    return ".".join(place) or "recipe"


def _say(details: ErrorDetails) -> str:
    if details["type"] == "extra_forbidden":
        return "unknown key"
    message = details["msg"]
    return message.removeprefix("Value error, ")


def _nearest(details: ErrorDetails) -> str:
    if details["type"] != "extra_forbidden":
        return "the recipe's form is in docs/recipes.md"
    *parents, key = details["loc"]
    model: Any = Recipe
    for part in parents:
        model = _child(model, part)
    names = [name for name in getattr(model, "model_fields", {}) if name != "others"]
    return _did_you_mean(str(key), [*names, *((*NOT_YET, *installed()) if model is Steps else ())])


def _child(model: Any, part: int | str) -> Any:
    """The model that validates `part` of `model`."""
    if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
        annotation: Any = model.model_fields[str(part)].annotation
    else:
        annotation = model
    while get_origin(annotation) is not None:
        inner = [argument for argument in get_args(annotation) if argument not in (type(None), Ellipsis)]
        annotation = inner[-1]
    return annotation


def _did_you_mean(word: str, names: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(word, names, 1, 0.5)
    if nearest:
        return f"did you mean {nearest[0]!r}?"
    return f"known here: {', '.join(names)}"
