"""The columns of a corpus against those of its card: what is absent, and what only a newer version has."""

from collections import Counter
from collections.abc import Iterable

from sources.cards import Card
from sources.columns import KEY, REST, mapped_columns, required_choices, required_columns
from sources.records import Record

TABLES = frozenset({"jsonl", "json", "llava", "csv", "parquet", "hf", "webdataset", "image_folder"})
"""Readers whose records have the columns that the corpus gives them; those of others are the reader's own."""
_PARTS_OF_TARS = frozenset({"__key__", "__url__"})


class Columns:
    """Counts the columns of records."""

    def __init__(self, card: Card) -> None:
        self.card = card
        self._counts: Counter[str] = Counter()
        self._others: set[str] = set()
        self._records = self._rowless = 0
        self._joined = card.join is not None

    def see(self, record: Record) -> None:
        """Count a record's columns."""
        own = [name for name in record.row if not name.startswith("@")]
        self._records += bool(own)
        self._rowless += not own
        self._counts.update(own)

    def see_schema(self, names: Iterable[str]) -> None:
        """Note the columns of a file whose records have only those that the card reads."""
        self._others.update(names)

    def mismatches(self, *, shown: bool) -> dict[str, int]:
        """What is not as the card says -> in how many records. Without `shown`, new columns are counted, not named."""
        if self.card.reader not in TABLES or not self._records:
            return {}
        found = {
            f"column {name!r}, which the card reads, is absent": self._records - count
            for name in sorted(required_columns(self.card))
            if not self._joined and 0 < (count := self._counts[_outermost(name, self._counts)]) < self._records
        }
        if self._rowless:
            found["a picture has no row in the metadata"] = self._rowless
        new = self._new()
        if new:
            names = ", ".join(repr(name) for name in new) if shown else f"{len(new)} columns"
            found[f"not on the card: {names}: perhaps a newer version of the corpus"] = self._records
        return found

    def _new(self) -> list[str]:
        """Columns that the card does not speak of; none of a card that does not list what it leaves out."""
        if self.card.ignored is None or REST in self.card.meta:
            return []
        choices = {name for several in required_choices(self.card) for name in several}
        known = mapped_columns(self.card) | {*self.card.ignored, *choices, KEY} | _PARTS_OF_TARS
        if self.card.reader == "llava":
            known |= {"id", "image", "images", "conversations"}
        return sorted(name for name in {*self._counts, *self._others} if name not in known)


def _outermost(column: str, there: Counter[str]) -> str:
    return column if column in there else column.partition(".")[0]
