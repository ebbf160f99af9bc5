"""What was found in each fragment: text, pictures and groups of its samples put together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dedup.decontamination.assemble import FOUND, assembled, best_by_grade, listed, tally, wordings_of
from dedup.decontamination.groups import GROUP_HITS, GroupIndex
from pipelines.audit.articles import article_map
from pipelines.session import Session
from pipelines.view import View, alive_rows, read_samples
from pipelines.work import Commit, Part, Work, key_of

NODE = "audit_found"
VERSION = 7
COLUMNS = ("sample_id", "source", "source_key", "groups", "images")


@dataclass(frozen=True)
class FindingsTask:
    """Joins what the channels found in one fragment."""

    view: View
    number: int
    items: Part
    pictures: Part
    text_hits: Part
    alike: Part
    picture_hits: Part
    """Of all fragments: one picture may be in several."""
    corpora: tuple[tuple[str, tuple[str, ...]], ...]
    """Eval set -> names of corpora whose plain numbers are its own."""
    about_pictures: tuple[str, ...] = ()
    """Eval sets whose pictures are not all there."""
    articles: Part | None = None
    """Other names of the items' articles."""

    @property
    def label(self) -> str:
        """Fragment."""
        return f"{NODE} {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `listed` (FINDINGS and item), `tally`, and `strongest` (FOUND, and whose item it is)."""
        work, view = session.work, self.view
        source = session.corpora[view.corpus].name
        used = (self.items, self.pictures, self.text_hits, self.alike, self.picture_hits)
        digests = [part.digest for part in used] + ([] if self.articles is None else [self.articles.digest])
        key = key_of(NODE, VERSION, source, digests, self.corpora, self.about_pictures, view.digests(COLUMNS))
        found = work.find(NODE, key)
        if found is not None:
            return found
        rows = alive_rows(work, view)
        samples = read_samples(work, view, rows, COLUMNS)
        there = self._found(work, samples, rows)
        items = work.read(self.items, ["eval_set", "eval_id"])
        strongest = best_by_grade(there)
        numbers = pa.array(rows[strongest["row"].to_numpy()], pa.int32())
        names = items.take(strongest["item"])
        strongest = strongest.set_column(0, FOUND.field("row"), numbers)
        for name in names.column_names:
            strongest = strongest.append_column(name, names[name])
        tables = {
            "listed": listed(there, items, samples["sample_id"], source),
            "tally": tally(there),
            "strongest": strongest,
        }
        return work.put(NODE, key, tables)

    def _found(self, work: Work, samples: pa.Table, rows: npt.NDArray[np.int32]) -> pa.Table:
        images = [
            [ref["image_id"] for ref in refs or () if ref["image_id"] is not None]
            for refs in samples["images"].to_pylist()
        ]
        shown = pa.array(sorted({image_id for ids in images for image_id in ids}), pa.string())
        picture_hits = work.read(self.picture_hits)
        picture_hits = picture_hits.filter(pc.is_in(picture_hits["image_id"], shown))
        text_hits = work.read(self.text_hits)
        places = np.searchsorted(rows, text_hits["row"].to_numpy()).astype(np.int32)
        text_hits = text_hits.set_column(0, "row", pa.array(places))
        groups = GROUP_HITS.empty_table()
        if len(rows):
            groups = _group_index(work, self.items, self.corpora, self.articles).hits(samples)
        alike = work.read(self.alike)["item"].to_numpy()
        pictures = work.read(self.pictures)
        wordings = wordings_of(work.read(self.items, ["eval_set", "question"]), pictures, self.about_pictures)
        return assembled(images, text_hits, picture_hits, pictures, groups, alike, wordings)


_held: dict[tuple[Any, ...], GroupIndex] = {}


def _group_index(
    work: Work, items: Part, corpora: tuple[tuple[str, tuple[str, ...]], ...], articles: Part | None
) -> GroupIndex:
    """The index, made once a process."""
    key = items.digest, corpora, None if articles is None else articles.digest
    if key not in _held:
        _held.clear()
        names: Mapping[str, frozenset[str]] = {name: frozenset(of) for name, of in corpora}
        _held[key] = GroupIndex.of(work.read(items, ["eval_set", "groups"]), article_map(work, articles), names)
    return _held[key]
