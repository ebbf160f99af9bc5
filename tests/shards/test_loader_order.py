import random
from collections.abc import Iterator

import pytest

from shards.loader_order import LoaderError, check_ranks, rows_of_rank, steps_of_worker

STOPS = 1000
WORKERS = (0, 1, 3)
WORLDS = (1, 2, 4)


def batches(start: int, steps: int, rows_per_step: int, world: int, workers: int) -> Iterator[list[list[int]]]:
    """The rows of every rank, step by step, as PyTorch asks its workers: in turn, each two steps ahead."""
    number = max(workers, 1)
    mine = [steps_of_worker(start, steps, worker, number) for worker in range(number)]
    asked = [list(numbers) for numbers in mine]
    for turn in range(max(map(len, asked), default=0)):
        for numbers in asked:
            if turn < len(numbers):
                yield [list(rows_of_rank(numbers[turn], rows_per_step, rank, world)) for rank in range(world)]


def global_batches(given: Iterator[list[list[int]]]) -> list[list[int]]:
    """The rows of each step, whoever has them."""
    return [sorted(row for rows in ranks for row in rows) for ranks in given]


def test_a_run_stopped_anywhere_and_resumed_on_other_ranks_and_workers_trains_on_the_same_batches() -> None:
    chance = random.Random(6)
    for _ in range(STOPS):
        steps, rows_per_step = chance.randrange(1, 20), 4 * chance.randrange(1, 5)
        stop = chance.randrange(steps + 1)
        undisturbed = [list(range(step * rows_per_step, (step + 1) * rows_per_step)) for step in range(steps)]
        for workers in WORKERS:
            for world in WORLDS:
                before = global_batches(batches(0, steps, rows_per_step, world, workers))[:stop]
                resumed_workers, resumed_world = chance.choice(WORKERS), chance.choice(WORLDS)
                after = global_batches(batches(stop, steps, rows_per_step, resumed_world, resumed_workers))
                assert before + after == undisturbed


@pytest.mark.parametrize("world", [1, 2, 3, 4, 6, 12])
def test_every_rank_has_as_many_rows_and_each_row_has_one_rank(world: int) -> None:
    check_ranks(12, 0, world)
    shares = [rows_of_rank(5, 12, rank, world) for rank in range(world)]
    assert {len(share) for share in shares} == {12 // world}
    assert sorted(row for share in shares for row in share) == list(range(60, 72))


def test_rows_of_about_equal_cost_meet_on_all_ranks() -> None:
    """Rows lie in a step by cost: the m-th rows of all ranks are neighbours."""
    shares = [rows_of_rank(0, 12, rank, 4) for rank in range(4)]
    assert [sorted(rows) for rows in zip(*shares, strict=True)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_a_world_that_does_not_divide_is_told_with_those_that_do() -> None:
    with pytest.raises(LoaderError, match=r"5 ranks for 12 rows a step.*Train on 1, 2, 3, 4, 6, 12 ranks.*step=15"):
        check_ranks(12, 0, 5)


def test_more_ranks_than_rows_are_told() -> None:
    with pytest.raises(LoaderError, match=r"16 ranks for 8 rows a step: there are fewer rows than ranks.*step=16"):
        check_ranks(8, 0, 16)


@pytest.mark.parametrize(("rank", "world"), [(4, 4), (-1, 4), (0, 0)])
def test_a_rank_that_does_not_exist_is_told(rank: int, world: int) -> None:
    with pytest.raises(LoaderError, match="ranks are 0 to world - 1"):
        check_ranks(12, rank, world)
