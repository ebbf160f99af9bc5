"""Planning a file that has killed three workers: the records that planning looks into may be passed over.

Readers look into the first records of a file for the columns that its card maps. What kills there, ingest meets again
and quarantines; it need not keep the file from being cut.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from pipelines.bisect import CrashedError
from pipelines.isolation import Apart, answered, reach
from pipelines.work import Commit
from sources.records import Corpus, Fragment, Reader, Record, Unreadable

if TYPE_CHECKING:
    from pipelines.session import Session

PLAN_S = 6 * 3600.0
"""Without a fragment or a record: an archive is read whole before its first one, a TB of it at 50 MB/s."""
PASSED_OVER = 3
"""So many records that kill are passed over; then columns are taken to be there, as in a file without a sound record.

To find each of them takes a process, or, where it hangs, ten minutes.
"""
Place = tuple[int, int]
"""A record: the row its fragment begins with, and its number in the fragment."""
Cut = Callable[["Session", Reader], Commit]


@dataclass(frozen=True)
class _Look:
    """What may be looked into: nothing at all if `blind`."""

    passed_over: frozenset[Place] = frozenset()
    blind: bool = False

    def after(self, place: Place) -> "_Look":
        """Without the record that a process died on; blind if it was to be passed over, or there are too many."""
        blind = place in self.passed_over or len(self.passed_over) == PASSED_OVER
        return _Look(self.passed_over | {place}, blind)


def planned_apart(session: "Session", corpus: int, path: str, cut: Cut) -> Commit:
    """What `cut` commits, in a process of its own; picklable, it cuts the file with the reader it is given.

    Raises:
        CurateError: it dies or hangs where no record is looked into.
    """
    look, what = _Look(), session.corpora[corpus].shown(path)
    while True:
        try:
            apart = Apart(partial(_cut, session, corpus, cut, look), PLAN_S)
            return answered(partial(apart, 0, 0), f"{what}: its plan")
        except CrashedError as crash:
            look = look.after(crash.reached)


def _cut(session: "Session", corpus: int, cut: Cut, look: _Look, _start: int, _stop: int) -> Commit:
    """In the child: `reader.plan` looks into records with `reader.read`."""
    reader = session.reader(corpus)
    with suppress(AttributeError):  # a reader of others that is not to be changed is not told of
        reader.read = partial(_looked_into, reader.read, look)  # type: ignore[method-assign]
    return cut(session, reader)


def _looked_into(
    read: Callable[[Corpus, Fragment], Iterator[Record | Unreadable]], look: _Look, corpus: Corpus, fragment: Fragment
) -> Iterator[Record | Unreadable]:
    """The records, but for those passed over; each is told before it is read."""
    if look.blind:
        return
    first = fragment.first_row
    unread = frozenset(number for row, number in look.passed_over if row == first)
    try:
        reach((first, 0))  # readers of others may read as they are called
        items = read(corpus, replace(fragment, passed_over=unread))
        for number in count():
            reach((first, number))
            item = next(items, None)
            if item is None:
                return
            if number not in unread:
                yield item
    finally:
        reach(None)
