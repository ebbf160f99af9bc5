"""Samples by their places in tars: one read for neighbours, every header checked, and what is wrong told apart."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from shards.loader_order import LoaderError
from shards.loader_ranges import Fetching, OpenShard, ShortReadError, Span, joined
from shards.loader_shards import Shards
from shards.names import JSON_SUFFIX, split_member
from shards.plan_file import Place
from shards.tar import BLOCK_BYTES, TarError, parse_header
from sources.storage import StoreError

MAX_SAMPLE_BYTES = 2**30
AHEAD = 4
"""Steps on their way while one is made into rows."""
MOST_AHEAD_BYTES = 128 * 2**20
"""Of what is read for them, what lies between their samples included; a larger step is read alone."""
GAP_SHARES = (1, 2, 4, 8, 16, 32)
"""Gaps across which a step is joined, `gap_bytes` over each: the first with which two steps can be on their way, or
that reads no more than twice what is wanted, else the last."""

T = TypeVar("T")
_DONE: Future[bytes] = Future()
"""Stands for one whose bytes are not needed any more."""


class SampleFault(ValueError):  # noqa: N818 - a finding, not a failure
    """A sample cannot be used. The message holds nothing of its content."""


@dataclass(frozen=True)
class BadSample:
    """A sample that was left out: in which tar, under which key (None: its header cannot be read), where, why."""

    shard: str
    key: str | None
    offset: int
    reason: str

    def __str__(self) -> str:
        return f"{self.shard}: sample {self.key or '(unreadable)'} at byte {self.offset}: {self.reason}"


class RawSample(NamedTuple):
    """A sample as the tar has it: its JSON, then suffix and bytes of every picture. Views of what was read."""

    shard: str
    key: str
    place: Place
    json: memoryview
    pictures: tuple[tuple[str, memoryview], ...]

    def bad(self, reason: str) -> BadSample:
        """This sample, as one that cannot be used."""
        return BadSample(self.shard, self.key, self.place.offset, reason)


@dataclass
class _Reading:
    """What is read of one shard: spans by their beginnings, and how many samples still need each."""

    shard: OpenShard
    name: str
    spans: list[Span]
    starts: list[int]
    needed: list[int]
    futures: list[Future[bytes]] | None = None
    data: dict[int, memoryview] = field(default_factory=dict)

    def span_of(self, place: Place) -> int:
        """The number of the span that holds a place."""
        return bisect_right(self.starts, place.offset) - 1


class _Pending(NamedTuple):
    """Samples to be read: their places, what is read of each shard, and its bytes."""

    places: Sequence[Place]
    readings: dict[int, _Reading]
    size: int


class SampleReader:
    """Reads samples of a set of shards. Of a sample larger than `max_sample_bytes` only its first header is read."""

    def __init__(self, shards: Shards, max_sample_bytes: int = MAX_SAMPLE_BYTES) -> None:
        self._shards = shards
        self._max_sample_bytes = max_sample_bytes
        self._fetching = Fetching()

    def read(self, places: Sequence[Place]) -> list[RawSample | BadSample]:
        """The samples at these places, in order.

        Raises:
            LoaderError: a shard is missing, another file, or cannot be read now.
        """
        pending = self._pending(places)
        self._begin(pending)
        return list(self._finish(pending))

    def read_ahead(
        self, batches: Iterable[tuple[T, Sequence[Place]]]
    ) -> Iterator[tuple[T, Iterator[RawSample | BadSample]]]:
        """As `read` for one batch after the other, the next ones being on their way meanwhile.

        The samples of a batch come one by one, each to be done with before the next: then they fit into the caches
        of the processor.
        """
        waiting: deque[tuple[T, _Pending]] = deque()
        held = 0
        for name, places in batches:
            pending = self._pending(places)
            while waiting and (len(waiting) > AHEAD or held + pending.size > MOST_AHEAD_BYTES):
                first, begun = waiting.popleft()
                held -= begun.size
                yield first, self._finish(begun)
            self._begin(pending)
            waiting.append((name, pending))
            held += pending.size
        while waiting:
            first, begun = waiting.popleft()
            yield first, self._finish(begun)

    def close(self) -> None:
        """Close the shards."""
        self._fetching.close()
        self._shards.close()

    def _pending(self, places: Sequence[Place]) -> _Pending:
        by_shard: dict[int, list[Place]] = {}
        for place in places:
            if self._fault(place) is None:
                by_shard.setdefault(place.shard, []).append(place)
        shards = {number: self._open(number) for number in by_shard}
        spans = spans_of_step(by_shard, {number: shard.gap_bytes for number, shard in shards.items()})
        readings = {
            number: _reading(shards[number], self._shards.name(number), spans[number], some)
            for number, some in by_shard.items()
        }
        return _Pending(places, readings, sum(span.stop - span.start for some in spans.values() for span in some))

    def _begin(self, pending: _Pending) -> None:
        for reading in pending.readings.values():
            reading.futures = self._fetching.begin(reading.shard, reading.spans)

    def _open(self, number: int) -> OpenShard:
        with _telling(self._shards.name(number)):
            return self._shards.open(number)

    def _finish(self, pending: _Pending) -> Iterator[RawSample | BadSample]:
        for place in pending.places:
            reading = pending.readings.get(place.shard)
            fault = self._fault(place)
            if reading is None or fault is not None:
                yield BadSample(self._shards.name(place.shard), self._key_at(place), place.offset, fault or "")
            else:
                yield parsed(reading.name, place, self._bytes_of(reading, place))

    def _bytes_of(self, reading: _Reading, place: Place) -> memoryview:
        number = reading.span_of(place)
        span = reading.spans[number]
        data = reading.data.pop(number, None)
        if data is None:
            with _telling(reading.name):
                future = None if reading.futures is None else reading.futures[number]
                data = memoryview(self._fetching.finish(reading.shard, span, future))
        reading.needed[number] -= 1
        if reading.needed[number]:
            reading.data[number] = data
        elif reading.futures is not None:
            reading.futures[number] = _DONE
        begin = place.offset - span.start
        return data[begin : begin + place.size]

    def _key_at(self, place: Place) -> str | None:
        """The key of a sample that is not read, from its first header."""
        if place.offset < 0:
            return None
        with _telling(self._shards.name(place.shard)):
            block = self._shards.open(place.shard).read(Span(place.offset, place.offset + BLOCK_BYTES))
        try:
            split = split_member(parse_header(block)[0])
        except TarError:
            return None
        return None if split is None else split[0]

    def _fault(self, place: Place) -> str | None:
        if place.offset < 0 or place.size < BLOCK_BYTES:
            return f"the plan says {place.size} bytes: it is damaged; make it again: curate shards plan DIR"
        if place.size > self._max_sample_bytes:
            return (
                f"{place.size} bytes, more than max_sample_bytes ({self._max_sample_bytes}): not read; raise it where "
                "the memory of a worker allows that, or leave the sample out of the plan"
            )
        return None


def spans_of_step(by_shard: Mapping[int, Sequence[Place]], gaps: Mapping[int, int]) -> dict[int, list[Span]]:
    """What is read of each shard for a step's samples, joined across its gap, or less as `GAP_SHARES` says."""
    wanted = sum(place.size for some in by_shard.values() for place in some)
    spans: dict[int, list[Span]] = {}
    for share in GAP_SHARES:
        spans = {
            number: joined([(place.offset, place.size) for place in some], gaps[number] // share)
            for number, some in by_shard.items()
        }
        size = sum(span.stop - span.start for some in spans.values() for span in some)
        if size <= max(MOST_AHEAD_BYTES // 2, 2 * wanted):
            break
    return spans


def _reading(shard: OpenShard, name: str, spans: list[Span], places: Sequence[Place]) -> _Reading:
    reading = _Reading(shard, name, spans, [span.start for span in spans], [0] * len(spans))
    for place in places:
        reading.needed[reading.span_of(place)] += 1
    return reading


@contextmanager
def _telling(shard: str) -> Iterator[None]:
    """What the system says of a shard, told without its words."""
    try:
        yield
    except ShortReadError:
        raise LoaderError(
            f"{shard}: ends before a sample that the plan names: truncated, or rewritten after the manifest; "
            "`curate shards verify DIR` says more"
        ) from None
    except StoreError as error:
        raise LoaderError(f"{shard}: {error.strerror}; {error.hint}") from None
    except OSError as error:
        raise LoaderError(f"{shard}: cannot be read ({error.strerror})") from None


def parsed(shard: str, place: Place, data: memoryview) -> RawSample | BadSample:
    """The members of a sample, out of the bytes that the plan says it takes."""
    key: str | None = None
    members: list[tuple[str, memoryview]] = []
    position = 0
    while position < place.size:
        try:
            name, size = parse_header(bytes(data[position : position + BLOCK_BYTES]))
        except TarError:
            return BadSample(shard, key, place.offset, f"no header of ours at byte {place.offset + position}: damaged")
        split = split_member(name)
        if split is None or (key is not None and split[0] != key):
            return BadSample(shard, key, place.offset, "another sample lies where the plan says it goes on")
        key = split[0]
        begin = position + BLOCK_BYTES
        members.append((split[1], data[begin : begin + size]))
        position = begin + size + -size % BLOCK_BYTES
    if position != place.size or members[0][0] != JSON_SUFFIX:
        return BadSample(shard, key, place.offset, "its members are not where the plan says: damaged, or rewritten")
    return RawSample(shard, key or "", place, members[0][1], tuple(members[1:]))
