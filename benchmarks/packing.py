"""Planning a million samples: seconds of one core, memory, fill and balance, for the stages' contexts.

    .venv/bin/python -m benchmarks.packing [SAMPLES]

The index is generated: captions and questions under pictures of 576 tokens, dialogues, and long texts, with
log-normal lengths. A greedy packer that takes samples as they come (`next fit`, what a trainer without a plan does)
is shown beside it.
"""

import io
import resource
import sys
import time
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from shards.index_file import PART, Index, IndexAbout, write_index
from shards.manifest import Manifest, Mixture, ShardEntry
from shards.mixture import PlanSettings, default_rows_per_step
from shards.plan import make_plan

SHARD_SAMPLES = 10_000


def main() -> None:
    """Print one line for each context."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    manifest = _manifest(count)
    index = _index(count)
    make_plan(_index(1000), _manifest(1000), "0" * 64, PlanSettings(context=4096, rows_per_step=8))  # compiles
    print(f"{count:,} samples; {_peak():,.0f} MB before planning")
    for context in (4_096, 16_384, 131_072):
        rows_per_step = default_rows_per_step(context)
        started = time.process_time()
        plan = make_plan(index, manifest, "0" * 64, PlanSettings(context=context, rows_per_step=rows_per_step))
        made = time.process_time() - started
        file = io.BytesIO()
        plan.write(file)
        wrote = time.process_time() - started - made
        about = plan.about
        print(
            f"context {context:>7,}: made in {made:.1f} s of CPU, written in {wrote:.1f} s "
            f"({file.tell() / 1e6:.0f} MB); {about.steps:,} steps of {rows_per_step} rows, fill {about.fill:.4f} "
            f"(next fit {_next_fit(plan.samples.tokens, context):.4f}); max/mean cost {about.balance.before:.3f} -> "
            f"{about.balance.after:.3f}; excluded {about.excluded}; peak {_peak():,.0f} MB"
        )


def _next_fit(tokens_n: np.ndarray, context: int) -> float:
    """Fill of rows that are closed as soon as the next sample does not fit."""
    rows, room = 1, context
    fits = tokens_n[tokens_n <= context]
    for length in fits.tolist():
        if length > room:
            rows, room = rows + 1, context
        room -= length
    return float(fits.sum()) / (rows * context)


def _manifest(count: int) -> Manifest:
    shards = tuple(
        ShardEntry(
            name=f"mid-s{number % 5}-{number:06d}.tar", sha256="0" * 64, bytes=1,
            samples=min(SHARD_SAMPLES, count - number * SHARD_SAMPLES), tokens=1,
            first_key="0" * 32, last_key="0" * 32,
        )
        for number in range(-(-count // SHARD_SAMPLES))
    )  # fmt: skip
    mixture = Mixture(seed=0, epochs=1, weights={})
    return Manifest(build="b", stage="mid", tokenizer="t", context_tokens=131_072, mixture=mixture, shards=shards)


def _index(count: int) -> Index:
    file = io.BytesIO()
    write_index(file, IndexAbout(build="b", tokenizer="t"), list(_parts(count)))
    return Index(pa.ipc.open_file(pa.BufferReader(file.getvalue())), IndexAbout(build="b", tokenizer="t"))


def _parts(count: int) -> Iterator[pa.Table]:
    random = np.random.default_rng(0)
    for shard, start in enumerate(range(0, count, SHARD_SAMPLES)):
        rows = min(SHARD_SAMPLES, count - start)
        kind = shard % 5
        center, width = ((4.5, 0.7), (4.0, 0.6), (4.8, 1.0), (6.0, 1.0), (7.5, 1.2))[kind]
        tokens = (12 + random.lognormal(center, width, rows)).astype(np.int32)
        size = np.full(rows, 40_960, np.int64)
        pictures = [[{"width": 1024, "height": 768}]] * rows if kind < 3 else [[]] * rows
        columns = {
            "offset": np.cumsum(size) - size, "size": size, "tokens": tokens, "loss_tokens": tokens // 2,
            "images": pictures, "source": [f"s{kind}"] * rows, "task": ["text" if kind == 4 else "vqa"] * rows,
            "modality": ["xray" if kind < 3 else ""] * rows, "license": ["CC-BY-4.0"] * rows, "access": ["open"] * rows,
        }  # fmt: skip
        yield pa.table(columns, schema=PART)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    main()
