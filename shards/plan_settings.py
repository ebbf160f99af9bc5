"""Settings for another plan: those of the plan that is there, or of the manifest, with single values replaced."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from pydantic import ValidationError

from shards.manifest import Manifest
from shards.mixture import KINDS, PlanSettings
from shards.plan_file import PlanAbout
from sources.schema import MODALITIES, TASKS

_END_OF_YAML = "\n...\n"


class SettingError(ValueError):
    """A setting that is not one, or has no such value. The message names it; `hint` says what to write."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def settings_of_manifest(manifest: Manifest) -> PlanSettings:
    """What the manifest alone asks for."""
    return PlanSettings(
        context=manifest.context_tokens,
        epochs=manifest.mixture.epochs,
        seed=manifest.mixture.seed,
        weights={"source": manifest.mixture.weights},
    )


def settings_of_plan(about: PlanAbout) -> PlanSettings:
    """What a plan was made with."""
    return PlanSettings(
        context=about.context,
        rows_per_step=about.rows_per_step if about.rows_per_step_given else None,
        epochs=about.epochs,
        seed=about.seed,
        weights=about.mixture.weights,
        temperature=about.mixture.temperature,
        caps=about.mixture.caps,
        token_caps=about.mixture.token_caps,
        max_repeats=about.mixture.max_repeats,
        images=about.images,
        cut=about.cut,
    )


def with_values(settings: PlanSettings, given: Sequence[str], sources: Sequence[str]) -> PlanSettings:
    """The settings with `key.path=value` put in, such as `context=4096` or `weights.source.slake=2`.

    Where the context changes and nothing is said of the rows of a step, they are chosen anew.

    Raises:
        SettingError: no such key, source, modality or task, or a value out of range.
    """
    document = settings.model_dump()
    keys = [_put(document, part, sources) for text in given for part in _single(text)]
    if "context" in keys and "rows_per_step" not in keys:
        document["rows_per_step"] = None
    try:
        return PlanSettings.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingError(f"--set {where}: {first['msg']}", "docs/packing.md lists the settings") from None


def _single(text: str) -> Iterator[str]:
    """`weights={source: {slake: 2}}` as `weights.source.slake=2`: every key is looked at, however it is written."""
    path, _, value = text.partition("=")
    try:
        inside = yaml.safe_load(value)
    except yaml.YAMLError:
        inside = None
    if not isinstance(inside, dict) or not inside:
        yield text
        return
    for key, part in inside.items():
        yield from _single(f"{path}.{key}={yaml.safe_dump(part, default_flow_style=True).removesuffix(_END_OF_YAML)}")


def _put(document: dict[str, Any], text: str, sources: Sequence[str]) -> str:
    """Put one value in; returns its first key."""
    path, separator, value = text.partition("=")
    keys = path.split(".")
    if not separator or not all(keys):
        raise SettingError(f"--set {text}: no value", "write --set context=4096")
    place: Any = document
    for depth, key in enumerate(keys):
        known = _known(keys[:depth], sources)
        if not known:
            raise SettingError(
                f"--set {text}: {'.'.join(keys[:depth])} has no keys", "docs/packing.md lists the settings"
            )
        if key not in known:
            nearest = difflib.get_close_matches(key, known, 1, 0.5)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"known here: {', '.join(known)}"
            raise SettingError(f"--set {text}: there is no {key!r}", hint)
        if depth < len(keys) - 1:
            place = place.setdefault(key, {})
    try:
        place[keys[-1]] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise SettingError(f"--set {text}: the value is not valid YAML", "quote it for the shell") from None
    return keys[0]


def _known(path: Sequence[str], sources: Sequence[str]) -> Sequence[str]:
    """Which keys there are below a path."""
    words: Mapping[tuple[str, ...], Sequence[str]] = {
        (): tuple(PlanSettings.model_fields),
        ("weights",): KINDS,
        ("weights", "source"): sources,
        ("weights", "modality"): MODALITIES,
        ("weights", "task"): TASKS,
        ("caps",): sources,
        ("token_caps",): sources,
        ("images",): ("policy", "tokens_per_tile", "side", "max_tiles"),
    }
    return words.get(tuple(path), ())
