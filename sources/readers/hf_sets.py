"""Which files of a corpus are the data of an HF dataset, and of which split: saved sets, and repositories."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import orjson

from sources.readers.hf_repository import COMPRESSED, STREAMED, RepositoryError, Resolved, resolved
from sources.readers.ranges import opened
from sources.records import Corpus, CorpusError
from sources.storage import Folder
from sources.storage.member_index import is_compressed
from sources.storage.packed import packed

STATE, DICT = "state.json", "dataset_dict.json"
_CONTROL = frozenset((STATE, DICT, "dataset_info.json"))
_INDICES = ("_indices_files", "_indices_data_files")
_SLICED = re.compile(r"(\w+)\[.*\]")
_MAX_CONTROL_BYTES = 16 * 2**20

Form = Literal["arrow", "parquet", "jsonl", "json", "csv", "streamed"]


@dataclass(frozen=True)
class DataFile:
    """A file with records: its split, where the data set tells one, and its form."""

    split: str | None
    form: Form


def data_file(corpus: Corpus, path: str) -> DataFile | None:
    """What a file is in its data set; None where it holds no records of it (a cache, a card, another config).

    Raises:
        CorpusError: the data set is incomplete, or in a form that is not read; says what to do.
    """
    folder, _, name = path.rpartition("/")
    if name in _CONTROL:
        return None
    state = _control(corpus, f"{folder}/{STATE}" if folder else STATE)
    if state is not None:
        return _saved(corpus, folder, name, state)
    try:
        return _in_repository(corpus, path)
    except RepositoryError as error:
        raise CorpusError(f"{corpus.name}: {error}") from None


def with_repository(corpus: Corpus) -> Corpus:
    """The corpus with what the files of its repository are, so that no worker lists them to tell.

    Where that cannot be told (a saved set is no repository), it is the corpus as it was.
    """
    try:
        return replace(corpus, repository=_resolved(corpus))
    except RepositoryError:
        return corpus


def _resolved(corpus: Corpus) -> Resolved:
    config = corpus.card.options.get("config")
    return resolved(corpus, corpus.root, None if config is None else str(config))


def _in_repository(corpus: Corpus, path: str) -> DataFile | None:
    data = corpus.repository or _resolved(corpus)
    split = data.splits.get(path)
    if split is None:
        return None
    return DataFile(split, _form(corpus, path, data))


def streamed_by(corpus: Corpus) -> tuple[str, dict[str, Any]]:
    """The module of `datasets` that streams the files of a repository, and its settings."""
    data = corpus.repository or _resolved(corpus)
    return data.module, dict(data.settings)


def _form(corpus: Corpus, path: str, data: Resolved) -> Form:
    module = data.module
    packed_otherwise = path.endswith(COMPRESSED) and not is_gzip(corpus.root, path)
    if module in STREAMED and (data.settings or module == "text" or packed_otherwise):
        return "streamed"
    if module == "parquet":
        return "parquet"
    if module == "csv":
        return "csv"
    if module == "arrow":
        return "arrow"
    if module == "json":
        return "json" if _is_array(corpus, path) else "jsonl"
    raise CorpusError(
        f"{corpus.name}: its data files are of the form {module!r}: read them with the reader of that form"
        " (`webdataset`, `image_folder` ...) and their own path"
    )


def is_gzip(root: Folder, path: str) -> bool:
    """Whether a file is one in gzip that can be read under its name without `.gz`, which no other file has."""
    return is_compressed(path) and root.stat(path.removesuffix(".gz")) is None


def unpacked(root: Folder, path: str) -> tuple[Folder, str]:
    """Where and under which name a record file is read: one in gzip as if it lay unpacked beside itself."""
    stat = root.stat(path) if is_gzip(root, path) else None
    return (root, path) if stat is None else (packed(root, [stat]), path.removesuffix(".gz"))


def _is_array(corpus: Corpus, path: str) -> bool:
    root, name = unpacked(corpus.root, path)
    with opened(replace(corpus, root=root), name) as file:
        return file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")


def _saved(corpus: Corpus, folder: str, name: str, state: dict[str, Any]) -> DataFile | None:
    """A file beside a `state.json`. Files that it does not name are caches of `map` and `filter`."""
    where = corpus.shown(folder or ".")
    if any(state.get(key) for key in _INDICES):
        raise CorpusError(
            f"{where}: was saved with a selection of its rows beside them (by `datasets` 1.x); load it with the version"
            " that saved it, call `flatten_indices()` and save it again"
        )
    try:
        names = [str(file["filename"]) for file in state["_data_files"]]
    except (KeyError, TypeError):
        raise CorpusError(f"{where}: {STATE} does not name data files; save the data set again") from None
    missing = _missing(corpus.root, folder, tuple(names))
    if missing:
        raise CorpusError(f"{where}: {missing} of {len(names)} data files that {STATE} names are not there")
    return DataFile(_split(corpus, folder, state), "arrow") if name in names else None


def _split(corpus: Corpus, folder: str, state: dict[str, Any]) -> str | None:
    """The folder's name in a saved `DatasetDict`, else what was loaded when it was saved."""
    above, _, name = folder.rpartition("/")
    listed = _control(corpus, f"{above}/{DICT}" if above else DICT) if folder else None
    if listed is not None and name in (listed.get("splits") or ()):
        return name
    split = state.get("_split")
    if not isinstance(split, str):
        return None
    sliced = _SLICED.fullmatch(split)
    return sliced.group(1) if sliced else split


def _control(corpus: Corpus, path: str) -> dict[str, Any] | None:
    stat = corpus.root.stat(path)
    if stat is None:
        return None
    try:
        return _parsed(corpus.root, path, stat.stamp)
    except (OSError, ValueError):
        raise CorpusError(f"{corpus.shown(path)}: cannot be read as the JSON of a saved data set") from None


@lru_cache(maxsize=64)
def _parsed(root: Folder, path: str, stamp: int) -> dict[str, Any]:  # noqa: ARG001 - the stamp is part of the key
    document = orjson.loads(root.read(path, _MAX_CONTROL_BYTES))
    if not isinstance(document, dict):
        raise ValueError("not an object")  # noqa: TRY004 - as for any other content
    return document


@lru_cache(maxsize=64)
def _missing(root: Folder, folder: str, names: tuple[str, ...]) -> int:
    """How many of the files are not there. Asked once a set in each process: a set may have thousands."""
    return sum(root.stat(f"{folder}/{name}" if folder else name) is None for name in names)
