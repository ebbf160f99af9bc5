"""Near-duplicate text: speed of the kernels, and recall and false removals beside peers on the same documents.

    python -m benchmarks.near_text [--documents 22000] [--peers PYTHON] [--core 0] [--shingles] [--json]

`--peers` is an interpreter that has datatrove, daft, rensa and datasketch; those it has not are left out. With
`--core` everything, peers too, is pinned to one core. Rates of kernels are per second of CPU time of their thread.
`curate` is from Parquet to who is dropped in one process: texts, keys, buckets, comparison, survivors. `curate step` is
the step as a build runs it, on the local engine with `--workers` processes (benchmarks/near_text_step.py); `startup_s`,
until the workers have run it once on a few texts, is not in `seconds`. Peers are timed from their imports on, as their
documentation uses them (one process, and what threads they take); "rensa-rho" and "datasketch-bulk" are the quickest
ways those two have. Of `--repeats` runs of the step and of each peer, one after the other, the median is shown.
`--shingles` prints the table by which the form of shingles was chosen (docs/near_text.md).
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import blake3
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.near_text_corpus import Corpus, as_samples, made_corpus
from benchmarks.near_text_step import step_on_the_engine
from dedup.bands import items_of, proposed_pairs
from dedup.groups import survivors
from dedup.guards import guards
from dedup.kernels.buffers import texts_of
from dedup.kernels.comparison import compare
from dedup.kernels.signatures import band_digests, signatures_of
from dedup.order import survivor_order
from dedup.text import NearText, comparable_texts, verify_texts

FRAGMENT = 4096
PAIRS_AT_ONCE = 20_000
PEERS = ("datatrove", "daft", "rensa", "rensa-verified", "rensa-rho", "datasketch", "datasketch-bulk")
LARGEST_FOR = {"datasketch-bulk": 1_000_000}
"""Documents above which a peer is left out: it holds all in memory."""


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, nargs="+", default=[22_000])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jaccard", type=float, default=0.8)
    parser.add_argument("--peers", help="a Python interpreter that has them")
    parser.add_argument("--core", type=int, help="pin everything to this core")
    parser.add_argument("--workers", type=int, default=2, help="of the step on the local engine")
    parser.add_argument("--partition-rows", type=int, nargs="+", help="run the step with these, for its memory")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=PEERS, default=PEERS, help="these peers")
    parser.add_argument("--shingles", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    said = []
    for row in _rows_said(given):
        said.append(row)
        if not given.json:
            print("  ".join(f"{name} {_shown(value)}" for name, value in row.items()), flush=True)
    if given.json:
        print(json.dumps(said))


def _rows_said(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    yield from _compilation()
    for count in given.documents:
        corpus = made_corpus(count, given.seed)
        if count == given.documents[0]:
            yield from _kernels(corpus)
            if given.shingles:
                yield from _shingles(corpus)
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "texts.parquet"
            pq.write_table(
                pa.table({"row": np.arange(count), "id": [f"row{row}" for row in range(count)], "text": corpus.texts}),
                path,
            )
            yield _measured("curate", corpus, _deduplicated(path, given.jaccard))
            for rows in given.partition_rows or (None,):
                answers = [step_on_the_engine(path, given.jaccard, given.workers, rows) for _ in range(given.repeats)]
                name = "curate step" if rows is None else f"curate step, partitions of {rows:,} bands"
                mine = _measured(name, corpus, _median(answers))
                yield mine
            for peer in given.only if given.peers else ():
                yield _beside(mine, _peer(given.peers, peer, path, corpus, given.repeats))


def _compilation() -> Iterator[dict[str, Any]]:
    """Seconds until the kernels have run once: compiled, or loaded where they are on disk."""
    started = time.perf_counter()
    step = NearText()
    keys = step.keys(as_samples(pa.array(["a text of some words"] * 9)), pa.array(range(9), pa.int32()), {})
    proposed_pairs(keys.append_column("fragment", pa.array(np.zeros(keys.num_rows, np.int32))))
    verify_texts(pa.array(["a text"]), pa.array(["no text"]))
    survivors(np.zeros((1, 2), np.uint32), np.zeros(1, np.uint32))
    yield {"what": "first call (compiled or from the cache)", "seconds": time.perf_counter() - started}


def _kernels(corpus: Corpus) -> Iterator[dict[str, Any]]:
    texts = texts_of(corpus.texts.slice(0, 20_000))
    size = int(texts.offsets[-1] - texts.offsets[0])
    pieces = [texts.data[start:stop].tobytes() for start, stop in pairwise(texts.offsets)]
    rates = {
        "blake3 of the same texts": _rate(lambda: [blake3.blake3(piece).digest() for piece in pieces], size),
        "signatures over words": _rate(lambda: signatures_of(texts), size),
        "signatures over letters": _rate(lambda: signatures_of(texts, letters=True), size),
    }
    for name, rate in rates.items():
        ratio = rates["blake3 of the same texts"] / rate
        yield {"what": name, "mb_per_s": rate / 1e6, "blake3_ratio": ratio, "bytes_per_text": size / len(pieces)}
    signatures_NK, _ = signatures_of(texts)
    yield {"what": "bands", "texts_per_s": _rate(lambda: band_digests(signatures_NK, 16, 8), len(pieces))}
    sides = [texts_of(corpus.texts.take(pa.array(corpus.copies[:5000, side]))) for side in (0, 1)]
    rate = _rate(lambda: compare(*sides, 0.8, guards()), len(sides[0].offsets) - 1)
    yield {"what": "comparison of duplicates", "us_per_pair": 1e6 / rate}
    table = as_samples(corpus.texts.slice(0, 20_000))
    yield {"what": "comparable_texts", "mb_per_s": _rate(lambda: comparable_texts(table), size) / 1e6}


def _rate(work: Callable[[], object], amount: int) -> float:
    """Amount per second of CPU time of this thread; the best of three."""
    seconds = []
    for _ in range(3):
        started = time.thread_time()
        work()
        seconds.append(time.thread_time() - started)
    return amount / min(seconds)


def _deduplicated(path: Path, jaccard: float) -> dict[str, Any]:
    step, timings, used = NearText(jaccard=jaccard), {}, time.process_time()
    started = at = time.perf_counter()
    texts, keys = [], []
    for number, batch in enumerate(pq.ParquetFile(path).iter_batches(FRAGMENT)):
        samples = as_samples(batch["text"])
        texts.append(comparable_texts(samples))
        sent = step.keys_of_texts(texts[-1], survivor_order(samples), np.arange(len(batch), dtype=np.int32))
        keys.append(sent.append_column("fragment", pa.array(np.full(sent.num_rows, number, np.int32))))
    timings["keys"], at = time.perf_counter() - at, time.perf_counter()
    table = pa.concat_tables(keys)
    buckets = proposed_pairs(table)
    pairs_M2 = np.column_stack([_rows(items_of(buckets.pairs)), _rows(items_of(buckets.pairs, "other_"))])
    timings["buckets"], at = time.perf_counter() - at, time.perf_counter()
    everything = pa.concat_arrays(texts)
    verdicts = []
    for start in range(0, len(pairs_M2), PAIRS_AT_ONCE):
        one, other = (everything.take(pa.array(side)) for side in pairs_M2[start : start + PAIRS_AT_ONCE].T)
        verdicts.extend(verify_texts(one, other, jaccard)["verdict"].to_pylist())
    accepted = pairs_M2[np.array(verdicts, object) == "accepted"] if verdicts else pairs_M2
    timings["verify"], at = time.perf_counter() - at, time.perf_counter()
    leaders = survivors(accepted.astype(np.uint32), np.arange(len(everything), dtype=np.uint32))
    timings["survivors"] = time.perf_counter() - at
    names, counts = np.unique(np.array(verdicts, str), return_counts=True)
    return {
        "seconds": time.perf_counter() - started,
        "cpu_s": time.process_time() - used,
        "dropped": np.flatnonzero(leaders >= 0).tolist(),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        **{f"{name}_s": seconds for name, seconds in timings.items()},
        "verdicts": dict(zip(names.tolist(), counts.tolist(), strict=True)),
    }


def _rows(items: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    return ((items >> np.uint64(32)) * np.uint64(FRAGMENT) + (items & np.uint64(0xFFFFFFFF))).astype(np.int64)


def _measured(name: str, corpus: Corpus, answer: dict[str, Any]) -> dict[str, Any]:
    """Recall of planted copies, removals of hard negatives, and of anything else that was not planted."""
    dropped = np.zeros(len(corpus.texts), bool)
    dropped[answer.pop("dropped")] = True
    in_copies = np.zeros(len(dropped), bool)
    in_copies[corpus.copies.ravel()] = True
    return {
        "what": name,
        "documents": len(dropped),
        "recall": float(dropped[corpus.copies].any(axis=1).mean()),
        "hard_negatives_removed": int(dropped[corpus.negatives].any(axis=1).sum()),
        "of": len(corpus.negatives),
        "others_removed": int((dropped & ~in_copies).sum() - dropped[corpus.negatives].sum()),
        **answer,
    }


def _beside(mine: dict[str, Any], peer: dict[str, Any]) -> dict[str, Any]:
    """The peer's row, and how many times as long, and as much CPU, it took."""
    if "seconds" not in peer:
        return peer
    return {**peer, **{f"{name}_over_step": peer[name] / mine[name] for name in ("seconds", "cpu_s")}}


def _median(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """The answer that took the median time (of two the slower), with the times of all."""
    told = sorted(answers, key=lambda answer: float(answer["seconds"]))
    return {**told[len(told) // 2], **({"runs_s": [round(one["seconds"], 3) for one in told]} if told[1:] else {})}


def _peer(python: str, peer: str, path: Path, corpus: Corpus, repeats: int) -> dict[str, Any]:
    if len(corpus.texts) > LARGEST_FOR.get(peer, len(corpus.texts)):
        return {"what": peer, "documents": len(corpus.texts), "skipped": "would take hours"}
    script = Path(__file__).with_name("near_text_peers.py")
    environment = os.environ | {"DO_NOT_TRACK": "true"}
    answers = []
    for _ in range(repeats):
        done = subprocess.run(
            [python, script, peer, path], capture_output=True, text=True, check=False, env=environment, cwd=path.parent
        )
        if done.returncode:
            why = next((line for line in done.stderr.splitlines() if "Error:" in line), "no answer")
            return {"what": peer, "skipped": why[:200]}
        answers.append(json.loads(done.stdout.splitlines()[-1]))
    answer = _median(answers)
    return _measured(f"{answer.pop('peer')} {answer.pop('version')}", corpus, answer)


FORMS: dict[str, Callable[[list[str]], set[tuple[str, ...]]]] = {
    **{f"runs of {n}": lambda words, n=n: set(zip(*(words[k:] for k in range(n)), strict=False)) for n in (1, 2, 3, 5)},
    "words and pairs": lambda words: {*((word,) for word in words), *pairwise(words)},
    "4 letters": lambda words: {tuple(text[k : k + 4]) for text in ["".join(words)] for k in range(len(text) - 3)},
}


def _shingles(corpus: Corpus) -> Iterator[dict[str, Any]]:
    """Of planted copies and of hard negatives, by form of the shingles, the share at a Jaccard similarity of .8."""
    for name, form in FORMS.items():
        row: dict[str, Any] = {"what": f"shingles: {name}"}
        for kind, pairs in (("copies", corpus.copies[:2000]), ("negatives", corpus.negatives[:2000])):
            sides = [
                [text.split() for text in corpus.texts.take(pa.array(pairs[:, side])).to_pylist()] for side in (0, 1)
            ]
            found = np.array([_jaccard(form(a), form(b)) for a, b in zip(*sides, strict=True)])
            lengths = np.array([len(words) for words in sides[0]])
            row[f"{kind}_over"] = float((found >= 0.8).mean())
            for low, high in ((20, 30), (30, 50), (50, 401)) if kind == "copies" else ():
                row[f"{low}-{high - 1}_words"] = float((found[(lengths >= low) & (lengths < high)] >= 0.8).mean())
        yield row


def _jaccard(one: set[Any], other: set[Any]) -> float:
    return len(one & other) / max(1, len(one | other))


def _shown(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
