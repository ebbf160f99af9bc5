"""Which files a glob names: links to folders are followed, but never round in a circle."""

import errno
import os
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

RUN_MARK = ".curate-run"
"""A folder with this file in it is a run of ours: what lies there is no corpus."""
_WILD = re.compile(r"[*?]")

Inode = tuple[int, int]
"""Device and number: what a folder is, whatever it is called."""


class Glob:
    """A pattern of POSIX paths under a folder: `*` and `?` stay within a folder, `**/` crosses any number of them.

    `escaping` are the links to folders on the way that `escapes` says must not be followed, once `matching` is
    through.
    """

    def __init__(self, root: Path, pattern: str, escapes: Callable[[str], bool]) -> None:
        self._root, self._pattern, self._escapes = root, pattern, escapes
        self.escaping: list[str] = []

    def matching(self) -> Iterator[str]:
        """The names that match, hidden ones left out, in an order of their own.

        A file that several names of its folder lead to has one: the one without links, else the first. The
        exception are links that the fixed beginning of a pattern names.

        Raises:
            OSError: a folder cannot be read.
        """
        segments = self._pattern.split("/")
        fixed = next((number for number, segment in enumerate(segments) if _WILD.search(segment)), None)
        if fixed is None:
            yield self._pattern
            return
        linked = []
        seen = set()
        for path, folder, through_link in self._walk("".join(f"{segment}/" for segment in segments[:fixed])):
            if through_link:
                linked.append((path, folder))
            else:
                seen.add((folder, path.rpartition("/")[2]))
                yield path
        for path, folder in sorted(linked):
            if (folder, path.rpartition("/")[2]) not in seen:
                seen.add((folder, path.rpartition("/")[2]))
                yield path

    def _walk(self, top: str) -> Iterator[tuple[str, Inode, bool]]:
        """Matching names under `top`, each with its folder, and whether a link to a folder is on its way.

        A folder that lies inside itself is a circle: it is left at once. Other folders are walked under each of
        their names, since any of these may be the one that matches.
        """
        wanted = matcher(self._pattern)
        if self._leaves(top):
            return
        pending: list[tuple[str, frozenset[Inode], bool]] = [(top, frozenset(), False)]
        while pending:
            inside, above, through_link = pending.pop()
            found = _entries(self._root / inside)
            if found is None or found[0] in above:
                continue
            here, entries = found
            for entry in entries:
                path = inside + entry.name
                if not _is_folder(entry):
                    if wanted.fullmatch(path):
                        yield path, here, through_link
                elif self._reaches(path) and not (entry.is_symlink() and self._leaves(path)):
                    pending.append((f"{path}/", above | {here}, through_link or entry.is_symlink()))

    def _reaches(self, folder: str) -> bool:
        """Whether a match can lie in the folder."""
        segments = self._pattern.split("/")
        names = folder.split("/")
        for segment, name in zip(segments, names, strict=False):
            if "**" in segment:
                return True
            if not matcher(segment).fullmatch(name):
                return False
        return len(names) < len(segments)

    def _leaves(self, folder: str) -> bool:
        if self._escapes(folder):
            self.escaping.append(folder.rstrip("/") or ".")
            return True
        return False


def _entries(folder: Path) -> tuple[Inode, list["os.DirEntry[str]"]] | None:
    """What a folder is, and its visible entries; None where there is no such folder."""
    try:
        status = folder.stat()
        with os.scandir(folder) as entries:
            found = list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if any(entry.name == RUN_MARK for entry in found):
        found = []
    return (status.st_dev, status.st_ino), [entry for entry in found if not entry.name.startswith(".")]


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a folder or a link to one; a link that leads to itself is neither."""
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return False


@lru_cache(maxsize=256)
def matcher(pattern: str) -> re.Pattern[str]:
    """What paths that match a pattern look like."""
    tokens = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(tokens.get(part, re.escape(part)) for part in parts), re.DOTALL)
