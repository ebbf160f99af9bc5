"""Columns that a card maps must be in the file: a misspelt one is an error before anything is read."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from sources.columns import required_choices, required_columns
from sources.joins import joined_columns
from sources.records import Corpus, CorpusError, Fragment, Record, Unreadable

FRAGMENTS_LOOKED_AT = 10
"""A column that none of the first 40,960 records has is taken for misspelt: the answer comes within seconds."""

_CURE = "this is perhaps another version of the corpus: name its columns in `fields`"


def expect_columns(corpus: Corpus, path: str, present: Iterable[str], always: frozenset[str] = frozenset()) -> None:
    """Check that every mapped column, and those of `always`, is a column of the file or of its companion.

    Raises:
        CorpusError: one is in neither; names the file, the column and, of a public corpus, the nearest existing one.
    """
    there = set(present) | joined_columns(corpus, [path])
    absent = _absent(corpus, there, always)
    if absent:
        nearest = [] if corpus.identity.keyed else difflib.get_close_matches(absent[0], there, 1, 0.4)
        hint = f"did you mean {nearest[0]!r}? Or" if nearest else f"it has {corpus.shown_columns(sorted(there))};"
        raise CorpusError(f"{corpus.shown(path)}: no column {absent[0]!r}; {hint} {_CURE}")


def with_expected_columns(
    corpus: Corpus,
    path: str,
    fragments: Iterator[Fragment],
    read: Callable[[Corpus, Fragment], Iterator[Record | Unreadable]],
    always: frozenset[str] = frozenset(),
) -> Iterator[Fragment]:
    """The fragments, once the first records have every mapped column between them.

    Further fragments are looked at only where the first one lacks a column.

    Raises:
        CorpusError: as `expect_columns`. A file without one readable record is let through: its records are
            quarantined one by one.
    """
    looked_at: list[Fragment] = []
    present: set[str] = set()
    for fragment in islice(fragments, FRAGMENTS_LOOKED_AT):
        looked_at.append(fragment)
        if _are_in(corpus, path, read(corpus, fragment), present, always):
            break
    if present:
        expect_columns(corpus, path, present, always)
    yield from looked_at
    yield from fragments


def _are_in(
    corpus: Corpus, path: str, records: Iterator[Record | Unreadable], present: set[str], always: frozenset[str]
) -> bool:
    """Add the records' columns to those that are present until none is missing: no record more is read here."""
    for record in records:
        if isinstance(record, Record) and not present.issuperset(record.row):
            present.update(record.row)
            if not _absent(corpus, present | joined_columns(corpus, [path]), always):
                return True
    return not _absent(corpus, present | joined_columns(corpus, [path]), always)


def _absent(corpus: Corpus, there: set[str], always: frozenset[str]) -> list[str]:
    """The needed columns that are not there; a nested one is there where its outermost name is."""
    needed = sorted(required_columns(corpus.card) | always)
    absent = [column for column in needed if not _is_in(column, there)]
    choices = required_choices(corpus.card)
    return absent + [" or ".join(names) for names in choices if not any(_is_in(name, there) for name in names)]


def _is_in(column: str, there: set[str]) -> bool:
    return column in there or column.partition(".")[0] in there
