"""Where a mixed corpus says that its records come from: what a card's `made_from` and `holds` can be held against."""

from collections import Counter
from typing import Any

from sources.records import Corpus, Record

COLUMNS = ("dataset", "source", "origin", "dataset_name")
"""Columns by which mixed corpora name the origin of a record."""
MAX_CHARACTERS = 80
MAX_DISTINCT = 50
SHOWN = 10
_WORDS = {"made_from": "made from", "holds": "holds"}


class Origins:
    """Counts the origins that the records of a corpus name; of keyed and credentialed corpora none is looked at."""

    def __init__(self, corpus: Corpus) -> None:
        card = corpus.card
        self._looks = not card.keyed and card.access != "credentialed"
        self._card = {"made_from": list(card.made_from), "holds": list(card.holds)}
        self._counts: dict[str, Counter[str]] = {}
        self._other: set[str] = set()
        """Columns with a value that is no short string: they name no origin, and nothing of them is told."""

    def see(self, record: Record) -> None:
        """Count a record's origins."""
        for name, value in record.row.items() if self._looks else ():
            if name.lower() not in COLUMNS or value is None or value == "":
                continue
            if isinstance(value, str) and len(value) <= MAX_CHARACTERS and value.isprintable():
                self._counts.setdefault(name, Counter())[value] += 1
            else:
                self._other.add(name)

    def answer(self) -> dict[str, Any]:
        """What the card says, and of each column its distinct values (None: more than 50) and the ten most frequent."""
        return {**self._card, "columns": [
            {"column": name, "distinct": None, "values": {}} if len(counts) > MAX_DISTINCT
            else {"column": name, "distinct": len(counts), "values": _most_frequent(counts)}
            for name, counts in sorted(self._counts.items()) if name not in self._other
        ]}  # fmt: skip


def _most_frequent(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:SHOWN])


def origin_lines(origins: dict[str, Any]) -> list[str]:
    """The answer for people: a line for each column, with what the card says; none where no record names an origin."""
    said = [f"{what} {', '.join(origins[key])}" for key, what in _WORDS.items() if origins[key]]
    card = f" (the card: {'; '.join(said) or 'names none'})"
    return [f"  column {row['column']!r} names {_told(row)}{card}" for row in origins["columns"]]


def _told(row: dict[str, Any]) -> str:
    if row["distinct"] is None:
        return f"more than {MAX_DISTINCT} origins"
    values = ", ".join(f"{value} ({count})" for value, count in row["values"].items())
    left = row["distinct"] - len(row["values"])
    return (
        f"{row['distinct']} origin{'s' if row['distinct'] > 1 else ''}: {values}{f' and {left} more' if left else ''}"
    )
