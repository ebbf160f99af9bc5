from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.mixture import hashes
from shards.packing import packed
from shards.packing_pairs import packed_in_pairs

WAYS = pytest.mark.parametrize("pack", [packed, packed_in_pairs])


def best_fit_decreasing(lengths: list[int], context: int) -> int:
    """How many rows the textbook's algorithm makes."""
    rooms: list[int] = []
    for length in sorted(lengths, reverse=True):
        fits = [(room, number) for number, room in enumerate(rooms) if room >= length]
        number = min(fits)[1] if fits else len(rooms)
        if not fits:
            rooms.append(context)
        rooms[number] -= length
    return len(rooms)


def packed_by(pack: Callable[..., np.ndarray], lengths: list[int], context: int) -> np.ndarray:
    return pack(np.array(lengths, np.int32), context, hashes(0, 0, 3, len(lengths)))


def fill(lengths: np.ndarray, rows: np.ndarray, context: int) -> float:
    return float(lengths.sum() / ((rows.max() + 1) * context))


@WAYS
@given(st.integers(1, 80), st.data())
def test_every_document_lies_whole_in_one_row_and_no_row_is_longer_than_the_context(
    pack: Callable[..., np.ndarray], context: int, data: st.DataObject
) -> None:
    lengths = data.draw(st.lists(st.integers(1, context), min_size=1, max_size=50))
    rows = packed_by(pack, lengths, context)
    sums = np.bincount(rows, weights=lengths)
    assert len(rows) == len(lengths)
    assert sums.max() <= context
    assert sums.min() > 0  # rows are numbered without gaps


@given(st.lists(st.integers(7, 100), min_size=1, max_size=60))
def test_long_documents_take_no_more_rows_than_best_fit_decreasing(lengths: list[int]) -> None:
    assert packed_by(packed, lengths, 100).max() + 1 <= best_fit_decreasing(lengths, 100)


def test_pictures_with_captions_fill_more_than_95_per_cent_of_rows_of_4096() -> None:
    lengths = (576 + np.random.default_rng(0).lognormal(4.5, 1, 20_000)).astype(np.int32).clip(1, 4096)
    rows = packed(lengths, 4096, hashes(0, 0, 3, len(lengths)))
    assert fill(lengths, rows, 4096) > 0.97
    assert best_fit_decreasing(lengths[:2000].tolist(), 4096) * 4096 > lengths[:2000].sum() / 0.95  # it alone does not


def test_short_documents_fill_the_rooms_that_long_ones_leave() -> None:
    lengths = np.array([*[90_000] * 50, *[300] * 6000], np.int32)
    rows = packed(lengths, 131_072, hashes(0, 0, 3, len(lengths)))
    assert rows.max() + 1 == 50
    assert fill(lengths, rows, 131_072) > 0.95


def test_rows_of_short_documents_hold_those_of_all_lengths() -> None:
    lengths = np.array([*[100] * 5000, *[50] * 5000], np.int32)
    rows = packed(lengths, 10_000, hashes(0, 0, 3, len(lengths)))
    shares = np.bincount(rows, weights=lengths == 50) / np.bincount(rows)
    assert (np.abs(shares[:-1] - 0.5) < 0.25).all()


@pytest.mark.parametrize("length", [0, 11])
def test_a_length_that_fits_no_row_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="lengths of 1 to 10"):
        packed_by(packed, [5, length], 10)


def test_nothing_is_packed_into_no_rows() -> None:
    assert packed_by(packed, [], 10).tolist() == []
