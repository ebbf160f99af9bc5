"""Which files of a folder are data, by their names: what reads them, what lies beside data, what no reader is for."""

import re
from collections.abc import Callable, Collection, Iterable
from pathlib import PurePosixPath

from sources.find import DEFAULT_FILES

TARS = (".tar", ".tar.gz", ".tgz")
PICTURES = frozenset(pattern.rpartition(".")[2].lower() for pattern in DEFAULT_FILES["image_folder"])
READERS = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json"}
ARROW = ".arrow"
SAVED = ("state.json", "dataset_dict.json")
"""What `datasets` writes beside the Arrow files of a set that it saves."""
LINKS = "(links that lead out of the folder)"
"""Stands among endings for files that cannot be looked at."""
UNNAMED = "(pictures that no record names)"
UNREADABLE = "(that cannot be read)"
UNLISTED = "(shards that the manifest does not list)"
IN_RUNS = "(runs that lie in the folder)"
HEAD_BYTES = 2**16
_DESCRIPTION = re.compile(r"(?i)(dataset_infos?|dataset_dict|state|croissant|manifest)\.json|events\.jsonl")
_SAYS = re.compile(
    rb'"(_fingerprint|_data_files|splits|features|builder_name|@context|shards|shardlist|__kind__|event)"\s*:'
    rb"|\A\s*\{\s*\}\s*\Z"
)
"""What stands in the head of a file that is called like a description and is one."""
_SUM, _INDEX = (".sha256", ".md5"), (".idx", ".index")
_OF_TOOLS = re.compile(
    r"(?i)\.(git\w*|cache|ds_store|nv-meta|svn|hg|dvc\w*|ipynb_checkpoints|huggingface|locks|nfs\w+|_.*|.*\.(crc|sw[op])"
    r"|keep|trash.*|spotlight.*|fseventsd|idea|vscode|venv|env|curate-\w+)"
)
"""Hidden files and folders that programs keep for themselves."""
_BESIDE = re.compile(
    r"(?i)(readme|licen[cs]e|copying|citation|changelog)([._-][a-z]{1,4}|-[\w.-]+)?(\.(md|rst|txt|cff|bib|html?))?"
    r"|.*\.(ya?ml|toml|css|js|py|sh|lock)"
)
"""Files that no reader is for, and that say something about data and are none."""


def reader_of(path: str) -> str | None:
    """The reader that a file's name asks for, or None; `json` may still be JSON Lines, `arrow` needs to be saved."""
    name = PurePosixPath(path).name.lower()
    if is_tar(name):
        return "webdataset"
    suffix = PurePosixPath(name).suffix
    return "image_folder" if suffix[1:] in PICTURES else READERS.get(suffix)


def is_beside(path: str) -> bool:
    """Whether a file that no reader is for is none of the data."""
    return bool(_BESIDE.fullmatch(PurePosixPath(path).name))


def describes(path: str, paths: Collection[str], head: Callable[[str], bytes]) -> bool:
    """Whether a file only describes others of `paths`; one that is only called so is data.

    `head`: the first bytes of a file; asked for where the name does not tell.
    """
    stem, dot, suffix = path.rpartition(".")
    if f".{suffix.lower()}" in _SUM:
        return True
    if f".{suffix.lower()}" in _INDEX:
        return bool(dot) and any(f"{stem}{ending}" in paths for ending in ("", *TARS, ".bin"))
    if not _DESCRIPTION.fullmatch(PurePosixPath(path).name):
        return False
    first = head(path)
    return first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and _SAYS.search(first) is not None


def is_hidden_data(path: str) -> bool:
    """Whether a hidden file, or one in a hidden folder, is people's and no program's."""
    hidden = [part for part in path.split("/") if part.startswith(".")]
    return bool(hidden) and not any(_OF_TOOLS.fullmatch(part) for part in hidden)


def is_tar(path: str) -> bool:
    """Whether a file is called like a tar."""
    return path.lower().endswith(TARS)


def saved_folders(paths: Iterable[str]) -> frozenset[str]:
    """The folders of a saved Hugging Face data set, where it is the folder itself or lies directly in it."""
    own = frozenset(str(PurePosixPath(path).parent) for path in paths if PurePosixPath(path).name == SAVED[0])
    roots = {str(PurePosixPath(path).parent) for path in paths if PurePosixPath(path).name in SAVED}
    top = {root for root in roots if "/" not in root}
    return frozenset(folder for folder in own if folder in top or str(PurePosixPath(folder).parent) in top)
