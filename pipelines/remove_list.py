"""The list of a takedown: what a person wrote, as entries. No message ever shows a value of it."""

import csv
import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from pipelines.errors import UsageError
from pipelines.removed import KINDS
from sources.cards import GROUP_KINDS
from sources.identity import Identity, keyed_digest, storable
from sources.licenses import spdx_license
from sources.schema import UNKNOWN_LICENSE

ALIASES = {"sample": "sample_id", "image": "image_id", "key": "source_key", "pixels": "pixel_hash"}
BARE = ("sample_id", "image_id", "pixel_hash")
"""What 32 hex digits without a kind may be."""
_HEX = re.compile(r"[0-9a-fA-F]{32}")
FORM = "write one `kind,value` a line (kinds: {}), or a bare id of 32 hex digits"


@dataclass(frozen=True)
class Entry:
    """One line: the kinds it may be of, and its value in every spelling under which a run may hold it."""

    line: int
    kinds: tuple[str, ...]
    values: tuple[str, ...]

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
    reader = csv.reader(text.splitlines(), strict=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells) or cells[0].startswith("#") or cells[:2] == ["kind", "value"]:
                continue
            # A value may hold commas: only the first one separates.
            yield reader.line_num, *((None, cells[0]) if len(cells) == 1 else (cells[0], ",".join(cells[1:])))
    except csv.Error:
        raise UsageError(f"--list {path}: line {reader.line_num}: a quote is not closed", _form()) from None


def _objects(path: Path, text: str) -> Iterator[tuple[int, str | None, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            row = None
        if not isinstance(row, dict) or set(row) - {"kind", "value"} or not isinstance(row.get("value"), str | int):
            raise UsageError(
                f"--list {path}: line {number}: not an object with `kind` and `value`",
                'write {"kind": "article", "value": "PMC1234567"}, one a line',
            )
        yield number, row.get("kind"), str(row["value"])


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
    return Entry(line, (kind,), tuple(dict.fromkeys(_spellings(kind, value, site_key))))


def _spellings(kind: str, value: str, site_key: bytes | None) -> Iterator[str]:
    """How tables may hold the value: as it is, as SPDX spells it, in lower-case hex, or under the site key."""
    if kind in BARE:
        yield value.lower()
        return
    if kind == "license":
        spdx = spdx_license(value)
        yield spdx if spdx != UNKNOWN_LICENSE or value.lower() == UNKNOWN_LICENSE else value
        return
    yield storable(value)
    if site_key is not None and kind in GROUP_KINDS:
        yield keyed_digest(site_key, kind, value)
    if site_key is not None and kind == "source_key":
        yield Identity("", site_key).name("key", value)


def _form() -> str:
    return FORM.format(", ".join(KINDS))
