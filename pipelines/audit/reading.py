"""Reading eval sets: a fragment of one gives items, and their pictures as the samples that measuring knows."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dedup.evalsets.locating import FoundSet
from dedup.evalsets.reading import read_items
from pipelines.ingest import corpus_parameters
from pipelines.session import Session
from pipelines.view import rows_table
from pipelines.work import Commit, key_of
from sources.records import Fragment
from sources.schema import SAMPLES, Reason

NODE = "audit_items"
VERSION = 4


@dataclass(frozen=True)
class ItemsTask:
    """Reads one fragment of an eval set. `found` has no site key and no files: those are the session's."""

    found: FoundSet
    corpus: int
    fragment: Fragment
    number: int = 0

    @property
    def label(self) -> str:
        """Fragment."""
        return f"{NODE} {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `items` (ITEMS), and `samples` and `alive` of as many rows: the items' pictures."""
        work, corpus = session.work, session.corpora[self.corpus]
        said = self.found.evalset.model_dump(exclude={"description", "home", "fetch", "note", "suites", "expected"})
        form = self.found.form.model_dump()
        version = session.reader_version(self.corpus)
        there = corpus.splits.get(self.fragment.path)
        key = key_of(NODE, VERSION, said, form, corpus_parameters(corpus), version, there, self.fragment.digest)
        found = work.find(NODE, key)
        if found is not None:
            return found
        read = read_items(FoundSet(self.found.evalset, self.found.form, corpus), self.fragment)
        items = read.items
        rows = np.arange(items.num_rows, dtype=np.int32)
        unread = {str(reason): count for reason, count in read.problems.items()}
        absent = {Reason.IMAGE_MISSING.value: read.images_absent} if read.images_absent else {}
        facts = {"unread": dict(sorted({**unread, **absent}.items()))}
        return work.put(NODE, key, {"items": items, "samples": _samples(items), "alive": rows_table(rows)}, facts)


def _samples(items: pa.Table) -> pa.Table:
    """SAMPLES that show the items' pictures and say nothing."""
    count = items.num_rows
    given = {
        "sample_id": items["digest"],
        "source": items["eval_set"],
        "source_key": items["eval_id"],
        "task": pa.repeat(pa.scalar("vqa"), count),
        "images": items["images"],
        "license": items["license"],
        "access": items["access"],
    }
    return pa.table([given.get(field.name, pa.nulls(count, field.type)) for field in SAMPLES], schema=SAMPLES)
