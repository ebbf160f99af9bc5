"""Reading the launcher's own YAML files: shipped by name or a user's by path, with `--set` put over them."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from pipelines.errors import UsageError

S = TypeVar("S", bound=BaseModel)


def shipped(folder: Path) -> list[str]:
    """Names of the YAML files of a folder, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def read_yaml(name: str, folder: Path, option: str) -> dict[str, Any]:
    """The mapping in a shipped file, or in a file of the user's where `name` ends in `.yaml`, `.yml` or has a `/`.

    Raises:
        UsageError: there is no such file, or it is no mapping.
    """
    own = "/" in name or name.endswith((".yaml", ".yml"))
    path = Path(name) if own else folder / f"{name}.yaml"
    if not own and not path.is_file():
        nearest = difflib.get_close_matches(name, shipped(folder), 1, 0.4)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"shipped are {', '.join(shipped(folder))}"
        raise UsageError(f"{option} {name}: there is none of that name", f"{hint} A path of a YAML file also does.")
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{option} {path}: cannot be read ({error.strerror})", "give a YAML file") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise UsageError(f"{option} {path}: not valid YAML", f"see {folder.name}/ of workflows/train/") from None
    if not isinstance(document, dict):
        raise UsageError(f"{option} {path}: not a mapping of keys", f"see {folder.name}/ of workflows/train/")
    return document


def overridden(document: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The document with `a.b=value` put over it; values are YAML.

    Raises:
        UsageError: an override without a value, or into something that has no keys.
    """
    result = dict(document)
    for override in overrides:
        keys, separator, text = override.partition("=")
        if not separator or not keys:
            raise UsageError(f"--set {override}: no value", "write --set steps=100")
        place: Any = result
        *parents, last = keys.split(".")
        for key in parents:
            child = place.get(key)
            if child is not None and not isinstance(child, Mapping):
                raise UsageError(f"--set {override}: {key} has no keys", "see workflows/train/recipes/")
            place[key] = dict(child or {})
            place = place[key]
        try:
            place[last] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise UsageError(f"--set {override}: the value is not valid YAML", "quote it for the shell") from None
    return result


def validated(model: type[S], document: Mapping[str, Any], where: str) -> S:
    """The document as a model.

    Raises:
        UsageError: a key or a value is wrong; the nearest valid key is named.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in details["loc"])
        nearest = difflib.get_close_matches(str(details["loc"][-1]), _keys(model), 1, 0.5) if details["loc"] else []
        unknown = details["type"] == "extra_forbidden"
        hint = f"did you mean {nearest[0]!r}?" if unknown and nearest else ""
        raise UsageError(f"{where}: {place}: {details['msg']}", hint) from None


def _keys(model: type[BaseModel]) -> list[str]:
    """Names of its fields and of those of the models in them."""
    names: list[str] = []
    for name, field in model.model_fields.items():
        names.append(name)
        for kind in (field.annotation, *get_args(field.annotation)):  # a model may be optional
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                names += _keys(kind)
    return names
