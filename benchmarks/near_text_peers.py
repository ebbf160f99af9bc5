"""Deduplicates the texts of a Parquet file with one peer, as its documentation shows; prints what it kept as JSON.

    python benchmarks/near_text_peers.py PEER TEXTS.parquet

PEER is one of datatrove, daft, rensa, rensa-verified, rensa-rho, datasketch and datasketch-bulk.

Run by `benchmarks.near_text` in an environment that has the peers: it imports nothing of this project. Imports and
start-up are not counted. Answers `{"peer", "version", "seconds", "peak_mib", "dropped": [row, ...]}`.
"""

import json
import os
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq


def by_datasketch(path: str) -> list[int]:
    """As its documentation's examples: a sketch is told one word after the other."""

    def sketch_of(text: str) -> Any:
        sketch = MinHash(num_perm=128)
        for word in set(text.split()):
            sketch.update(word.encode())
        return sketch

    return _met(map(sketch_of, _texts(path)))


def by_datasketch_bulk(path: str) -> list[int]:
    """Its quickest: sketches that share their permutations, each told all its words at once."""
    words = ([word.encode() for word in set(text.split())] for text in _texts(path))
    return _met(MinHash.generator(words, num_perm=128))


def _met(found: Iterable[Any]) -> list[int]:
    """MinHashLSH at .8 over sets of words; a text that a kept one meets, and whose estimate says .8, is dropped."""
    sketches: dict[int, Any] = {}
    index = MinHashLSH(threshold=0.8, num_perm=128)
    dropped = []
    for row, sketch in enumerate(found):
        if any(sketches[other].jaccard(sketch) >= 0.8 for other in index.query(sketch)):
            dropped.append(row)
        else:
            index.insert(row, sketch)
            sketches[row] = sketch
    return dropped


def by_rensa(path: str) -> list[int]:
    """The README's "Keep unique documents"."""
    texts = _texts(path)
    index = RMinHashDeduplicator(threshold=0.8, num_perm=128, use_lsh=True)
    kept = index.add_pairs((str(row), text.split()) for row, text in enumerate(texts))
    return [row for row, keep in enumerate(kept) if not keep]


def by_rensa_verified(path: str) -> list[int]:
    """Its sketches, asked what the step is asked: runs of five words, 14 bands of 8, each pair compared."""
    texts = _texts(path)

    def grams_of(row: int) -> list[str]:
        words = texts[row].split()
        return [" ".join(words[at : at + 5]) for at in range(max(len(words) - 4, 1))]

    rows = range(len(texts))
    pieces = (rows[at : at + 10_000] for at in rows[::10_000])  # the runs of all at once are 20 times the texts
    sketches = np.concatenate(
        [
            np.array(RMinHash.digest_matrix_from_token_sets([*map(grams_of, piece)], 128, 42).to_rows(), np.uint32)
            for piece in pieces
        ]
    )
    buckets: dict[tuple[int, bytes], list[int]] = {}
    dropped = []
    for row, sketch in enumerate(sketches):
        keys = [(band, sketch[8 * band : 8 * band + 8].tobytes()) for band in range(14)]
        met = {other for key in keys for other in buckets.get(key, ())}
        own = set(grams_of(row)) if met else set()
        if any(len(own & (its := set(grams_of(other)))) >= 0.8 * len(own | its) for other in met):
            dropped.append(row)
            continue
        for key in keys:
            buckets.setdefault(key, []).append(row)
    return dropped


def by_rensa_rho(path: str) -> list[int]:
    """Its quickest, which its README's comparison is of: sketches of sampled words, and whoever shares one of 8 bands.

    Nothing is kept of those that meet: it flags all of them.
    """
    words = [text.split() for text in _texts(path)]
    sketches = RMinHash.digest_matrix_from_token_sets_rho(words, 128, 42)
    flags = RMinHashLSH(threshold=0.8, num_perm=128, num_bands=8).query_duplicate_flags_matrix_one_shot(sketches)
    return [row for row, flagged in enumerate(flags) if flagged]


def _texts(path: str) -> list[str]:
    texts: list[str] = pq.read_table(path)["text"].to_pylist()
    return texts


def by_daft(path: str) -> list[int]:
    """`minhash` of words' 5-grams, 16 bands of 8, one row a band, grouped; union-find over the groups in numpy."""
    frame = daft.read_parquet(path).select(
        "row", daft.col("text").minhash(num_hashes=128, ngram_size=5).alias("sketch")
    )
    table = frame.to_arrow()
    column = table["sketch"].combine_chunks()
    rows = table["row"].to_numpy()
    sketches_NK = column.flatten().to_numpy().reshape(len(rows), 128).astype(np.uint32)
    parents = np.arange(int(rows.max()) + 1)

    def root(node: int) -> int:
        while parents[node] != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node

    for band in range(16):
        keys = np.ascontiguousarray(sketches_NK[:, band * 8 : band * 8 + 8]).view("V32").ravel()
        bands = daft.from_pydict({"key": [key.tobytes() for key in keys], "row": rows})
        for group in bands.groupby("key").agg(daft.col("row").list_agg()).to_arrow()["row"].to_pylist():
            for other in group[1:]:
                first, second = sorted((root(group[0]), root(other)))
                parents[second] = first
    return [int(row) for row in rows if root(int(row)) != row]


def by_datatrove(path: str) -> list[int]:
    """The four stages of its minhash example on the local executor in one process; words between blanks."""
    with tempfile.TemporaryDirectory() as place:
        config = MinhashConfig()
        stages = [
            [
                ParquetReader(str(Path(path).parent), glob_pattern=Path(path).name, text_key="text", id_key="id"),
                MinhashDedupSignature(f"{place}/signatures", config, language=Blanks()),
            ],
            [MinhashDedupBuckets(f"{place}/signatures", f"{place}/buckets", config=config)],
            [MinhashDedupCluster(f"{place}/buckets", f"{place}/removed", config=config)],
            [
                ParquetReader(str(Path(path).parent), glob_pattern=Path(path).name, text_key="text", id_key="id"),
                MinhashDedupFilter(f"{place}/removed", ParquetWriter(f"{place}/dropped")),
                ParquetWriter(f"{place}/kept"),
            ],
        ]
        for number, pipeline in enumerate(stages):
            tasks = config.num_buckets if number == 1 else 1
            LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=f"{place}/logs{number}").run()
        return [
            int(name[3:]) for file in Path(place, "dropped").iterdir() for name in pq.read_table(file)["id"].to_pylist()
        ]


PEERS: dict[str, Callable[[str], list[int]]] = {
    "datatrove": by_datatrove, "daft": by_daft, "rensa": by_rensa, "rensa-verified": by_rensa_verified,
    "rensa-rho": by_rensa_rho,
    "datasketch": by_datasketch, "datasketch-bulk": by_datasketch_bulk,
}  # fmt: skip


def _cpu() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _peak_of_children() -> int:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


if __name__ == "__main__":
    peer, texts = sys.argv[1:]
    package = peer.partition("-")[0]
    if package == "datasketch":
        from datasketch import MinHash, MinHashLSH
    elif package == "rensa":
        from rensa import RMinHash, RMinHashDeduplicator, RMinHashLSH
    elif package == "daft":
        import daft
    else:
        from datatrove.executor import LocalPipelineExecutor
        from datatrove.pipeline.dedup import (
            MinhashDedupBuckets,
            MinhashDedupCluster,
            MinhashDedupFilter,
            MinhashDedupSignature,
        )
        from datatrove.pipeline.dedup.minhash import MinhashConfig
        from datatrove.pipeline.readers import ParquetReader
        from datatrove.pipeline.writers import ParquetWriter
        from datatrove.utils.word_tokenizers import WordTokenizer

        class Blanks(WordTokenizer):
            """Words between blanks: the least work, and the generated texts hold nothing else."""

            def word_tokenize(self, text: str) -> list[str]:
                """The words."""
                return text.split()

            def sent_tokenize(self, text: str) -> list[str]:
                """Not asked for."""
                raise NotImplementedError

            def span_tokenize(self, text: str) -> list[tuple[int, int]]:
                """Not asked for."""
                raise NotImplementedError

    started, used = time.perf_counter(), _cpu()
    found = PEERS[peer](texts)
    seconds, cpu = time.perf_counter() - started, _cpu() - used
    peak = max(int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0]), _peak_of_children())
    print(
        json.dumps(
            {
                "peer": peer,
                "version": version(package),
                "seconds": seconds,
                "cpu_s": cpu,
                "peak_mib": peak >> 10,
                "dropped": found,
            }
        )
    )
