"""Which samples go into which tar: cuts that stay where they are when other data comes and goes.

Cutting after every n-th fragment would move all later cuts with the first new file, and one per cent of new data
would rewrite every tar. Here the content says where to cut, as in content-defined chunking (Muthitacharoen et
al., LBFS, SOSP 2001): a tar ends after the fragment with the smallest digest among those that leave it between a
third full and full. Two plans that differ before some fragment soon agree on one such minimum, and from their
first common cut on they are equal. A modulus of the digest, the usual rule, would have to follow the average
number of fragments in a tar, which new data changes, and with it every cut.

Measured on 300 tars' worth of fragments, 2 to 50 in a tar, 100 insertions each (`tests/shards/test_slices.py`
repeats it): a new fragment rewrites 1.2 to 2.2 tars in the mean, 7 at most; one per cent of new data in one place
rewrites 0.8 to 1.5 % of the tars; tars are 67 to 83 % full. From half full on they are 71 to 84 % full, and an
insertion rewrites up to 17; a cut wherever a digest passes a threshold fills 64 % and rewrites up to 8.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import blake3
import numpy as np
from numpy.typing import NDArray

from shards.tar import BLOCK_BYTES, RECORD_BYTES, archive_bytes

_LEAST_FULL = 1 / 3


@dataclass(frozen=True)
class FragmentLoad:
    """What a fragment of a source brings: its kept samples, in order.

    `digest` stands for the fragment and stays the same when others come and go. `sample_bytes` has one number for
    each kept sample: what it takes in a tar, at most: the sum of `tar.member_bytes` over its members.
    """

    digest: str
    sample_bytes: NDArray[np.int64]


@dataclass(frozen=True)
class SlicePart:
    """The kept samples `start:stop` of fragment number `fragment`."""

    fragment: int
    start: int
    stop: int


@dataclass(frozen=True)
class ShardSlice:
    """What one tar holds, in order."""

    parts: tuple[SlicePart, ...]
    samples: int
    bytes: int
    """Size of the tar's file by the sizes given: exact if they are, an upper bound if they are bounds."""


@dataclass(frozen=True)
class _Load:
    """A fragment that has kept samples: its number, what it takes, and its place in the lottery of cuts."""

    fragment: int
    members: int
    samples: int
    rank: bytes


@dataclass(frozen=True)
class _Limits:
    members: int
    """Bytes of members that leave room for the end of archive."""
    samples: int

    def fullness(self, members: int, samples: int) -> float:
        """Return the share of a tar that is used: 1.0 is full, more does not fit."""
        return max(members / self.members, samples / self.samples)


def plan_shards(fragments: Sequence[FragmentLoad], max_bytes: int, max_samples: int) -> list[ShardSlice]:
    """Cut the kept samples of one source into tars: every sample once, in order, no tar above a limit.

    A fragment goes into one tar as a whole; one that is larger than a tar is cut by itself and shares no tar with
    others. Only a single sample that is larger than `max_bytes` makes a tar above it, alone.

    Raises:
        ValueError: `max_samples` is below 1, or `max_bytes` below the 10,240 of the smallest archive.
    """
    if max_bytes < RECORD_BYTES or max_samples < 1:
        raise ValueError(f"shards of {max_bytes} bytes and {max_samples} samples: at least {RECORD_BYTES} and 1")
    limits = _Limits(max_bytes // RECORD_BYTES * RECORD_BYTES - 2 * BLOCK_BYTES, max_samples)
    return list(_slices(fragments, limits))


def _slices(fragments: Sequence[FragmentLoad], limits: _Limits) -> Iterator[ShardSlice]:
    """Fragments larger than a tar stand alone: a cut before and after them depends on nothing else."""
    run: list[_Load] = []
    for number, fragment in enumerate(fragments):
        load = _load(number, fragment)
        if limits.fullness(load.members, load.samples) > 1:
            yield from _cut_between(run, limits)
            run = []
            yield from _cut_inside(number, fragment.sample_bytes, limits)
        elif load.samples:
            run.append(load)
    yield from _cut_between(run, limits)


def _load(number: int, fragment: FragmentLoad) -> _Load:
    rank = blake3.blake3(fragment.digest.encode()).digest()
    return _Load(number, int(fragment.sample_bytes.sum()), len(fragment.sample_bytes), rank)


def _cut_between(run: Sequence[_Load], limits: _Limits) -> Iterator[ShardSlice]:
    start = 0
    while start < len(run):
        stop = _next_cut(run, start, limits)
        loads = run[start:stop]
        parts = tuple(SlicePart(load.fragment, 0, load.samples) for load in loads)
        yield _slice(parts, sum(load.members for load in loads))
        start = stop


def _next_cut(run: Sequence[_Load], start: int, limits: _Limits) -> int:
    """Return where the tar that begins at `start` ends: after the smallest rank between a third full and full."""
    members = samples = 0
    best: int | None = None
    for position in range(start, len(run)):
        members += run[position].members
        samples += run[position].samples
        fullness = limits.fullness(members, samples)
        if fullness > 1:
            return position if best is None else best + 1
        if fullness >= _LEAST_FULL and (best is None or run[position].rank < run[best].rank):
            best = position
    return len(run)


def _cut_inside(number: int, sample_bytes: NDArray[np.int64], limits: _Limits) -> Iterator[ShardSlice]:
    """Fill one tar after the other; a sample above the limit of bytes gets its own."""
    ends = np.cumsum(sample_bytes)
    start = 0
    while start < len(ends):
        before = int(ends[start - 1]) if start else 0
        fitting = int(np.searchsorted(ends, before + limits.members, side="right"))
        stop = max(min(fitting, start + limits.samples), start + 1)
        yield _slice((SlicePart(number, start, stop),), int(ends[stop - 1]) - before)
        start = stop


def _slice(parts: tuple[SlicePart, ...], members: int) -> ShardSlice:
    return ShardSlice(parts, sum(part.stop - part.start for part in parts), archive_bytes(members))
