"""Where the pictures are that are not where the records of a corpus say, and what to do."""

from dataclasses import replace
from itertools import islice
from pathlib import PurePosixPath

from sources.records import Corpus
from sources.storage import Folder, LocalFolder, base_of
from sources.storage.keys import leaves
from sources.storage.member_index import is_packed
from sources.storage.packed import PackedFolder

FILES_LOOKED_AT = 20_000


def whereabouts(corpus: Corpus, uri: str) -> str:
    """What is known of a picture that is missing, in brackets; of a keyed corpus without a name."""
    shown = not corpus.card.keyed
    such = f"such as {uri}; " if shown else ""
    out = _leads_out(corpus.root, uri, shown=shown)
    if out is not None:
        return f" ({such}{out})"
    rivals = _rivals(corpus.root, uri)
    if len(rivals) > 1:
        which = " and ".join(rivals[:2]) if shown else "two archives"
        cure = "unpack the one that is meant to where the records say"
        return f" ({such}{which} each hold one of that name, not surely the same: {cure})"
    if not shown:
        return ""
    lies = _place_of(corpus.root, uri)
    if lies is not None:
        return f" ({such}one of that name is at {lies})"
    unread = _unread_archives(corpus)
    if unread:
        return f" ({such}{unread[0]} is not looked into, since the card does not name it: unpack it if they are in it)"
    return f" (such as {uri})"


def _leads_out(root: Folder, uri: str, *, shown: bool) -> str | None:
    """Why no file can answer to a picture's path, and what to do: it leaves the corpus, as written or by a link."""
    if leaves(uri):
        return "the path leads out of the corpus's folder: nothing outside it is read"
    base = base_of(root)
    link = base.link_out(uri) if isinstance(base, LocalFolder) else None
    if link is None:
        return None
    name = link if shown else "a folder on the way"
    return (
        f"{name} is a link that leads out of the folder given with --data, where no link is followed: give --data a"
        " folder that holds both, or mount the pictures there"
    )


def _rivals(root: Folder, uri: str) -> list[str]:
    """The archives that have a file of the path. More than one have different bytes: else they would give it."""
    if not isinstance(root, PackedFolder):
        return []
    return [one.path for one in root.archives if replace(root, archives=(one,)).stat(uri) is not None]


def _place_of(root: Folder, uri: str) -> str | None:
    """Where a file of the same name lies under the corpus, or None: among its first 20,000 files."""
    name = PurePosixPath(uri).name
    return next((stat.path for stat in islice(root.files(), FILES_LOOKED_AT) if stat.path.endswith(f"/{name}")), None)


def _unread_archives(corpus: Corpus) -> list[str]:
    """The archives that lie directly in the corpus's folder and are neither looked into nor its records."""
    root = corpus.root
    read = {*corpus.files, *(one.path for one in root.archives)} if isinstance(root, PackedFolder) else {*corpus.files}
    base = root.base if isinstance(root, PackedFolder) else root
    return [name for name in base.names() if is_packed(name) and name not in read]
