"""What of the data could not be read: an audit says so, and never says clean."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.session import Session
from pipelines.view import View, read_samples, rows_table
from pipelines.work import Commit, key_of
from sources.schema import Reason, Verdict

VERSION = 2
NODE = "audit_read"
WORDS = ("question", "answer", "meta")
"""What a sample without turns may still say."""


@dataclass(frozen=True)
class LookedAtTask:
    """Tells which samples of a fragment are looked at: all that could be read, of any split, with text or without."""

    view: View
    number: int

    @property
    def label(self) -> str:
        """Fragment."""
        return f"{NODE} {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `alive`; the facts say why others were not read, and how often."""
        work, (_, verdicts) = session.work, self.view.verdicts[0]
        key = key_of(NODE, VERSION, verdicts.digest, self.view.digests(WORDS))
        found = work.find(NODE, key)
        if found is not None:
            return found
        table = work.read(verdicts, ["row", "verdict", "reason"])
        unread = pc.equal(table["verdict"], Verdict.QUARANTINE.value)
        reasons = Counter(table.filter(unread)["reason"].to_pylist())
        silent = self._silent(session, table)
        if silent:
            reasons[Reason.RECORD_EMPTY.value] += silent
        rows = table.filter(pc.invert(unread))["row"].to_numpy().astype(np.int32)
        return work.put(NODE, key, {"alive": rows_table(rows)}, {"unread": dict(sorted(reasons.items()))})

    def _silent(self, session: Session, verdicts: pa.Table) -> int:
        """How many records have nothing that can be looked at: neither text in any column nor a picture."""
        empty = verdicts.filter(pc.equal(verdicts["reason"], Reason.RECORD_EMPTY.value))["row"]
        if not len(empty):
            return 0
        samples = read_samples(session.work, self.view, empty.to_numpy().astype(np.int32), WORDS)
        return int(np.logical_and.reduce([samples[name].is_null().to_numpy() for name in WORDS]).sum())


@dataclass(frozen=True)
class UnseenTask:
    """Tells which pictures of a fragment could not be looked at; it has been measured."""

    view: View
    number: int

    @property
    def label(self) -> str:
        """Fragment."""
        return f"audit_seen {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit facts: why samples' pictures could not be had, and how often; how many have several frames.

        `pictures` and `digest`: how many different ones there are, and a hash of which sample shows which.
        """
        work, node, parts = session.work, "audit_seen", self.view.parts
        names = ("links", "images", "pictures_errors")
        key = key_of(node, VERSION, [parts[name].digest for name in names])
        found = work.find(node, key)
        if found is not None:
            return found
        links = work.read(parts["links"], ["row", "images", "problem"])
        problems = Counter(links["problem"].to_pylist())
        problems.pop(None, None)
        errors = work.read(parts["pictures_errors"], ["row"]).num_rows
        if errors:
            problems["pictures.error"] += errors
        images = [[ref["image_id"] for ref in refs or ()] for refs in links["images"].to_pylist()]
        frames = work.read(parts["images"], ["frames"])["frames"].to_numpy()
        facts = {
            "unread": dict(sorted(problems.items())),
            "frames": int((frames > 1).sum()),
            "pictures": len({image for shown in images for image in shown if image is not None}),
            "digest": key_of(list(zip(links["row"].to_pylist(), images, strict=True))),
        }
        return work.commit(node, key, {}, facts)


def added(*counts: dict[str, int]) -> dict[str, int]:
    """Counts by reason, of all together."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(sorted(total.items()))
