"""What a join by exchange answered, as the records of a fragment find it."""

from dataclasses import replace
from typing import Any

import orjson

from pipelines.work import Part, Work
from sources.records import Corpus, Fragment


def with_joined_rows(work: Work, corpus: Corpus, fragment: Fragment) -> Corpus:
    """The corpus with the rows that the fragment's records match, where its card joins a table by exchange.

    They are unsealed here, in memory: nowhere else is a row of a keyed source in the clear.
    """
    found, companion = fragment.joined, corpus.companion
    if found is None or companion is None or companion.seal is None:
        return corpus
    table = work.read(Part(found.path, found.digest, found.rows, found.size))
    rows: dict[str | bytes, list[tuple[Any, ...]] | None] = {}
    for key, sealed in zip(table["key"].to_pylist(), table["sealed"].to_pylist(), strict=True):
        if sealed is None:
            rows[key] = None
            continue
        row = orjson.loads(companion.seal.unseal(key, sealed))
        held = rows.setdefault(key, [])
        if held is not None:
            held.append(tuple(row.get(name) for name in found.columns))
    return replace(corpus, companion=replace(companion, kept=found.columns, rows=rows))
