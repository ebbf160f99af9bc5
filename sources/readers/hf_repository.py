"""Repositories of the Hugging Face hub, or clones of them: which files are the data, as `datasets` resolves it."""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sources.other_packings import PACKINGS
from sources.readers.hf_library import datasets_library
from sources.storage import Folder

README = "README.md"
_HONOURED = frozenset(("data_files", "data_dir", "default", "features", "version", "description", "drop_labels"))
"""Settings of a config that are followed, or that change no record here."""
STREAMED: Mapping[str, frozenset[str]] = {
    "csv": frozenset((
        "sep", "delimiter", "header", "names", "column_names", "usecols", "skipinitialspace", "skiprows", "nrows",
        "na_values", "keep_default_na", "na_filter", "skip_blank_lines", "lineterminator", "quotechar", "quoting",
        "escapechar", "comment", "encoding", "encoding_errors", "skipfooter", "doublequote", "on_bad_lines",
    )),
    "json": frozenset(("field", "encoding", "encoding_errors", "newlines_in_values")),
    "text": frozenset(("encoding", "encoding_errors", "keep_linebreaks", "sample_by")),
}  # fmt: skip
"""Modules of `datasets` whose rows it streams itself where we do not read the file (sources/readers/hf_streams.py).

Of each, the settings that say how its files are read: others would be words for `load_dataset` itself (`split`,
`cache_dir`), which a repository's README has no say in.
"""
COMPRESSED = (".gz", *PACKINGS)
_MAX_README_BYTES = 16 * 2**20
_PARTS = {
    "parquet": (".parquet",),
    "csv": (".csv", ".tsv"),
    "json": (".json", ".jsonl"),
    "arrow": (".arrow",),
    "text": (".txt",),
}


class RepositoryError(ValueError):
    """A repository's data files cannot be told, or not be read. The message says what to do."""


@dataclass(frozen=True)
class Resolved:
    """The data files of one config, each with its split, and the module of `datasets` that reads their form.

    `settings` of the config are for that module: where there are any, it reads the files itself.
    """

    splits: Mapping[str, str]
    module: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def resolved(asking: object, root: Folder, config: str | None) -> Resolved:
    """The data files of a repository's config (None: its default one), as `datasets` tells them.

    The card's `configs` (README.md) tell them, or else the files' names do. The answer is kept for who is `asking`:
    a corpus, whose files do not change. No code of a repository is ever run.

    Raises:
        RepositoryError: no such config, none chosen of several, no data files, or settings that are not followed.
    """
    held = _held.get(id(asking))
    if held is None or held[0] is not asking:
        if len(_held) >= _MOST_HELD:
            _held.clear()
        held = asking, _resolve(root, _readme(root), config)
        _held[id(asking)] = held
    return held[1]


_MOST_HELD = 16
_held: dict[int, tuple[object, Resolved]] = {}


def _readme(root: Folder) -> str:
    if root.stat(README) is None:
        return ""
    return root.read(README, _MAX_README_BYTES).decode("utf-8", "replace")


def _resolve(root: Folder, readme: str, config: str | None) -> Resolved:
    datasets_library()
    from datasets.data_files import get_data_patterns, sanitize_patterns
    from datasets.load import infer_module_for_data_files_list

    names = [stat.path for stat in root.files()]
    settings = _settings(readme, config)
    with _names_only(names) as base:
        below = f"{base}/{settings['data_dir'].strip('/')}" if settings.get("data_dir") else base
        try:
            given = settings.get("data_files")
            patterns = get_data_patterns(below) if given is None else sanitize_patterns(given)
            matched = {str(split): _matching(listed, below, base) for split, listed in patterns.items()}
        except (FileNotFoundError, ValueError):
            raise RepositoryError(_without_data(names)) from None
    module = infer_module_for_data_files_list([file for split in matched.values() for file in split])[0]
    if module is None:
        raise RepositoryError(_without_data(names))
    own = {name: value for name, value in settings.items() if name not in _HONOURED}
    refused = sorted(str(name) for name in own if name not in STREAMED.get(module, ()))
    if refused:
        raise RepositoryError(
            f"the config of its {README} sets {', '.join(refused)}, which is not followed for {module}: read"
            " its files with the reader of their form and that reader's options"
        )
    splits = {file: split for split, found in matched.items() for file in found if _is_part(file, module)}
    return Resolved(splits, module, own)


def _is_part(file: str, module: str) -> bool:
    """Whether a matched file is of the module's form: others may lie beside the data."""
    kept = _PARTS.get(module)
    if kept is None:
        return True
    plain = next((file[: -len(end)] for end in COMPRESSED if file.endswith(end)), file)
    return plain.endswith(kept) and (plain == file or module in STREAMED)


def _matching(patterns: str | list[str], below: str, base: str) -> list[str]:
    """The files that patterns match. One with wildcards may match nothing, as `datasets` has it.

    Raises:
        FileNotFoundError: one without wildcards does.
    """
    from datasets.data_files import contains_wildcards, resolve_pattern

    found: list[str] = []
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        try:
            found += resolve_pattern(pattern, below)
        except FileNotFoundError:
            if not contains_wildcards(pattern):
                raise
    top = f"{base.partition('://')[2]}/"
    return [file.partition(top)[2] for file in found]


def _settings(readme: str, config: str | None) -> dict[str, Any]:
    """What the card says of the config; nothing where the card has none.

    Raises:
        RepositoryError: there is no such config, or one of several must be chosen.
    """
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCard

    try:
        configs = MetadataConfigs.from_dataset_card_data(DatasetCard(readme, ignore_metadata_errors=True).data)
        default = configs.get_default_config_name()
    except Exception:  # noqa: BLE001 - the YAML of others: whatever is wrong with it is said the same way
        raise RepositoryError(f"the settings at the start of its {README} cannot be read") from None
    if not configs and config in (None, "default"):
        return {}
    chosen = config if config is not None else default
    if chosen is None or chosen not in configs:
        what = f"it has no config {config!r}" if config is not None else "it has several configs"
        raise RepositoryError(f"{what}: choose one with `options: {{config: NAME}}`, of {', '.join(configs) or 'none'}")
    return dict(configs[chosen])


@contextmanager
def _names_only(names: list[str]) -> Iterator[str]:
    """A file system of `datasets`' kind that has these names and nothing in the files: it resolves names alone."""
    from fsspec.implementations.memory import MemoryFileSystem

    system = MemoryFileSystem()
    top = f"/curate-{uuid.uuid4().hex}"
    for name in names:
        system.pipe_file(f"{top}/{name}", b"")
    try:
        yield f"memory:/{top}"
    finally:
        system.rm(top, recursive=True)


def _without_data(names: list[str]) -> str:
    if any(name.endswith(".py") and "/" not in name for name in names):
        return (
            "has no data files that `datasets` finds; its data come from a loading script, which is never run: use the"
            " commit of its branch refs/convert/parquet"
        )
    return "has no data files that `datasets` finds: give their path and `reader: parquet`, `jsonl` or `csv`"
