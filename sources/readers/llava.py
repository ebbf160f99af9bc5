"""LLaVA conversations: a JSON array or JSON Lines of `{id, image, conversations}`."""

from collections.abc import Iterator, Sequence
from typing import Literal

from sources.readers.expected import with_expected_columns
from sources.readers.json_array import JsonReader
from sources.readers.jsonl import JsonlReader
from sources.readers.text import text_start
from sources.records import Corpus, Fragment, Record, Unreadable

_SPELLINGS = {"conversatons": "conversations", "images": "image"}
"""Published files have `conversatons` (LLaVA-Med's inline-mention set) and `images`. What has something counts."""


class LlavaReader:
    """Reads LLaVA conversations; every record has the columns `conversations` and, with pictures, `image`."""

    unit: Literal["file", "folder"] = "file"
    version: int = 2
    options: frozenset[str] = JsonReader.options

    def plan(self, corpus: Corpus, paths: Sequence[str]) -> Iterator[Fragment]:
        """Cut files as the JSON or the JSON Lines reader does.

        Raises:
            CorpusError: as theirs; or no record has conversations.
        """
        needed = frozenset({"conversations"})
        for path in paths:
            fragments = _form(corpus, path).fragments(corpus, path)
            yield from with_expected_columns(corpus, path, fragments, self.read, needed)

    def read(self, corpus: Corpus, fragment: Fragment) -> Iterator[Record | Unreadable]:
        """Yield records with the columns under their usual names.

        Raises:
            ChangedInputError: the file is not the planned one any more.
        """
        for record in _form(corpus, fragment.path).read(corpus, fragment):
            if isinstance(record, Record):
                for spelling, usual in _SPELLINGS.items():
                    if spelling in record.row:
                        other = record.row.pop(spelling)
                        record.row[usual] = record.row.get(usual) or other
            yield record


def _form(corpus: Corpus, path: str) -> JsonReader | JsonlReader:
    return JsonReader() if text_start(corpus, path).first == b"[" else JsonlReader()
