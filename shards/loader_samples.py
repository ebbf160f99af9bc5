"""Samples by their places in tars: one read for neighbours, every header checked, and what is wrong told apart."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

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

T = TypeVar("T")


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


@dataclass(frozen=True, slots=True)
class RawSample:
    """A sample as the tar has it: its JSON, then suffix and bytes of every picture. Views of what was read."""

    shard: str
    key: str
    place: Place
    json: memoryview
    pictures: tuple[tuple[str, memoryview], ...]

    def bad(self, reason: str) -> BadSample:
        """This sample, as one that cannot be used."""
        return BadSample(self.shard, self.key, self.place.offset, reason)


@dataclass(frozen=True, slots=True)
class _Pending:
    """Samples on their way: their places, and per shard the spans that hold them."""

    places: Sequence[Place]
    shards: dict[int, tuple[OpenShard, list[Span], list[Future[bytes] | None]]]


class SampleReader:
    """Reads samples of a set of shards. Of a sample larger than `max_sample_bytes` no byte is read."""

    def __init__(self, shards: Shards, max_sample_bytes: int = MAX_SAMPLE_BYTES) -> None:
        self._shards = shards
        self._max_sample_bytes = max_sample_bytes
        self._fetching = Fetching()

    def read(self, places: Sequence[Place]) -> list[RawSample | BadSample]:
        """The samples at these places, in order.

        Raises:
            LoaderError: a shard is missing, another file, or cannot be read now.
        """
        return self._finish(self._begin(places))

    def read_ahead(
        self, batches: Iterable[tuple[T, Sequence[Place]]]
    ) -> Iterator[tuple[T, list[RawSample | BadSample]]]:
        """As `read` for one batch after the other, the next ones being on their way meanwhile."""
        waiting: deque[tuple[T, _Pending]] = deque()
        held = 0
        for name, places in batches:
            size = sum(place.size for place in places)
            while waiting and (len(waiting) > AHEAD or held + size > MOST_AHEAD_BYTES):
                first, pending = waiting.popleft()
                held -= sum(place.size for place in pending.places)
                yield first, self._finish(pending)
            waiting.append((name, self._begin(places)))
            held += size
        while waiting:
            first, pending = waiting.popleft()
            yield first, self._finish(pending)

    def close(self) -> None:
        """Close the shards."""
        self._fetching.close()
        self._shards.close()

    def _begin(self, places: Sequence[Place]) -> _Pending:
        pieces: dict[int, list[tuple[int, int]]] = {}
        for place in places:
            if self._fault(place) is None:
                pieces.setdefault(place.shard, []).append((place.offset, place.size))
        begun = {}
        for number, of_shard in pieces.items():
            shard = self._telling(number, self._shards.open, number)
            spans = joined(of_shard, shard.gap_bytes)
            begun[number] = (shard, spans, self._fetching.begin(shard, spans))
        return _Pending(places, begun)

    def _finish(self, pending: _Pending) -> list[RawSample | BadSample]:
        found: dict[int, list[tuple[Span, memoryview]]] = {}
        for number, (shard, spans, futures) in pending.shards.items():
            read = [
                (span, memoryview(self._telling(number, self._fetching.finish, shard, span, future)))
                for span, future in zip(spans, futures, strict=True)
            ]
            found[number] = read
        return [self._sample(place, found.get(place.shard, [])) for place in pending.places]

    def _sample(self, place: Place, read: list[tuple[Span, memoryview]]) -> RawSample | BadSample:
        name = self._shards.name(place.shard)
        fault = self._fault(place)
        if fault is not None:
            return BadSample(name, None, place.offset, fault)
        for span, data in read:
            if span.start <= place.offset and place.offset + place.size <= span.stop:
                begin = place.offset - span.start
                return parsed(name, place, data[begin : begin + place.size])
        raise AssertionError("a span for every place")

    def _fault(self, place: Place) -> str | None:
        if place.offset < 0 or place.size < BLOCK_BYTES:
            return f"the plan says {place.size} bytes: it is damaged; make it again: curate shards plan DIR"
        if place.size > self._max_sample_bytes:
            return (
                f"{place.size} bytes, more than max_sample_bytes ({self._max_sample_bytes}): not read; raise it where "
                "the memory of a worker allows that, or leave the sample out of the plan"
            )
        return None

    def _telling(self, number: int, work: Callable[..., T], *arguments: object) -> T:
        """Do work on a shard; what the system says of it is told without its words."""
        try:
            return work(*arguments)
        except LoaderError:
            raise
        except ShortReadError:
            raise LoaderError(
                f"{self._shards.name(number)}: ends before a sample that the plan names: truncated, or rewritten after "
                "the manifest; `curate shards verify DIR` says more"
            ) from None
        except StoreError as error:
            raise LoaderError(f"{self._shards.name(number)}: {error.strerror}; {error.hint}") from None
        except OSError as error:
            raise LoaderError(f"{self._shards.name(number)}: cannot be read ({error.strerror})") from None


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
