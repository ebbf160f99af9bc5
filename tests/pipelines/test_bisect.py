import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.bisect import Failure, Piece, bisect


def covered(pieces: list[Piece[int]]) -> list[int]:
    return [row for piece in pieces for row in range(piece.start, piece.stop)]


@given(st.integers(0, 300), st.sets(st.integers(0, 299)))
def test_exactly_the_records_that_fail_are_singled_out(rows: int, poison: set[int]) -> None:
    def work(start: int, stop: int) -> int:
        if poison & set(range(start, stop)):
            raise ValueError("patient name")
        return stop - start

    pieces = list(bisect(work, rows))
    failed = {piece.start for piece in pieces if isinstance(piece.result, Failure)}
    assert failed == {row for row in poison if row < rows}
    assert covered(pieces) == list(range(rows))


def test_a_failure_tells_type_and_place_and_nothing_of_the_record() -> None:
    def work(start: int, stop: int) -> int:
        raise ValueError("MRN 0012345")

    (piece,) = bisect(work, 1)
    assert isinstance(piece.result, Failure)
    assert piece.result.exception == "ValueError"
    assert "0012345" not in piece.result.evidence
    assert "test_bisect.py" in piece.result.evidence


@pytest.mark.parametrize("error", [NameError, ImportError, MemoryError, NotImplementedError])
def test_a_programming_error_ends_the_run(error: type[Exception]) -> None:
    def work(start: int, stop: int) -> int:
        raise error

    with pytest.raises(error):
        list(bisect(work, 10))
