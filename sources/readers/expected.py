"""Columns that a card maps must be in the file: a misspelt one is an error before anything is read."""

import difflib
from collections.abc import Callable, Iterable, Iterator

from sources.columns import required_columns
from sources.joins import joined_columns
from sources.records import Corpus, CorpusError, Fragment, Record, Unreadable


def expect_columns(corpus: Corpus, path: str, present: Iterable[str], always: frozenset[str] = frozenset()) -> None:
    """Check that every mapped column, and those of `always`, is a column of the file or of its companion.

    Raises:
        CorpusError: one is in neither; names the file, the column and the nearest existing one.
    """
    there = set(present) | joined_columns(corpus, [path])
    for column in sorted(required_columns(corpus.card) | always):
        if column in there or column.partition(".")[0] in there:
            continue
        nearest = difflib.get_close_matches(column, there, 1, 0.4)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else f"; it has {', '.join(sorted(there)) or 'none'}"
        raise CorpusError(f"{corpus.shown(path)}: no column {column!r}{hint}")


def with_expected_columns(
    corpus: Corpus,
    path: str,
    fragments: Iterator[Fragment],
    read: Callable[[Corpus, Fragment], Iterator[Record | Unreadable]],
    always: frozenset[str] = frozenset(),
) -> Iterator[Fragment]:
    """The fragments, once the records of the first one together have every mapped column.

    Raises:
        CorpusError: as `expect_columns`. A file without one readable record is let through: its records are
            quarantined one by one.
    """
    first = next(fragments, None)
    if first is None:
        return
    present: set[str] = set()
    for record in read(corpus, first):
        if isinstance(record, Record):
            present.update(record.row)
    if present:
        expect_columns(corpus, path, present, always)
    yield first
    yield from fragments
