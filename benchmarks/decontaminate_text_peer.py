"""Decontaminates the texts of a Parquet file with datatrove's n-grams, as its documentation shows.

    python benchmarks/decontaminate_text_peer.py ITEMS.parquet TEXTS.parquet

Run by `benchmarks.decontaminate_text` in an environment that has datatrove. Imports, and building the index, are not
counted. Answers `{"version", "mb", "mb_s", "flagged"}`.
"""

import json
import sys
import tempfile
import time
from importlib.metadata import version
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq


def main() -> None:
    """See the module."""
    from datatrove.data import Document
    from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontFilter, NGramsDecontIndexer

    items, texts = (pq.read_table(path) for path in sys.argv[1:3])
    config = NGramsDecontConfig(find_query_ngrams=True)
    with tempfile.TemporaryDirectory() as folder:
        # Its indexer needs lighteval only to load tasks by name: the n-grams are those of its own function.
        indexer = SimpleNamespace(config=config, tokenizer=None, hash_func=None)
        step = NGramsDecontFilter(folder, config)
        indexer.tokenizer, indexer.hash_func = step.tokenizer, step.hash_func
        hashes = set()
        for question, answer in zip(items["question"].to_pylist(), items["answer"].to_pylist(), strict=True):
            hashes.update(NGramsDecontIndexer.compute_hashes(indexer, answer, question))
        np.array(sorted(hashes), dtype=config.hash_config.np_descr).tofile(f"{folder}/exam.index.hashes")
        documents = [Document(text=text, id=str(row)) for row, text in enumerate(texts["text"].to_pylist())]
        step.load_index_hashes()
        step.filter(documents[0])
        started = time.thread_time()
        flagged = sum(step.filter(document) is not True for document in documents)
        seconds = time.thread_time() - started
    size = sum(len(document.text.encode()) for document in documents) / 1e6
    said = {"version": version("datatrove"), "mb": round(size, 2), "mb_s": round(size / seconds, 3), "flagged": flagged}
    print(json.dumps(said))


if __name__ == "__main__":
    main()
