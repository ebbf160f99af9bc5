"""Probes from outside (`--probes DIR`): leaks and decoys that the developers of the search never saw."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import blake3
import orjson
import pyarrow as pa
from pydantic import ValidationError, model_validator

from dedup.decontamination.calibration.outcomes import DECOY, LEAK, table_of
from dedup.decontamination.calibration.picture_probes import Protected
from dedup.decontamination.calibration.text_edits import Written
from dedup.decontamination.calibration.text_probes import NO_ITEM, found_in, outcome
from dedup.decontamination.findings import Channel
from dedup.decontamination.pictures import PictureHit, hits_table
from pipelines.audit.probes import Protection, Rows
from pipelines.audit.protect import Protected as Sets
from pipelines.errors import UsageError
from pipelines.session import Session
from pipelines.work import Commit, key_of
from sources.cards import Strict
from sources.pictures import PictureError
from sources.storage import Folder, TooLargeError, is_absence

FILE = "probes.jsonl"
GIVEN = "given."
_HINT = 'a line is {"eval_set", "eval_id", "text" and/or "image", "transform", "expect": "found" or "not_found"}'
_IMAGE = "given"


class GivenProbe(Strict):
    """One line of `probes.jsonl`; `image` is a path beside it."""

    eval_set: str
    eval_id: str | None = None
    """May be left out where nothing of the set must be found."""
    text: str | None = None
    image: str | None = None
    transform: str
    expect: Literal["found", "not_found"]

    @model_validator(mode="after")
    def _whole(self) -> "GivenProbe":
        if self.text is None and self.image is None:
            raise ValueError("neither text nor image")
        if self.eval_id is None and self.expect == "found":
            raise ValueError("no eval_id of what must be found")
        return self

    @property
    def channel(self) -> str:
        """Through which it is to be found."""
        if self.text is not None and self.image is not None:
            return Channel.PAIR.value
        return Channel.TEXT.value if self.image is None else Channel.IMAGE.value


@dataclass(frozen=True)
class GivenProbes:
    """A folder of probes. `digest` is of its lines and of the pictures they name."""

    folder: Folder
    digest: str
    count: int


def read_given(folder: Folder) -> GivenProbes:
    """Check a folder of probes.

    Raises:
        UsageError: it has no `probes.jsonl`, a line is wrong, or a picture is not there.
    """
    hasher = blake3.blake3()
    probes = _lines(folder)
    for number, probe in enumerate(probes, start=1):
        hasher.update(probe.model_dump_json().encode())
        if probe.image is not None:
            hasher.update(blake3.blake3(_picture(folder, number, probe.image)).digest())
    return GivenProbes(folder, hasher.hexdigest()[:32], len(probes))


def numbers_of(given: GivenProbes, protected: Sets, items: pa.Table) -> tuple[int, ...]:
    """The number of the eval item of each probe, -1 of those without one. `items` have `eval_set` and `eval_id`.

    Raises:
        UsageError: a probe is of an eval set that is not protected, or of an item that it does not have.
    """
    pairs = zip(items["eval_set"].to_pylist(), items["eval_id"].to_pylist(), strict=True)
    known = {pair: number for number, pair in enumerate(pairs)}
    identities = {
        one.name: corpus.identity for one, corpus in zip(protected.sets, protected.session.corpora, strict=True)
    }
    numbers = []
    for line, probe in enumerate(_lines(given.folder), start=1):
        if probe.eval_set not in identities:
            raise UsageError(
                f"--probes line {line}: eval set {probe.eval_set} is not audited", "name it with --against"
            )
        if probe.eval_id is None:
            numbers.append(NO_ITEM)
            continue
        own = probe.eval_set, identities[probe.eval_set].name("key", probe.eval_id)
        if own not in known:
            raise UsageError(f"--probes line {line}: eval set {probe.eval_set} has no such item", "check its eval_id")
        numbers.append(known[own])
    return tuple(numbers)


@dataclass(frozen=True)
class GivenProbesTask:
    """Looks some of the given probes up."""

    protection: Protection
    given: GivenProbes
    first: int
    numbers: tuple[int, ...]
    """Of the items of the probes from `first` on."""

    @property
    def label(self) -> str:
        """First probe."""
        return f"audit_given_probes {self.first}"

    def run(self, session: Session) -> Commit:
        """Commit `outcomes`."""
        work, node = session.work, "audit_given_probes"
        key = key_of(node, self.protection.digests, self.given.digest, self.first, self.numbers)
        found = work.find(node, key)
        if found is not None:
            return found
        protected, _ = self.protection.protected(session)
        probes = _lines(self.given.folder)[self.first : self.first + len(self.numbers)]
        hits = [self._seen(protected, self.first + at, probe) for at, probe in enumerate(probes, start=1)]
        written = [Written((("text", probe.text or ""),)) for probe in probes]
        shown = [[f"{_IMAGE}{at}"] if probe.image is not None else [] for at, probe in enumerate(probes)]
        own = [hit._replace(image_id=f"{_IMAGE}{at}") for at, some in enumerate(hits) for hit in some]
        texts = self.protection.indexes.texts.loaded(work), self.protection.wordings(work)
        found_hits = found_in(*texts, written, shown, hits_table(own), protected.pictures)
        rows: Rows = []
        for probe, number, some in zip(probes, self.numbers, found_hits, strict=True):
            planned = {
                "kind": LEAK if probe.expect == "found" else DECOY, "channel": probe.channel,
                "transform": GIVEN + probe.transform, "item": number,
            }  # fmt: skip
            ours = [hit for hit in some if protected.items["eval_set"][hit["item"]].as_py() == probe.eval_set]
            rows.append(outcome(planned, None, ours, probe.eval_set))
        return work.put(node, key, {"outcomes": table_of(rows)}, {"failed": 0})

    def _seen(self, protected: Protected, line: int, probe: GivenProbe) -> list[PictureHit]:
        if probe.image is None:
            return []
        try:
            return protected.looked_up(_picture(self.given.folder, line, probe.image))
        except PictureError:
            raise UsageError(f"--probes line {line}: its image cannot be decoded", "give a picture") from None


AT_ONCE = 32


def given_tasks(protection: Protection, given: GivenProbes, numbers: Sequence[int]) -> list[GivenProbesTask]:
    """The tasks of given probes."""
    return [
        GivenProbesTask(protection, given, first, tuple(numbers[first : first + AT_ONCE]))
        for first in range(0, len(numbers), AT_ONCE)
    ]


def _lines(folder: Folder) -> list[GivenProbe]:
    try:
        text = folder.read(FILE)
    except FileNotFoundError:
        raise UsageError(f"--probes {folder.place}: no {FILE} there", _HINT) from None
    probes = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            said: Any = orjson.loads(line)
            probes.append(GivenProbe.model_validate(said))
        except orjson.JSONDecodeError:
            raise UsageError(f"--probes line {number}: not JSON", _HINT) from None
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise UsageError(f"--probes line {number}: {place or 'probe'}: {first['msg']}", _HINT) from None
    return probes


def _picture(folder: Folder, line: int, path: str) -> bytes:
    try:
        return folder.read(path)
    except TooLargeError:
        raise UsageError(f"--probes line {line}: its image is too large", "give a picture") from None
    except OSError as error:
        if not is_absence(error):
            raise
        raise UsageError(f"--probes line {line}: its image is not there", f"paths are relative to {FILE}") from None
