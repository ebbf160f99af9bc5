"""Data sets of the Hugging Face hub as folders: read-only, of one commit, and only what is read is fetched."""

import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, BinaryIO, NoReturn, cast

import blake3

from sources.storage.folder import MAX_READ_BYTES, FileStat, Folder, OutsideError, StoreError, TooLargeError
from sources.storage.globs import matcher
from sources.storage.range_file import FIRST_BYTES, RangeFile

HUB = "https://huggingface.co"
ENDPOINT, TOKEN = "HF_ENDPOINT", "HF_TOKEN"
TRIES = 5
TIMEOUT_S = 30.0
_QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
}
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PLACE = re.compile(r"datasets/([^/@]+/[^/@]+)(?:@([^/]+))?(?:/(.*))?")
_REACH = f"check the network and {ENDPOINT}; then run the same command again: it resumes"


def be_quiet() -> None:
    """Before a library of Hugging Face is imported: it reports to nobody and draws nothing."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)


def hub_folder(place: str) -> "HubFolder":
    """The folder that `datasets/OWNER/NAME@COMMIT[/PATH]` names (a URL's part after `hf://`).

    Raises:
        ValueError: it is no data set, or names no commit: a branch may be another data set tomorrow.
    """
    match = _PLACE.fullmatch(place)
    if match is None:
        raise ValueError("not a data set of the hub; write hf://datasets/OWNER/NAME@COMMIT")
    repository, revision, path = match.groups()
    if revision is None or _COMMIT.fullmatch(revision) is None:
        given = "no revision" if revision is None else f"the branch or tag {revision!r}"
        raise ValueError(
            f"names {given}, which may be other data tomorrow; write @ and the 40 digits of a commit"
            f" (the hub lists them under {HUB}/datasets/{repository}/commits/main)"
        )
    return HubFolder(repository, revision).inside(path or ".")


@dataclass(frozen=True)
class HubFolder:
    """A data set's repository at a commit, or a folder in it. It is listed once in each process: it cannot change.

    A token is taken from `HF_TOKEN` alone, at each request, and kept nowhere.
    """

    repository: str
    revision: str
    path: str = ""

    @property
    def place(self) -> str:
        """The URL."""
        return f"hf://datasets/{self.repository}@{self.revision}{'/' if self.path else ''}{self.path}"

    def inside(self, path: str) -> "HubFolder":
        """A folder in this one."""
        stripped = path.strip("/")
        return self if stripped in ("", ".") else replace(self, path=self._key(stripped))

    def exists(self) -> bool:
        """Whether anything is in it."""
        return any(True for _ in self.files())

    def has_folder(self, path: str) -> bool:
        """Whether anything is under the path."""
        return self.inside(path).exists()

    def names(self) -> list[str]:
        """What lies directly in the folder, sorted."""
        return sorted({stat.path.partition("/")[0] for stat in self.files()})

    def files(self, path: str = "") -> Iterator[FileStat]:
        """Every file under a path."""
        prefix = self._above() + (f"{path.strip('/')}/" if path.strip("/") else "")
        for key, stat in self._tree().items():
            if key.startswith(prefix):
                yield replace(stat, path=key[len(self._above()) :])

    def glob(self, patterns: Sequence[str]) -> list[FileStat]:
        """All files that match any pattern, sorted; hidden ones are left out."""
        matchers = [matcher(pattern) for pattern in patterns]
        found = [
            stat
            for stat in self.files()
            if not any(part.startswith(".") for part in stat.path.split("/"))
            and any(one.fullmatch(stat.path) for one in matchers)
        ]
        return sorted(found, key=lambda stat: stat.path)

    def listing(self, patterns: Sequence[str]) -> tuple[list[FileStat], list[str]]:
        """What `glob` lists; a repository has no links."""
        return self.glob(patterns), []

    def stat(self, path: str) -> FileStat | None:
        """Size and stamp of a file, or None where there is none."""
        try:
            stat = self._tree().get(self._key(path))
        except OutsideError:
            return None
        return None if stat is None else replace(stat, path=path)

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading; only what is read is fetched."""
        stat = self._found(path)
        key = self._key(path)
        head = self._fetch(key, 0, min(FIRST_BYTES, stat.size))
        return cast("BinaryIO", RangeFile(lambda start, stop: self._fetch(key, start, stop), head, stat.size))

    def read(self, path: str, max_bytes: int = MAX_READ_BYTES) -> bytes:
        """The bytes of a file.

        Raises:
            TooLargeError: it has more than `max_bytes`; none is read.
        """
        stat = self._found(path)
        if stat.size > max_bytes:
            raise TooLargeError(stat.size, max_bytes)
        return self._fetch(self._key(path), 0, stat.size)

    def writing(self, path: str, *, last: bool = True) -> AbstractContextManager[BinaryIO]:
        """Refused: nothing is written to the hub."""
        self._refuse(path, last)

    def write(self, path: str, data: bytes, *, last: bool = True) -> None:
        """Refused, as all that would change the repository."""
        self._refuse(path, data, last)

    def take(self, source: Folder, source_path: str, path: str) -> None:
        """Refused."""
        self._refuse(source, source_path, path)

    def is_same(self, path: str, source: Folder, source_path: str) -> bool:
        """Whether both files have the same bytes."""
        there = source.stat(source_path)
        if there is None:
            raise FileNotFoundError(errno.ENOENT, "the file to compare with is gone")
        here = self.stat(path)
        return here is not None and here.size == there.size and self.read(path) == source.read(source_path)

    def delete(self, path: str) -> None:
        """Refused."""
        self._refuse(path)

    def delete_tree(self, path: str) -> None:
        """Refused."""
        self._refuse(path)

    def clear_unfinished(self) -> None:
        """Nothing: nothing is ever written here."""

    def bytes_used(self) -> int:
        """Bytes of all files."""
        return sum(stat.size for stat in self.files())

    def lock(self, path: str) -> AbstractContextManager[None]:
        """Refused: what is locked is about to be written."""
        self._refuse(path)

    def expect_locked(self, path: str) -> None:
        """Nothing: nothing is ever locked here."""

    def _refuse(self, *_: object) -> NoReturn:
        raise StoreError(errno.EROFS, f"{self.place}: the hub is only read", "write to a folder, or to s3:// or gs://")

    def _above(self) -> str:
        return f"{self.path}/" if self.path else ""

    def _key(self, path: str) -> str:
        if any(segment in ("", ".", "..") for segment in path.split("/")):
            raise OutsideError("leads out of its folder")
        return self._above() + path

    def _found(self, path: str) -> FileStat:
        stat = self._tree().get(self._key(path))
        if stat is None:
            raise FileNotFoundError(errno.ENOENT, "no such file in the repository")
        return stat

    def _tree(self) -> Mapping[str, FileStat]:
        return _tree(self.repository, self.revision, _endpoint())

    def _fetch(self, key: str, start: int, stop: int) -> bytes:
        if stop <= start:
            return b""
        be_quiet()
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import (  # type: ignore[attr-defined]  # public, and not listed as such
            build_hf_headers,
            hf_raise_for_status,
            http_backoff,
        )

        url = hf_hub_url(self.repository, key, repo_type="dataset", revision=self.revision, endpoint=_endpoint())
        headers = {**build_hf_headers(token=_token()), "Range": f"bytes={start}-{stop - 1}"}
        with _told_apart(self.place):
            response = http_backoff("GET", url, headers=headers, timeout=TIMEOUT_S, max_retries=TRIES)
            hf_raise_for_status(response)
            data: bytes = response.content
        if response.status_code == 200:  # a server that knows no ranges sends all
            data = data[start:stop]
        if len(data) != stop - start:
            raise StoreError(errno.EIO, f"{self.place}: the hub gave less than there is", _REACH)
        return data


def _endpoint() -> str:
    return os.environ.get(ENDPOINT, "").rstrip("/") or HUB


def _token() -> str | bool:
    """The token, or False for none: the library would look for one on this machine's disk otherwise."""
    return os.environ.get(TOKEN) or False


@lru_cache(maxsize=4)
def _tree(repository: str, revision: str, endpoint: str) -> Mapping[str, FileStat]:
    """All files of a commit, by path."""
    be_quiet()
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    place = f"hf://datasets/{repository}@{revision}"
    with _told_apart(place):
        api = HfApi(endpoint=endpoint, token=_token(), library_name="curate")
        listed = api.list_repo_tree(repository, recursive=True, revision=revision, repo_type="dataset")
        return {one.path: FileStat(one.path, one.size, _stamp(one)) for one in listed if isinstance(one, RepoFile)}


def _stamp(file: Any) -> int:
    """A number for the content: of the sha256 of large files, of git's own hash of the others."""
    content = file.lfs.sha256 if file.lfs is not None else file.blob_id
    return (int.from_bytes(blake3.blake3(str(content).encode()).digest(8), "little") >> 1) or 1


@contextmanager
def _told_apart(place: str) -> Iterator[None]:
    """Turn what the library raises into errors with a number and a hint, and nothing of the request in them.

    Raises:
        FileNotFoundError: the repository has no such file.
        StoreError: anything else.
    """
    from huggingface_hub import errors

    try:
        yield
    except errors.EntryNotFoundError:
        raise FileNotFoundError(errno.ENOENT, "no such file in the repository") from None
    except errors.GatedRepoError:
        raise _gated(place) from None
    except errors.RepositoryNotFoundError:
        hint = f"check its name; if it is private, give a token that may read it in {TOKEN}"
        raise StoreError(errno.EACCES, f"{place}: no such data set, or none that may be read", hint) from None
    except errors.RevisionNotFoundError:
        raise StoreError(errno.EREMOTEIO, f"{place}: the data set has no such commit", "check the commit") from None
    except errors.OfflineModeIsEnabled:
        hint = "unset HF_HUB_OFFLINE, or download the data set and give its folder"
        raise StoreError(errno.ENETDOWN, f"{place}: HF_HUB_OFFLINE forbids to reach the hub", hint) from None
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", 0)
        if status in (401, 403):
            raise _denied(place) from None
        raise StoreError(errno.EIO, f"{place}: the hub failed (status {status})", _REACH) from None
    except errors.HTTPError:  # type: ignore[attr-defined]  # the base of all that its client raises
        raise StoreError(errno.EHOSTUNREACH, f"{place}: the hub cannot be reached", _REACH) from None


def _gated(place: str) -> StoreError:
    """What to do about a data set whose terms must be accepted first."""
    page = _page(place)
    if _token():
        hint = (
            f"sign in at {page} with the account whose token {TOKEN} holds, and accept the conditions shown there (some"
            " owners must then grant the request); then run the same command again"
        )
        return StoreError(errno.EACCES, f"{place}: is gated, and the account of {TOKEN} has no access to it", hint)
    hint = (
        f"sign in at {page}, accept the conditions shown there, make a token that may read it at"
        f" {_endpoint()}/settings/tokens, and give it in {TOKEN}; then run the same command again"
    )
    return StoreError(errno.EACCES, f"{place}: is gated, and {TOKEN} is not set", hint)


def _denied(place: str) -> StoreError:
    """What to do about an answer 401 or 403 of which the hub does not say more."""
    held = f"the hub does not take the token in {TOKEN}" if _token() else f"it asks for a token, and {TOKEN} is not set"
    hint = f"see {_page(place)}; a token is made at {_endpoint()}/settings/tokens and given in {TOKEN}"
    return StoreError(errno.EACCES, f"{place}: {held}", hint)


def _page(place: str) -> str:
    """The page of a data set on the hub."""
    return f"{_endpoint()}/{place.removeprefix('hf://').partition('@')[0]}"
