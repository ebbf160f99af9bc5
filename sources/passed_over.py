"""What of a record was in hand and is not looked at: decided here alone, so that an audit can say so.

Only where everything of a record is asked for (`meta: ["*"]` of a card): a card that names its columns leaves the
others on purpose.
"""

import re
from base64 import b64decode
from collections.abc import Collection, Mapping
from typing import Any

from sources.columns import MAX_NESTED, takes_rest
from sources.readers.member_names import PICTURES, extension
from sources.records import Corpus, Record

PASSED_OVER = "@passed_over"
"""Column in which a reader says itself, as `kind_of` does, what it left of a record."""
MAX_NAME_CHARACTERS = 1000
_URL = re.compile(r"(?:https?|ftp)://", re.IGNORECASE)
_DATA_URL = "data:image/"
_INLINE = re.compile(r"[A-Za-z0-9+/]{64}")
_KIND = re.compile(r"(column|member) [\w.()]{1,41}, not looked at")
_PLAIN_NAME = re.compile(r"[A-Za-z]\w{0,39}", re.ASCII)


def kind_of(what: str, name: str) -> str:
    """What was not looked at, as counts and sentences say it."""
    return f"{what} {name}, not looked at"


def passed_over(corpus: Corpus, record: Record, uris: Collection[str]) -> list[str]:
    """The kinds of what is left of a record whose pictures are `uris`, each once.

    That is what its reader left; a column with bytes, or with a picture written as text; and, of a record without a
    picture, a column that names a file of one. A URL is nothing that is in hand.
    """
    if not takes_rest(corpus.card):
        return []
    told = [kind for kind in record.row.get(PASSED_OVER) or () if _KIND.fullmatch(str(kind))]
    if not record.finished:
        for name, value in record.row.items():
            if not name.startswith("@") and _is_left(value, uris, MAX_NESTED):
                told.append(kind_of("column", _shown(corpus, name)))
    return sorted(set(told))


def names_picture(value: Any) -> bool:
    """Whether a value is written like the name of a picture's file."""
    if not isinstance(value, str) or len(value) > MAX_NAME_CHARACTERS:
        return False
    name = value.strip()
    return extension(name) in PICTURES and "\n" not in name and _URL.match(name) is None


def _is_left(value: Any, uris: Collection[str], deep: int) -> bool:
    if isinstance(value, str):
        return value not in uris and (_is_inline(value) or (not uris and names_picture(value)))
    if isinstance(value, Mapping | list | tuple) and deep:
        parts = value.values() if isinstance(value, Mapping) else value
        return any(_is_left(one, uris, deep - 1) for one in parts)
    return isinstance(value, bytes) and bool(value)


def _is_inline(text: str) -> bool:
    """Whether a text is a picture in base64, or holds one as a URL."""
    found = _INLINE.match(text)
    if found is None:
        return _DATA_URL in text
    from sources.pictures.formats import sniff  # the codecs beside it are loaded where there is such a text

    return sniff(b64decode(found.group())) is not None


def _shown(corpus: Corpus, name: str) -> str:
    """A column as a report may name it: where a file has no header line, what stands in its place is a record."""
    return name if _PLAIN_NAME.fullmatch(name) and not corpus.identity.keyed else "(other)"
