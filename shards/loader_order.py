"""Which step comes next, and which of its rows are whose: arithmetic on integers, so that any point can be gone to.

The order is the plan's: global row r belongs to step r // rows_per_step. Of a step, rank k of W takes rows
k, k + W, k + 2 W, ...: as many as every other rank, and (rows of a step lie there by cost) about equally dear ones.
Of the steps from the one resumed at, worker w of n takes every n-th. So no count, shard or file decides who reads
what, and a state is the number of the next step.
"""


class LoaderError(Exception):
    """Rows cannot be loaded. The message names what is wrong and says what to do; it holds nothing of a sample."""


def check_ranks(rows_per_step: int, rank: int, world: int) -> None:
    """Refuse a number of ranks that would get different numbers of rows.

    Raises:
        LoaderError: `world` does not divide `rows_per_step`, or there is no such rank.
    """
    if world < 1 or not 0 <= rank < world:
        raise LoaderError(f"rank {rank} of {world}: ranks are 0 to world - 1")
    if rows_per_step % world == 0:
        return
    fitting = ", ".join(str(number) for number in range(1, rows_per_step + 1) if rows_per_step % number == 0)
    what = "there are fewer rows than ranks" if world > rows_per_step else "ranks would get different numbers of rows"
    raise LoaderError(
        f"{world} ranks for {rows_per_step} rows a step: {what}. Train on {fitting} ranks, or make another plan: "
        f"curate shards plan DIR --set rows_per_step={-(-rows_per_step // world) * world}"
    )


def rows_of_rank(step: int, rows_per_step: int, rank: int, world: int) -> range:
    """Global numbers of the rows of a step that a rank trains on."""
    return range(step * rows_per_step + rank, (step + 1) * rows_per_step, world)


def steps_of_worker(start: int, steps: int, worker: int = 0, workers: int = 1) -> range:
    """The steps from `start` on that one of several workers reads; asked in turn, they give all steps in order."""
    return range(start + worker, steps, workers)
