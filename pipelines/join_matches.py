"""How many records of a corpus match the table that its card joins, and how the values of the others are written."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice

from pipelines.progress import Reporter
from sources.cards import Join
from sources.columns import USED, columns_of, names_of
from sources.joins import Companion, form_of, left_value, match, table_of_record
from sources.records import Corpus, Record

FORMS = 3
ROWS_LOOKED_AT = 10_000


@dataclass
class Matches:
    """Counts what the joins of records find: `blank`, `none`, `one`, `several` (see `sources.joins.match`)."""

    found: Counter[str] = field(default_factory=Counter)
    _forms: Counter[str] = field(default_factory=Counter)
    _zeros: int = 0
    """Of the records that match nothing: those that would without leading zeros on either side."""
    _table: Companion | None = None
    _stripped: frozenset[str] = frozenset()
    """Of the values of `_table`, without leading zeros."""

    def see(self, corpus: Corpus, path: str, record: Record) -> None:
        """Count a record.

        Raises:
            CorpusError, RecordError: as `sources.joins.joined`.
        """
        found = match(corpus, path, record)
        if found is None or corpus.card.join is None:
            return
        self.found[found] += 1
        value = left_value(corpus.card.join, record)
        if found != "none" or value is None:
            return
        table = table_of_record(corpus, path)
        if table is not None and table is not self._table:
            self._table = table
            self._stripped = frozenset(key.lstrip("0") for key in table.rows if isinstance(key, str))
        self._forms[form_of(value)] += 1
        self._zeros += value.lstrip("0") in self._stripped

    def problems(self, corpus: Corpus) -> dict[str, int]:
        """What is to be told -> in how many records; values by their form alone."""
        join, total = corpus.card.join, sum(self.found.values())
        if join is None:
            return {}
        told: dict[str, int] = {}
        none, blank, several = (self.found[kind] for kind in ("none", "blank", "several"))
        of_all = f"of {total} records"
        if none and (none + blank == total or self._gives_content(corpus)):
            told[f"{none} {of_all} match no row of {join.path}: {self._how_written(join)}"] = none
        if blank:
            told[f"{blank} {of_all} have no {join.left} to find a row of {join.path} by"] = blank
        if several:
            what = f"{several} {of_all} match several rows of {join.path} that differ: the first is taken"
            told[f"{what}, `many: true` in `join` takes all"] = several
        return told

    def _gives_content(self, corpus: Corpus) -> bool:
        """Whether samples have words or pictures from the table: a split or a licence may be of some records only."""
        columns = columns_of(corpus.card)
        names = (*USED.get(corpus.card.task, ()), "image")
        read = {own for name in names for column in columns.get(name, ()) for own in names_of(column)}
        return self._table is not None and not read.isdisjoint(self._table.kept)

    def _how_written(self, join: Join) -> str:
        keys = () if self._table is None else islice(self._table.rows, ROWS_LOOKED_AT)
        there = Counter(form_of(str(key)) for key in keys)
        written = f"{join.left} is written like {_most(self._forms)}, {join.right} like {_most(there)}"
        if not self._zeros:
            return written
        return f"{written}; {self._zeros} match without their leading zeros: save that column as text"


def _most(forms: Counter[str]) -> str:
    return " or ".join(form for form, _ in forms.most_common(FORMS)) or "(nothing)"


def report_matches(reporter: Reporter, source: str, found: Counter[str]) -> None:
    """Say how many records of a source match no row, or several, of the table in memory that its card joins.

    People are told only where there are any; the event always has all counts.
    """
    if found:
        reporter.event("joined_in_memory", source=source, **records_counted(found))
        say_records(reporter, source, found)


def records_counted(found: Counter[str]) -> dict[str, int]:
    """What an event says of the records that were joined, of what was `found` for them."""
    counts = {"records": sum(found.values()), "records_unmatched": found["none"], "records_blank": found["blank"]}
    return {**counts, "records_several": found["several"]}


def say_records(reporter: Reporter, source: str, found: Counter[str]) -> None:
    """Say how many records match no row, or several, where there are any."""
    told = (
        (found["none"], "match no row of the joined table"),
        (found["blank"], "have nothing to match by"),
        (found["several"], "match several rows that differ, of which the first is taken"),
    )
    if parts := [f"{count:,} {what}" for count, what in told if count]:
        reporter.say(f"source {source}: of {sum(found.values()):,} records {', '.join(parts)}")
