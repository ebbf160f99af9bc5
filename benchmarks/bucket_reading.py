"""What the gap across which reads are joined costs in a bucket: `python -m benchmarks.bucket_reading SHARDS`.

Requests and bytes are counted over the plan of a folder of shards, for one worker of one of several ranks. Seconds are
computed: 20 ms to the first byte, then 50 or 12.5 MB/s a stream, over the requests that a worker has on their way, its
own work apart. Prints the first five rows of the table of docs/loader.md.
"""

import argparse
from collections.abc import Iterable, Iterator
from heapq import heapreplace
from pathlib import Path

from shards.loader_order import rows_of_rank
from shards.loader_ranges import REQUESTS_AT_ONCE
from shards.loader_samples import spans_of_step
from shards.plan_file import Place, Plan, open_plan
from sources.storage import LocalFolder

FIRST_BYTE_S = 0.02
STREAM_BYTES_S = (50e6, 12.5e6)


def steps(plan: Plan, world: int) -> Iterator[dict[int, list[Place]]]:
    """The samples that rank 0 needs for each step, by shard."""
    for step in range(plan.steps):
        numbers = rows_of_rank(step, plan.about.rows_per_step, 0, world)
        by_shard: dict[int, list[Place]] = {}
        for row in plan.rows(numbers.start, numbers.stop, numbers.step):
            for place in row.samples:
                by_shard.setdefault(place.shard, []).append(place)
        yield by_shard


def seconds(sizes: Iterable[int], stream: float) -> float:
    """How long requests take, each begun when one of those before it is done."""
    free = [0.0] * REQUESTS_AT_ONCE
    for size in sizes:
        heapreplace(free, free[0] + FIRST_BYTE_S + size / stream)
    return max(free)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 4, 16])
    given = parser.parse_args()
    plan = open_plan(LocalFolder(given.shards))
    print("| ranks | gap, KiB | requests | MB read | largest step | s at 50 MB/s | s at 12.5 MB/s |")
    print(f"|{'---|' * 7}")
    for world in given.ranks:
        wanted = list(steps(plan, world))
        for gap in (2**power for power in range(16, 21)):
            sizes = [
                [
                    span.stop - span.start
                    for spans in spans_of_step(step, dict.fromkeys(step, gap)).values()
                    for span in spans
                ]
                for step in wanted
            ]
            flat = [size for step in sizes for size in step]
            took = " | ".join(f"{seconds(flat, stream):.2f}" for stream in STREAM_BYTES_S)
            largest = max(sum(step) for step in sizes) / 1e6
            print(f"| {world} | {gap // 1024} | {len(flat)} | {sum(flat) / 1e6:.0f} | {largest:.0f} | {took} |")


if __name__ == "__main__":
    main()
