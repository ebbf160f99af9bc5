"""Publishing: the final tables of one fragment, put together from what the steps committed."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.session import Session
from pipelines.takedown.step import STEP, blanked, published_without
from pipelines.view import View, read_samples
from pipelines.work import Commit, key_of
from sources.schema import IMAGES, LEDGER, SAMPLES, Verdict

NODE = "publish"
VERSION = 1
TABLES = ("samples", "images", "ledger")


@dataclass(frozen=True)
class PublishTask:
    """Writes the fragment's rows of `tables/`. `fingerprints`: step -> what the ledger says of it."""

    view: View
    number: int
    fingerprints: tuple[tuple[str, str], ...]
    unshown: frozenset[str] = frozenset()
    """Pictures that have no thumbnail, whatever their source."""

    @property
    def label(self) -> str:
        """Step and fragment."""
        return f"{NODE} {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `samples`, `images` and `ledger`."""
        work, view = session.work, self.view
        digests = view.digests(SAMPLES.names, "images", "images_followers")
        verdicts = [part.digest for _, part in view.verdicts]
        unshown = [sorted(self.unshown)] if self.unshown else []
        key = key_of(NODE, VERSION, digests, verdicts, self.fingerprints, *unshown)
        found = work.find(NODE, key)
        if found is not None:
            return found
        rows = np.arange(sum(part.rows for part in view.samples), dtype=np.int32)
        samples = read_samples(work, view, rows, SAMPLES.names).select(SAMPLES.names).cast(SAMPLES)
        images = work.read(view.parts["images"])
        repeated = work.read(view.parts["images_followers"])["row"].to_numpy()
        first = np.setdiff1d(np.arange(images.num_rows), repeated)
        if session.removal is not None:
            removed = dict(view.verdicts)[STEP]
            dropped = work.read(removed).filter(pc.field("verdict") == Verdict.DROP)["row"]
            samples, images = published_without(session.removal, samples, images, dropped)
        if self.unshown:
            hidden = pc.is_in(images["image_id"], pa.array(sorted(self.unshown))).to_numpy()
            images = blanked(images, np.flatnonzero(hidden).tolist(), ("thumbnail",))
        tables = {
            "samples": samples,
            "images": images.select(IMAGES.names).take(pa.array(first, pa.int64())).cast(IMAGES),
            "ledger": _ledger(session, view, samples["sample_id"], dict(self.fingerprints)),
        }
        return work.put(NODE, key, tables)


def _ledger(session: Session, view: View, ids: pa.ChunkedArray, fingerprints: dict[str, str]) -> pa.Table:
    """Every verdict on the fragment's samples, step after step."""
    tables = [LEDGER.empty_table()]
    for step, part in view.verdicts:
        verdicts = session.work.read(part)
        count = verdicts.num_rows
        columns = {name: verdicts[name] for name in ("verdict", "reason", "score", "threshold", "evidence")}
        columns |= {
            "sample_id": ids.take(verdicts["row"]),
            "step": pa.repeat(pa.scalar(step), count),
            "step_fingerprint": pa.repeat(pa.scalar(fingerprints[step]), count),
        }
        tables.append(pa.table([columns[name] for name in LEDGER.names], schema=LEDGER))
    return pa.concat_tables(tables)
