"""Eval sets from the Hugging Face hub, at one commit: tables through `datasets`, files as they are."""

import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import yaml

from dedup.evalsets.described import DESCRIPTION, description_in, is_described
from dedup.evalsets.locating import evalset_in
from dedup.evalsets.reading import content_hash, items_of
from dedup.evalsets.registry import EvalSet, EvalSetError, Hub
from sources.readers.hf_library import datasets_library
from sources.storage import Folder, LocalFolder, folder_at
from sources.storage.hub import ENDPOINT, HUB, TOKEN, be_quiet

UNFINISHED = "fetching.yaml"
"""Names the commit while a fetch is not finished: one that goes on takes the same."""
COPY_BYTES = 8 * 2**20
MAX_MEMBER_BYTES = 2**30
MAX_RATIO = 1000
"""What a member of an archive may unpack to, per packed byte: pictures pack to nearly their own size."""
_OPEN = frozenset({"open", "noncommercial"})

Say = Callable[[str], None]


@dataclass(frozen=True)
class Fetched:
    """What a fetch made, or found there."""

    name: str
    place: str
    revision: str
    items: int
    content: str
    already_there: bool


def must_be_signed_for(evalset: EvalSet) -> bool:
    """Whether a person has to accept terms first, or the set is not on the hub at all."""
    return evalset.access not in _OPEN or evalset.hub is None


def fetch(evalset: EvalSet, into: LocalFolder, say: Say) -> Fetched:
    """Download a set to `into/NAME` and describe it there. Called again it goes on, or finds it finished.

    Raises:
        EvalSetError: the hub cannot be reached, has not what the card says, or what came is not readable as the set.
    """
    hub = evalset.hub
    if hub is None or must_be_signed_for(evalset):
        raise EvalSetError(f"{evalset.name}: cannot be fetched", f"{evalset.fetch} See {evalset.home}")
    place = into.inside(evalset.name)
    if is_described(place):
        said = description_in(place)
        if said.revision and said.content:
            return _read(evalset, place, said.revision, already_there=True)
    revision = _unfinished(place) or hub.revision or _newest(hub.repo)
    place.write(UNFINISHED, yaml.safe_dump({"revision": revision}).encode())
    if hub.tables:
        _fetch_tables(evalset, hub, place, revision, say)
    if hub.files:
        _fetch_files(evalset, hub, place, revision, say)
    place.write(DESCRIPTION, yaml.safe_dump({"name": evalset.name}).encode())
    made = _read(evalset, place, revision, already_there=False)
    document = {
        "name": evalset.name, "repository": hub.repo, "revision": revision, "content": made.content,
    }  # fmt: skip
    place.write(DESCRIPTION, yaml.safe_dump(document, sort_keys=False).encode())
    place.delete(UNFINISHED)
    return made


def _read(evalset: EvalSet, place: Folder, revision: str, *, already_there: bool) -> Fetched:
    found = evalset_in(place)
    items = None if found is None else items_of(found).items
    if items is None or not items.num_rows:
        raise EvalSetError(
            f"{evalset.name}: what lies in {place.place} is not readable as its card says",
            "its repository may have been rearranged: `curate evals check` says more; please report it",
        )
    return Fetched(evalset.name, place.place, revision, items.num_rows, content_hash(items), already_there)


def _unfinished(place: Folder) -> str | None:
    if place.stat(UNFINISHED) is None:
        return None
    document = yaml.safe_load(place.read(UNFINISHED, 2**16))
    return str(document["revision"]) if isinstance(document, dict) and document.get("revision") else None


def _newest(repo: str) -> str:
    """The commit that the repository's main branch is at; a repository on this machine has none.

    Raises:
        EvalSetError: it cannot be told.
    """
    if Path(repo).is_dir():
        return "local"
    be_quiet()
    import os

    from huggingface_hub import HfApi, errors

    api = HfApi(
        endpoint=os.environ.get(ENDPOINT, "").rstrip("/") or HUB,
        token=os.environ.get(TOKEN) or False,
        library_name="curate",
    )
    try:
        revision = api.dataset_info(repo).sha
    except (errors.HfHubHTTPError, errors.OfflineModeIsEnabled, OSError) as error:
        raise _unreachable(repo, error) from None
    except errors.HTTPError as error:  # type: ignore[attr-defined]  # the base of all that its client raises
        raise _unreachable(repo, error) from None
    if revision is None:
        raise EvalSetError(f"{repo}: the hub names no commit of it", "please report it")
    return str(revision)


def _fetch_tables(evalset: EvalSet, hub: Hub, place: LocalFolder, revision: str, say: Say) -> None:
    for config in hub.configs or (None,):
        for split in evalset.split or (None,):
            folder = "/".join(_plain(name) for name in (config or "default", split or "all"))
            if place.stat(f"{folder}/state.json") or place.stat(f"{folder}/dataset_dict.json"):
                continue
            say(f"{evalset.name}: {' '.join(name for name in (hub.repo, config, split) if name)} at {revision}")
            loaded = _loaded(hub, config, split, revision)
            unfinished = Path(place.place) / f"{folder}.part"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.parent.mkdir(parents=True, exist_ok=True)
            loaded.save_to_disk(str(unfinished))
            unfinished.rename(Path(place.place) / folder)


def _loaded(hub: Hub, config: str | None, split: str | None, revision: str) -> Any:
    library = datasets_library()
    pinned = {} if Path(hub.repo).is_dir() else {"revision": revision}
    try:
        return library.load_dataset(hub.repo, config, split=split, **pinned)
    except (OSError, ValueError, RuntimeError, library.exceptions.DatasetsError) as error:
        raise _unreachable(hub.repo, error) from None


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)


def _fetch_files(evalset: EvalSet, hub: Hub, place: LocalFolder, revision: str, say: Say) -> None:
    local = Path(hub.repo).is_dir()
    repository = folder_at(hub.repo if local else f"hf://datasets/{hub.repo}@{revision}")
    stats = repository.glob(hub.files)
    if not stats:
        raise EvalSetError(
            f"{evalset.name}: {hub.repo} has no file {' or '.join(hub.files)}", "see its page, and report it"
        )
    for stat in stats:
        there = place.stat(stat.path)
        if there is None or there.size != stat.size:
            say(f"{evalset.name}: {stat.path} of {hub.repo} at {revision}, {stat.size / 1e6:,.1f} MB")
            with repository.open(stat.path) as source, place.writing(stat.path) as target:
                shutil.copyfileobj(source, target, COPY_BYTES)
        if stat.path.lower().endswith(".zip"):
            unpack(place, stat.path)


def unpack(place: Folder, path: str) -> int:
    """Unpack a zip beside itself; members that are there with their size are left. Returns how many were written.

    Raises:
        EvalSetError: a member's name leads out of the folder, it is encrypted or a link, or claims or has more bytes
            than a picture can have; nothing of it is written then.
    """
    parent = PurePosixPath(path).parent
    written = 0
    try:
        with place.open(path) as file, zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                if member.is_dir():
                    continue
                _expect_harmless(path, member)
                target = (parent / member.filename).as_posix()
                there = place.stat(target)
                if there is None or there.size != member.file_size:
                    with archive.open(member) as source, place.writing(target, last=False) as out:
                        _copy(path, source, out, member.file_size)  # type: ignore[arg-type]  # typed as IO[bytes]
                    written += 1
    except (zipfile.BadZipFile, NotImplementedError):
        raise EvalSetError(f"{path}: is no zip that can be unpacked", "delete it and fetch again") from None
    return written


def _expect_harmless(path: str, member: zipfile.ZipInfo) -> None:
    parts = member.filename.replace("\\", "/").split("/")
    is_link = (member.external_attr >> 16) & 0o170000 == 0o120000
    if any(part in ("", ".", "..") for part in parts) or ":" in parts[0] or is_link or member.flag_bits & 1:
        raise EvalSetError(f"{path}: a member is a link, encrypted, or leads out of the folder", "do not use this file")
    if member.file_size > max(MAX_RATIO * member.compress_size, 2**20) or member.file_size > MAX_MEMBER_BYTES:
        raise EvalSetError(f"{path}: a member unpacks to far more than it is", "do not use this file")


def _copy(path: str, source: BinaryIO, target: BinaryIO, size: int) -> None:
    left = size
    while chunk := source.read(min(COPY_BYTES, left + 1)):
        left -= len(chunk)
        if left < 0:
            raise EvalSetError(f"{path}: a member has more bytes than it says", "do not use this file")
        target.write(chunk)


def _unreachable(repo: str, error: BaseException) -> EvalSetError:
    return EvalSetError(
        f"{repo}: cannot be fetched ({type(error).__name__})",
        f"check the network, {ENDPOINT} and, if it needs one, {TOKEN}; the same command goes on where it stopped",
    )
