"""Records that hold several samples: a column with a list of questions, or a mapping of them by name."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from sources.records import Corpus, Fragment, Record, Unreadable

EACH = "each"
"""Option of a card: the column each of whose items becomes a record of its own."""


def several(corpus: Corpus, fragments: Iterator[Fragment]) -> Iterator[Fragment]:
    """The fragments, saying that how many records they hold is known once they are read."""
    if EACH not in corpus.card.options:
        yield from fragments
        return
    for fragment in fragments:
        yield replace(fragment, counted="files")


def parts_of(corpus: Corpus, items: Iterator[Record | Unreadable]) -> Iterator[Record | Unreadable]:
    """A record for each item of the column `each`: the whole record with that item alone in the column.

    Its key is `KEY/NAME`, or `KEY/NUMBER` of a list. Items that are null are left out; a record without any is one
    record with nothing in the column.
    """
    column = corpus.card.options.get(EACH)
    return items if column is None else _parts(str(column), items)


def _parts(column: str, items: Iterator[Record | Unreadable]) -> Iterator[Record | Unreadable]:
    for item in items:
        if isinstance(item, Unreadable):
            yield item
            continue
        own = _own_items(item.row.get(column))
        if not own:
            yield replace(item, row={**item.row, column: None})
        for name, value in own:
            yield replace(item, key=f"{item.key}/{name}", row={**item.row, column: value})


def _own_items(value: object) -> list[tuple[str, object]]:
    if isinstance(value, Mapping):
        named = [(str(name), one) for name, one in value.items()]
    elif isinstance(value, list | tuple):
        named = [(str(number), one) for number, one in enumerate(value)]
    else:
        named = []
    return [(name, one) for name, one in named if one is not None]
