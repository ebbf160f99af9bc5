"""Small corpora on disk, and reading them whole."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sources.cards import Card, Layout
from sources.find import find_corpus
from sources.identity import Identity
from sources.mapping import Prompts, to_sample
from sources.readers.registry import reader_named
from sources.records import Corpus, Fragment, Record, Unreadable
from sources.storage import LocalFolder

KEY = b"a site key of a test"
PROMPTS = Prompts(caption=("Describe this image.",), report=("Write a report.",))


def corpus_in(folder: Path, reader: str, files: str | dict[str, tuple[str, ...]] = "**/*", **card: Any) -> Corpus:
    """The corpus that a card of these settings finds in a folder."""
    layout = Layout(files=(files,) if isinstance(files, str) else files, images=card.pop("images", None))
    site_key = KEY if card.get("identifiers") == "keyed" else None
    made = Card(name="test", reader=reader, layout=layout, **{"task": "text", "access": "open", **card})
    corpus = find_corpus(made, "test", [LocalFolder(folder)], Identity("test", site_key))
    assert corpus is not None, f"nothing matches in {folder}"
    return corpus


def planned(corpus: Corpus) -> list[Fragment]:
    """The fragments of all files."""
    return list(reader_named(corpus.card.reader).plan(corpus, corpus.files))


def read(corpus: Corpus) -> list[Record | Unreadable]:
    """The records of all files."""
    return list(_read(corpus))


def samples(corpus: Corpus) -> list[dict[str, Any]]:
    """The samples of all readable records."""
    reader = reader_named(corpus.card.reader)
    return [
        to_sample(corpus, fragment.path, record, PROMPTS)
        for fragment in planned(corpus)
        for record in reader.read(corpus, fragment)
        if isinstance(record, Record)
    ]


def _read(corpus: Corpus) -> Iterator[Record | Unreadable]:
    reader = reader_named(corpus.card.reader)
    for fragment in planned(corpus):
        yield from reader.read(corpus, fragment)
