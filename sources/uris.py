"""Which pictures a record names: raw POSIX paths under the corpus, as written where they lead elsewhere."""

import ast
import re
from pathlib import PurePosixPath
from typing import Any

from sources.columns import TEMPLATE_NAME, fields_of, lookup, text_of, value_of
from sources.identity import storable
from sources.records import Corpus, Record, RecordError
from sources.schema import Reason

PICTURE = "@picture"
"""Column in which a reader gives a record's pictures itself, taken as they are: one raw uri, or a list of them.

The path of a file under the corpus, or `inner_uri` of a picture inside the record file.
"""
MAX_URI_CHARACTERS = 4096
_ELSEWHERE = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*:")


def written_images(corpus: Corpus, path: str, record: Record) -> list[str]:
    """The record's pictures as it writes them, or as the card's template makes them.

    Raises:
        RecordError: a path of more than 4,096 characters, one that is not UTF-8, or something that is no path.
    """
    layout = corpus.card.layout
    template = layout.split_images.get(corpus.splits.get(path, "")) or layout.images or ""
    if PICTURE in record.row:
        own = record.row[PICTURE]
        return _short_enough([own] if isinstance(own, str) else list(own))
    if "{" in template:
        values: list[Any] = [_fill(corpus, path, record, template)]
    else:
        held = _list(value_of(corpus.card, record, "image"))
        values = [one for value in held for one in (_list(value) if isinstance(value, list) else (value,))]
    uris = _short_enough([uri for value in values if (uri := text_of(value)) is not None])
    if any(storable(uri) != uri for uri in uris):
        raise RecordError("the path of a picture is not UTF-8", Reason.RECORD_ENCODING)
    return uris


def placed_images(corpus: Corpus, record: Record, written: list[str]) -> list[str]:
    """Paths under the corpus of the pictures a record writes.

    Absolute paths, URLs and `../` stay as they are: no file answers to what leaves the corpus. The pictures of
    a report are optional: where their whole folder is absent, the report is text.
    """
    folder = corpus.card.layout.images
    if PICTURE in record.row or folder is None or "{" in folder:
        return written
    if not pictures_present(corpus):
        return []
    return [placed(folder, uri) for uri in written]


def placed(folder: str | None, uri: str) -> str:
    """A path as a record writes it under the folder of pictures; what leads elsewhere stays as it is."""
    return uri if folder is None or "{" in folder or _ELSEWHERE.match(uri) else f"{folder.rstrip('/')}/{uri}"


def inner_uri(path: str, what: str) -> str:
    """The raw uri of a picture inside the record file at `path`."""
    return f"{path}#{what}"


def inner_name(path: str, uri: str) -> str | None:
    """What a raw uri names inside the record file at `path`, or None where it is a file of its own."""
    head = f"{path}#"
    return uri[len(head) :] if path and uri.startswith(head) else None


def pictures_present(corpus: Corpus) -> bool:
    """Whether the pictures of a corpus are to be expected: always, unless it has reports and no such folder."""
    folder = corpus.card.layout.images
    if corpus.card.task != "report" or folder is None or "{" in folder:
        return True
    return corpus.root.has_folder(folder)


def _short_enough(uris: list[str]) -> list[str]:
    if any(len(uri) > MAX_URI_CHARACTERS for uri in uris):
        raise RecordError(f"the path of a picture has more than {MAX_URI_CHARACTERS} characters")
    return uris


def _fill(corpus: Corpus, path: str, record: Record, template: str) -> str | None:
    """The template with its names replaced, or None where the record lacks one of them."""
    values = {}
    for name in TEMPLATE_NAME.findall(template):
        value = _variable(corpus, path, record, name)
        if value is None:
            return None
        values[name] = value
    return TEMPLATE_NAME.sub(lambda match: values[match.group(1)], template)


def _variable(corpus: Corpus, path: str, record: Record, name: str) -> str | None:
    if name == "folder":
        return PurePosixPath(path).parent.as_posix()
    if name == "key":
        return record.key
    if name == "split" and path in corpus.splits:
        return corpus.splits[path]
    if name in fields_of(corpus.card):
        return text_of(value_of(corpus.card, record, name))
    return text_of(lookup(record, name))


def _list(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, str) and value.startswith("[") and value.rstrip().endswith("]"):
        try:
            parsed = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return [value]
        return parsed if isinstance(parsed, list) else [value]
    return [] if value is None else [value]
