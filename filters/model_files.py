"""Files of a model: in a directory, or of one commit of the Hugging Face hub, in the cache of huggingface_hub.

This is the only place where a model is fetched, and only where its name begins with `hf-hub:`. The cache is that of
the machine (`HF_HOME`), and `HF_HUB_OFFLINE` holds.
"""

import hashlib
import os
import re
from functools import lru_cache
from pathlib import Path

from filters.torch_file import WeightsError
from sources.storage.hub import ENDPOINT, TOKEN, be_quiet

PREFIX = "hf-hub:"
_NAME = re.compile(r"hf-hub:([\w.-]+/[\w.-]+)@([0-9a-f]{40})")


def check_name(path: str) -> None:
    """Whether a path that begins as a hub name is one; any other path is a directory, and not looked at here.

    Raises:
        ValueError: it names no commit.
    """
    if path.startswith(PREFIX) and _NAME.fullmatch(path) is None:
        raise ValueError(
            f"{path!r} names no commit of the hub, and a branch may be another model tomorrow: write "
            f"{PREFIX}OWNER/NAME@COMMIT with the 40 digits that the model's page lists under `Files and versions`"
        )


@lru_cache(maxsize=4)
def model_directory(path: str, files: tuple[str, ...]) -> str:
    """The directory of a model: the path itself, or the snapshot that a hub name stands for.

    What of `files` (patterns) the commit has and this machine's cache has not is fetched first.

    Raises:
        WeightsError: the name is none, or the files are not in the cache and cannot be fetched.
    """
    if not path.startswith(PREFIX):
        return path
    repository, commit = _repository_and_commit(path)
    be_quiet()
    from huggingface_hub import errors, snapshot_download

    try:
        return snapshot_download(
            repository,
            revision=commit,
            allow_patterns=list(files),
            token=os.environ.get(TOKEN) or False,  # or the library looks for one on the disk
            endpoint=os.environ.get(ENDPOINT) or None,
            library_name="curate",
        )
    except (OSError, errors.HTTPError) as error:  # type: ignore[attr-defined]  # the base of all that its client raises
        raise WeightsError(
            f"model {path}: not in this machine's cache of the hub, and cannot be fetched ({type(error).__name__}): "
            f"run `hf download {repository} --revision {commit}` where the hub can be reached, on this machine or on "
            "another whose HF_HOME is then copied here; or name a directory with the files"
        ) from None


def cached_directory(path: str, files: tuple[str, ...]) -> str | None:
    """As `model_directory`, but the hub is not asked: None where something has to be fetched.

    Raises:
        WeightsError: the name is none, or the cache lacks files and `HF_HUB_OFFLINE` forbids to fetch them.
    """
    if not path.startswith(PREFIX):
        return path
    repository, commit = _repository_and_commit(path)
    be_quiet()
    from huggingface_hub import constants, errors, snapshot_download

    if constants.HF_HUB_OFFLINE:
        return model_directory(path, files)
    try:
        return snapshot_download(repository, revision=commit, allow_patterns=list(files), local_files_only=True)
    except errors.LocalEntryNotFoundError:
        return None


def _repository_and_commit(path: str) -> tuple[str, str]:
    """What a hub name says.

    Raises:
        WeightsError: it is none.
    """
    try:
        check_name(path)
    except ValueError as error:
        raise WeightsError(f"model {error}") from None
    repository, commit = path.removeprefix(PREFIX).split("@")
    return repository, commit


def file_sha256(path: Path) -> str:
    """Of a file that may be large; of one that did not change since, from memory."""
    return _file_sha256(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _file_sha256(path: Path, _stamp: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
