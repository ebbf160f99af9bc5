"""What all texts of a build say of each picture: questions about one picture may stand in many fragments.

A fragment sends what its own texts say of its pictures; those of one picture meet, and a fragment is told where the
others say something else. So a picture has one modality, whatever fragments its questions fall into.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from dedup.keys import by_key
from filters.lexicon import said_of_picture
from filters.modality import said_of_images
from filters.modality_classes import LABELS
from pipelines.exchange import answered_by
from pipelines.partitions import Solver
from pipelines.session import Session
from pipelines.view import View, aligned, alive_rows, read_samples
from pipelines.work import Commit, Part, key_of

NODE = "modality_words"
VERSION = 1
WORDS = pa.schema(
    [
        pa.field("key", pa.binary(16), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("shared", pa.int64(), nullable=False),
        pa.field("any", pa.int64(), nullable=False),
    ]
)
"""What a fragment's texts say of its pictures, by image id: `row` in its images, and as one bit for each of LABELS what
all that say something agree on (all bits where none does), and what any says."""
ANSWER = pa.schema(
    [
        pa.field("fragment", pa.int32(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("said", pa.int64(), nullable=False),
    ]
)
"""What is said of a picture that several fragments have, where it is not what the fragment itself says."""
_ALL = (1 << len(LABELS)) - 1
_BIT = {label: 1 << place for place, label in enumerate(LABELS)}


@dataclass(frozen=True)
class WordsTask:
    """Listens to the texts of one fragment. `version` is of the lexicon."""

    view: View
    number: int
    version: int

    @property
    def label(self) -> str:
        """Step and fragment."""
        return f"modality words {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit WORDS: a row for every picture."""
        work, view = session.work, self.view
        node = f"{NODE}_keys"
        key = key_of(node, VERSION, self.version, view.digests(("turns",), "images", "links"))
        found = work.find(node, key)
        if found is not None:
            return found
        rows = alive_rows(work, view)
        links = aligned(work.read(view.parts["links"]), rows)
        shown = np.flatnonzero([refs is not None for refs in links["images"].to_pylist()])
        turns = read_samples(work, view, rows[shown], ("turns",))["turns"].to_pylist()
        said = said_of_images(links.take(shown), [said_of_picture(of_sample or ()) for of_sample in turns])
        ids = work.read(view.parts["images"], ["image_id"])["image_id"].to_pylist()
        told = [[_bits(one) for one in said.get(image_id, ()) if one] for image_id in ids]
        columns = {
            "key": [bytes.fromhex(image_id) for image_id in ids],
            "row": list(range(len(ids))),
            "shared": [int(np.bitwise_and.reduce([_ALL, *several])) for several in told],
            "any": [int(np.bitwise_or.reduce([0, *several])) for several in told],
        }
        return work.put(node, key, {"words": by_key(pa.table(columns, schema=WORDS))})


def heard(
    each: Callable[[str, Sequence[Any]], list[Commit]], views: Sequence[View], version: int
) -> list[tuple[Part, Part]]:
    """For each fragment WORDS, and ANSWER without the fragment's number; `each` runs tasks."""
    tasks = [WordsTask(view, number, version) for number, view in enumerate(views)]
    words = [commit.parts["words"] for commit in each("modality words", tasks)]
    solver = Solver(NODE, "solve", VERSION, WORDS.append(pa.field("fragment", pa.int32(), nullable=False)), _differing)
    return list(zip(words, answered_by(each, solver, words, ANSWER), strict=True))


def said_in(words: pa.Table, answer: pa.Table, ids: Sequence[str]) -> Mapping[str, frozenset[str]]:
    """Image id -> labels that the texts of all fragments assert."""
    said = dict(
        zip(words["row"].to_pylist(), map(_agreed, words["shared"].to_pylist(), words["any"].to_pylist()), strict=True)
    )
    said |= dict(zip(answer["row"].to_pylist(), answer["said"].to_pylist(), strict=True))
    return {ids[row]: _labels(bits) for row, bits in said.items() if bits}


def _differing(words: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    """ANSWER, by fragment and row."""
    frame = pl.from_arrow(words)
    assert isinstance(frame, pl.DataFrame)
    several = frame.filter(pl.col("key").is_duplicated()).with_columns(
        all_shared=pl.col("shared").bitwise_and().over("key"), all_any=pl.col("any").bitwise_or().over("key")
    )

    def agreed(shared: str, any_: str) -> pl.Expr:
        both = pl.col(shared) & pl.col(any_)
        return pl.when(both != 0).then(both).otherwise(pl.col(any_))

    found = several.with_columns(own=agreed("shared", "any"), said=agreed("all_shared", "all_any"))
    answer = found.filter(pl.col("own") != pl.col("said")).select("fragment", "row", "said").sort("fragment", "row")
    return answer.to_arrow().cast(ANSWER), {}


def _agreed(shared: int, any_: int) -> int:
    """What is agreed on, or else all that is said."""
    return shared & any_ or any_


def _bits(labels: frozenset[str]) -> int:
    return sum(_BIT[label] for label in labels)


def _labels(bits: int) -> frozenset[str]:
    return frozenset(label for label, bit in _BIT.items() if bits & bit)
