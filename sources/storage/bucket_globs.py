"""Which objects a glob names. What does not match is never kept, whatever a bucket holds."""

import re
from collections.abc import Iterator

from sources.storage.bucket_requests import Bucket, Listed
from sources.storage.globs import RUN_MARK, matcher

_WILD = re.compile(r"[*?]")


def is_wild(pattern: str) -> bool:
    """Whether it may match more than one path."""
    return _WILD.search(pattern) is not None


def fixed_part(folder: str, pattern: str) -> str | None:
    """The key (without a trailing slash) that all matches of a pattern with wildcards are under; None for no match."""
    segments = pattern.split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        return None
    fixed = next(number for number, segment in enumerate(segments) if is_wild(segment))
    return "/".join(filter(None, (folder, *segments[:fixed])))


def matching(bucket: Bucket, folder: str, pattern: str) -> list[Listed]:
    """The objects under a folder (a key without a trailing slash) whose path there matches a pattern with wildcards.

    Only what is under the fixed beginning of the pattern is listed; of a pattern whose last segment alone is wild, one
    level. Names with a dot in front are left out, and what is under a run of ours.
    """
    top = fixed_part(folder, pattern)
    if top is None:
        return []
    one_level = not is_wild(pattern.rpartition("/")[0]) and "**" not in pattern
    objects = iter(bucket.level(top)[0]) if one_level else bucket.walk(top)
    matches = Matches(top, folder, pattern)
    for listed in objects:
        matches.take(listed)
    return list(matches.unmarked())


class Matches:
    """Collects matches, and the runs among them, whose content is no corpus."""

    def __init__(self, top: str, folder: str, pattern: str) -> None:
        self._above = len(top) + 1 if top else 0
        self._own = len(folder) + 1 if folder else 0
        self._pattern = matcher(pattern)
        self._matches: list[Listed] = []
        self._runs: set[str] = set()

    def take(self, listed: Listed) -> None:
        """Look at one object."""
        inside = listed.key[self._above :]
        place, _, name = inside.rpartition("/")
        if name == RUN_MARK:
            self._runs.add(place)
        elif not _is_hidden(inside) and self._pattern.fullmatch(listed.key, self._own) and not self._is_in_run(place):
            self._matches.append(listed)

    def unmarked(self) -> Iterator[Listed]:
        """The matches; a run's mark may have come after what it marks."""
        for listed in self._matches:
            if not self._is_in_run(listed.key[self._above :].rpartition("/")[0]):
                yield listed

    def _is_in_run(self, place: str) -> bool:
        if not self._runs:
            return False
        while place and place not in self._runs:
            place = place.rpartition("/")[0]
        return place in self._runs


def _is_hidden(inside: str) -> bool:
    return inside.startswith(".") or "/." in inside
