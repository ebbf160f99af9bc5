"""Weights in and out of directories, with every name accounted for."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipelines.errors import CurateError, UsageError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
ARCHITECTURE = "LlavaForConditionalGeneration"
SHOWN = 5


def load_strictly(kind: Any, directory: Path, ignored: tuple[str, ...] = (), **options: Any) -> Any:
    """`kind.from_pretrained(directory)`, where every weight of the model comes from the directory and none is left.

    `transformers` itself fills what is missing with random numbers and says so only in a report; a subclass once
    lost its whole head that way. `ignored`: beginnings of names in the directory that are known not to be wanted.

    Raises:
        UsageError: no such directory; names are missing, unexpected, or of another shape.
    """
    if not (directory / "config.json").is_file():
        raise UsageError(f"{directory}: no config.json there", "give a directory with a model: config and safetensors")
    model, told = kind.from_pretrained(str(directory), output_loading_info=True, local_files_only=True, **options)
    refuse_unaccounted(told, str(directory), ignored)
    return model


def refuse_unaccounted(told: Mapping[str, Any], place: str, ignored: tuple[str, ...] = ()) -> None:
    """Read what `from_pretrained` says of its loading.

    Raises:
        UsageError: anything is missing, unexpected, or has another shape.
    """
    unexpected = [name for name in told["unexpected_keys"] if not name.startswith(ignored or ("\0",))]
    mismatched = [entry[0] if isinstance(entry, tuple) else str(entry) for entry in told["mismatched_keys"]]
    kinds = {"missing": told["missing_keys"], "unexpected": unexpected, "of another shape": mismatched}
    problems = [f"{len(names)} {kind} ({_some(names)})" for kind, names in kinds.items() if names]
    problems += [str(message) for message in told.get("error_msgs") or ()][:1]
    if problems:
        raise UsageError(
            f"{place}: its weights are not those of the model: {'; '.join(problems)}",
            "give the directory that `curate train init` or the stage before wrote, for this --model",
        )


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:SHOWN]) + (", ..." if len(listed) > SHOWN else "")


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files of a model directory, as its index lists them.

    Raises:
        CurateError: there are none, or one that the index lists is not there.
    """
    index = directory / INDEX
    names = {SINGLE}
    if index.is_file():
        names = set(json.loads(index.read_bytes())["weight_map"].values())
    files = [directory / name for name in sorted(names)]
    absent = [file.name for file in files if not file.is_file()]
    if absent:
        raise CurateError(f"{directory}: {absent[0]} is not there", "the directory was not written to its end")
    return files


def save_model(model: Any, state: Mapping[str, Any], directory: Path, max_shard: str = "5GB") -> None:
    """Write a model as `transformers` reads it: the names of a fresh model, the class that everyone knows.

    Without `save_original_format=False` a model that was loaded under ZeRO-3 writes `language_model.model.model...`.
    """
    model.save_pretrained(
        str(directory), state_dict=dict(state), save_original_format=False, max_shard_size=max_shard,
        safe_serialization=True,
    )  # fmt: skip
    place = directory / "config.json"
    config = json.loads(place.read_bytes())
    config["architectures"] = [ARCHITECTURE]
    place.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def differences(state: Mapping[str, Any], directory: Path) -> list[str]:
    """Names whose tensors in the directory are not, bit for bit, those of `state`; one file is open at a time."""
    import torch
    from safetensors import safe_open

    left = set(state)
    wrong: list[str] = []
    for file in weight_files(directory):
        with safe_open(str(file), framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - it is no mapping
                same = name in left and torch.equal(opened.get_tensor(name), state[name].cpu())
                left.discard(name)
                if not same:
                    wrong.append(name)
    return sorted(wrong + list(left))
