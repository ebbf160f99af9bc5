"""Reading a fragment's records, and, once that has killed three workers, reading them apart to find who kills.

Readers stream: the records before and after one cannot be asked for alone. So a process of its own tells which record
it has come to; when it dies there, the next one passes that record over.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import orjson

from pipelines.bisect import CrashedError, Failure, bisect
from pipelines.isolation import KILLS_BEFORE_ISOLATION, Apart, answered, reach
from pipelines.joins.joined import with_joined_rows
from sources.records import Corpus, Fragment, Reader, Record, Unreadable
from sources.schema import Reason

if TYPE_CHECKING:
    from pipelines.session import Session

T = TypeVar("T")
Item = Record | Unreadable
Answer = Callable[["Session", int, Corpus, str, Item], T]
"""Of a session, the number of a corpus and the corpus, a fragment's path and one of its records. Picklable."""

CRASHED = Failure.of(CrashedError()).evidence
UNREACHED = orjson.dumps({"detail": "not reached: its reader dies on a record before it in the file"}).decode()


@dataclass(frozen=True)
class Lost:
    """A record that killed who worked on it, or that stands behind one in a file which cannot be read past it."""

    record: Unreadable
    evidence: str
    """JSON for the ledger."""


@dataclass(frozen=True)
class _Marks:
    """Numbers, in the fragment, of records that killed: as they were read, or as the answer was made of them."""

    unread: frozenset[int] = frozenset()
    unanswered: frozenset[int] = frozenset()
    stop: int | None = None
    """Where reading ends: at the limit, before a record that the reader cannot pass over, or behind the last one."""

    def after(self, reached: tuple[str, int], records: int | None) -> "_Marks":
        """With the record that a process died on. One that was marked already stops the reading.

        So does what is behind the last of `records` (None: nobody knows how many there are): no record died there.
        These are never the marks as they were: either there is one more, or the stop comes earlier.
        """
        phase, number = reached
        if number in self.unread | self.unanswered or (records is not None and number >= records):
            return replace(self, stop=number)
        if phase == "read":
            return replace(self, unread=self.unread | {number})
        return replace(self, unanswered=self.unanswered | {number})


def answers(
    session: "Session", corpus: int, fragment: Fragment, limit: int | None, answer: Answer[T], attempt: int
) -> Iterator[T | Lost]:
    """An answer for each of the fragment's records, the first `limit` of them, in order.

    Raises:
        CorpusError: as the reader.
        CurateError: apart, the reading dies where no record is to blame.
    """
    if attempt < KILLS_BEFORE_ISOLATION:
        whole = with_joined_rows(session.work, session.corpora[corpus], fragment)
        for item in islice(session.reader(corpus).read(whole, fragment), limit):
            yield answer(session, corpus, whole, fragment.path, item)
    elif len(fragment.files) > 1:
        yield from islice(_by_file(session, corpus, fragment, answer), limit)
    else:
        yield from _by_record(session, corpus, fragment, limit, answer)


def _by_file(session: "Session", corpus: int, fragment: Fragment, answer: Answer[T]) -> Iterator[T | Lost]:
    """Of a folder: files are halved until the one that kills stands alone."""
    apart = Apart(partial(_files, session, corpus, fragment, answer))
    what = _shown(session, corpus, fragment)

    def read(start: int, stop: int) -> list[T | Lost]:
        return answered(partial(apart, start, stop), what)

    for piece in bisect(read, len(fragment.files)):
        if isinstance(piece.result, Failure):
            alone = replace(fragment, files=fragment.files[piece.start : piece.stop], records=1)
            yield from _by_record(session, corpus, alone, None, answer)
        else:
            yield from piece.result


def _by_record(
    session: "Session", corpus: int, fragment: Fragment, limit: int | None, answer: Answer[T]
) -> Iterator[T | Lost]:
    marks = _Marks(stop=limit)
    records = fragment.records if fragment.counted == "records" else None
    while True:
        try:
            apart = Apart(partial(_marked, session, corpus, fragment, answer, marks))
            found = answered(partial(apart, 0, fragment.records), _shown(session, corpus, fragment))
            break
        except CrashedError as crash:
            marks = marks.after(crash.reached, records)
    yield from found
    if marks.stop != limit:
        yield from _unreached(fragment, len(found), limit)


def _shown(session: "Session", corpus: int, fragment: Fragment) -> str:
    source, count = session.corpora[corpus], f"{fragment.records} {fragment.counted}"
    return f"{source.shown(fragment.path) if fragment.path else source.name}: a fragment of {count}"


def _files(
    session: "Session", corpus: int, fragment: Fragment, answer: Answer[T], start: int, stop: int
) -> list[T | Lost]:
    some = replace(fragment, files=fragment.files[start:stop])
    found = _marked(session, corpus, some, answer, _Marks(), 0, 0)
    reach(("answers", len(found)))  # those of fewer files may still be handed over
    return found


def _marked(
    session: "Session", corpus: int, fragment: Fragment, answer: Answer[T], marks: _Marks, _start: int, _stop: int
) -> list[T | Lost]:
    """In the child: read, and tell what comes next."""
    whole = with_joined_rows(session.work, session.corpora[corpus], fragment)
    items = _opened_late(session.reader(corpus), whole, replace(fragment, passed_over=marks.unread))
    found: list[T | Lost] = []
    while marks.stop is None or len(found) < marks.stop:
        number = len(found)
        reach(("read", number))
        item = next(items, None)
        if item is None:
            break
        if number in marks.unread | marks.unanswered:
            found.append(Lost(_as_unreadable(item.key), CRASHED))
            continue
        reach(("answer", number))
        found.append(answer(session, corpus, whole, fragment.path, item))
    _left_open.append(items)
    reach(None)  # what is left, handing over the answers, is no record's
    return found


_left_open: list[Iterator[Item]] = []
"""In the child: readers that stand where they were stopped. What kills as they close must not cost the answers."""


def _opened_late(reader: Reader, corpus: Corpus, fragment: Fragment) -> Iterator[Item]:
    """The fragment's records, of which nothing is read before the first is asked for, whoever wrote the reader."""
    yield from reader.read(corpus, fragment)


def _unreached(fragment: Fragment, first: int, limit: int | None) -> Iterator[Lost]:
    """The record that the reader dies on, and those behind it; where they are not counted, one for them all."""
    stop = fragment.records if limit is None else min(fragment.records, limit)
    if fragment.counted == "files":
        keys = [fragment.files[0].path if fragment.files else str(fragment.first_row + first)]
    elif fragment.files:
        keys = [entry.path for entry in fragment.files[first:stop]]
    else:
        keys = [str(fragment.first_row + number) for number in range(first, stop)]
    for number, key in enumerate(keys):
        yield Lost(_as_unreadable(key), UNREACHED if number else CRASHED)


def _as_unreadable(key: str) -> Unreadable:
    return Unreadable(key, Reason.RECORD_MALFORMED, "")
