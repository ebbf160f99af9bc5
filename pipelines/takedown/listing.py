"""The list of a takedown: what a person wrote, as entries. No message ever shows a value of it."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from pipelines.errors import UsageError
from pipelines.takedown.record import KINDS, digest_of
from sources.cards import GROUP_KINDS
from sources.identity import Identity, keyed_digest, storable
from sources.licenses import spdx_license
from sources.schema import UNKNOWN_LICENSE

ALIASES = {"sample": "sample_id", "image": "image_id", "key": "source_key", "pixels": "pixel_hash"}
BARE = ("sample_id", "image_id", "pixel_hash")
"""What 32 hex digits without a kind may be."""
PUBLISHED = ("article", "figure")
"""Kinds of group that name what is in print, and nobody."""
_HEX = re.compile(r"[0-9a-fA-F]{32}")
_LINE_END = re.compile(r"\r?\n")
"""Nothing else ends a line: a name may hold U+2028 or a form feed."""
_QUOTED = re.compile(r'"((?:[^"]|"")*)"[ \t]*')
FORM = "write one `kind,value` a line (kinds: {}), or a bare id of 32 hex digits"


@dataclass(frozen=True)
class Entry:
    """One line: the kinds it may be of, and its value in every spelling under which a run may hold it."""

    line: int
    kinds: tuple[str, ...]
    values: tuple[str, ...]
    keyed: frozenset[str] = frozenset()
    """Those of them that are names under the site key."""

    @property
    def shown(self) -> str:
        """How messages name it."""
        return f"line {self.line}"


def read_list(path: Path, site_key: bytes | None) -> list[Entry]:
    """The entries of a text, CSV or JSON-lines file; empty lines, `#` comments and a header line are skipped.

    With a site key, raw values are looked for under their keyed names, too.

    Raises:
        UsageError: the file cannot be read, or a line is no entry; the message names the line, not what is in it.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        what = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else f"cannot be read ({error.strerror})"
        raise UsageError(f"--list {path}: {what}", _form()) from None
    pairs = _objects(path, text) if path.suffix in (".jsonl", ".ndjson", ".json") else _rows(path, text)
    return [_entry(path, line, kind, value, site_key) for line, kind, value in pairs]


def _rows(path: Path, text: str) -> Iterator[tuple[int, str | None, str]]:
    lines = (line.strip(" \t") for line in _LINE_END.split(text))
    for number, line in enumerate(lines, start=1):
        if not line or line.startswith("#"):
            continue
        try:
            first, rest = _field(line)
            # A value may hold commas and, further in, quotes: only a quote that it begins with is CSV's.
            value, more = (None, None) if rest is None else _field(rest) if rest.startswith('"') else (rest, None)
        except ValueError:
            raise UsageError(f"--list {path}: line {number}: a quote is not closed", _form()) from None
        if more is not None:
            raise UsageError(f"--list {path}: line {number}: more follows a value in quotes", _form())
        if (first, value) != ("kind", "value"):
            yield (number, None, first) if value is None else (number, first, value)


def _field(text: str) -> tuple[str, str | None]:
    """The first field of a line of CSV, and what follows its comma, if there is one.

    Raises:
        ValueError: a quote is not closed, or text follows the closing one.
    """
    if not text.startswith('"'):
        first, comma, rest = text.partition(",")
        return first.rstrip(" \t"), rest.lstrip(" \t") if comma else None
    quoted = _QUOTED.match(text)
    rest = "" if quoted is None else text[quoted.end() :]
    if quoted is None or (rest and not rest.startswith(",")):
        raise ValueError
    return quoted[1].replace('""', '"'), rest[1:].lstrip(" \t") if rest else None


def _objects(path: Path, text: str) -> Iterator[tuple[int, str | None, str]]:
    for number, line in enumerate(_LINE_END.split(text), start=1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            row = None
        value = row.get("value") if isinstance(row, dict) else None
        if not isinstance(row, dict) or set(row) - {"kind", "value"} or type(value) not in (str, int):
            raise UsageError(
                f"--list {path}: line {number}: not an object with `kind` and `value`",
                'write {"kind": "article", "value": "PMC1234567"}, one a line',
            )
        yield number, row.get("kind"), str(value)


def _entry(path: Path, line: int, kind: str | None, value: str, site_key: bytes | None) -> Entry:
    if kind is None:
        if not _HEX.fullmatch(value):
            raise UsageError(f"--list {path}: line {line}: no kind, and no id of 32 hex digits", _form())
        return Entry(line, BARE, (value.lower(),))
    kind = ALIASES.get(str(kind).lower(), str(kind).lower())
    if kind not in KINDS:
        nearest = difflib.get_close_matches(kind, [*KINDS, *ALIASES], 1, 0.7)
        hint = f"did you mean {nearest[0]!r}? " if nearest else ""
        raise UsageError(f"--list {path}: line {line}: not a kind of entry", hint + _form())
    if not value:
        raise UsageError(f"--list {path}: line {line}: no value", _form())
    keyed = _keyed(kind, value, site_key)
    return Entry(line, (kind,), tuple(dict.fromkeys((_plain(kind, value), *keyed))), keyed)


def _plain(kind: str, value: str) -> str:
    """How tables hold the value of a public source: as it is, as SPDX spells it, or in lower-case hex."""
    if kind in BARE:
        return value.lower()
    if kind == "license":
        spdx = spdx_license(value)
        return spdx if spdx != UNKNOWN_LICENSE or value.lower() == UNKNOWN_LICENSE else value
    return storable(value)


def _keyed(kind: str, value: str, site_key: bytes | None) -> frozenset[str]:
    """How tables hold the value of a keyed source."""
    if site_key is not None and kind in GROUP_KINDS:
        return frozenset({keyed_digest(site_key, kind, value)})
    if site_key is not None and kind == "source_key":
        return frozenset({Identity("", site_key).name("key", value)})
    return frozenset()


def remembered(entry: Entry, *, private: bool) -> dict[str, frozenset[str]]:
    """Kind -> digests of the entry by which later builds know it again, whether or not it matches anything now.

    A bare id names nothing that could still come. Where `private` (the run has keyed sources), of what may name a
    person only names under the site key are kept: the digest of a plain one could be guessed.
    """
    if len(entry.kinds) > 1:
        return {}
    (kind,) = entry.kinds
    guarded = private and kind in (*GROUP_KINDS, "source_key") and kind not in PUBLISHED
    values = [value for value in entry.values if not guarded or value in entry.keyed or _HEX.fullmatch(value)]
    return {kind: frozenset(digest_of(kind, value) for value in values)} if values else {}


def _form() -> str:
    return FORM.format(", ".join(KINDS))
