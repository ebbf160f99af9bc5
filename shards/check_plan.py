"""Checks a packing plan against the member index and the manifest: every document of every row, in seconds."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shards.index_file import Index, IndexFileError, open_index
from shards.manifest import MANIFEST_NAME, Manifest
from shards.plan_file import Plan, PlanAbout, PlanError, open_plan
from shards.plan_samples import Samples, place_numbers, samples_of
from sources.storage import Folder

MAX_TOLD = 5
_MAKE_ANOTHER = "make another: curate shards plan DIR"


def faults_of_plan(folder: Folder, manifest: Manifest, name: str) -> list[str]:
    """What is wrong with a plan of these shards. Without an index its documents are compared with nothing.

    Memory is about 60 bytes for each sample of the index, and one batch of the plan.
    """
    try:
        plan = open_plan(folder, name)
        faults = _faults_of_about(plan.about, manifest, hashlib.sha256(folder.read(MANIFEST_NAME)).hexdigest())
        if faults or not plan.about.rows or manifest.index is None or folder.stat(manifest.index) is None:
            return faults
        samples = samples_of(open_index(folder, manifest.index), len(manifest.shards), plan.about.images)
        return _Rows(plan.about, samples).faults(plan) if len(samples.shard) else ["rows of no samples"]
    except PlanError as error:
        return [str(error)]
    except IndexFileError:
        return []  # told where the index is checked


def faults_of_index_file(folder: Folder, manifest: Manifest) -> list[str]:
    """Whether the index opens, is of this build, and has a row for every sample."""
    if manifest.index is None or folder.stat(manifest.index) is None:
        return []
    try:
        return _faults_of_rows(open_index(folder, manifest.index), manifest)
    except IndexFileError as error:
        return [str(error)]


def _faults_of_rows(index: Index, manifest: Manifest) -> list[str]:
    faults = [
        f"{name} is {told}, the manifest says {true}"
        for name, told, true in (
            ("build", index.about.build, manifest.build),
            ("tokenizer", index.about.tokenizer, manifest.tokenizer),
        )
        if told != true
    ]
    rows, samples = sum(batch.num_rows for batch in index.batches), sum(e.samples for e in manifest.every_shard)
    if rows != samples:
        faults.append(f"{rows} rows, the shards have {samples} samples")
    return faults


def _faults_of_about(about: PlanAbout, manifest: Manifest, sha256: str) -> list[str]:
    return [
        f"{name} is {told}, not {true}; {_MAKE_ANOTHER}"
        for name, told, true in (
            ("build", about.build, manifest.build),
            ("manifest", about.manifest, sha256),
            ("tokenizer", about.tokenizer, manifest.tokenizer),
        )
        if told != true
    ]


@dataclass
class _Rows:
    """Goes through the rows of a plan; `samples` are those of the index that may be trained on."""

    about: PlanAbout
    samples: Samples
    told: list[str] = field(default_factory=list)
    tokens: int = 0
    places: int = 0

    def __post_init__(self) -> None:
        self._keys = place_numbers(self.samples.shard, self.samples.offset)

    def faults(self, plan: Plan) -> list[str]:
        first = 0
        for batch in plan.batches():
            self._add(batch, first)
            first += batch.num_rows
            if len(self.told) >= MAX_TOLD:
                return [*self.told[:MAX_TOLD], f"what follows row {first} was not checked; {_MAKE_ANOTHER}"]
        totals = {"samples": self.places, "tokens": self.tokens}
        for what, found in totals.items():
            if found != getattr(self.about, what):
                self.told.append(f"{what} is {getattr(self.about, what)}, its rows have {found}; {_MAKE_ANOTHER}")
        return self.told

    def _add(self, batch: pa.RecordBatch, first: int) -> None:
        column = batch.column("samples")
        values = column.flatten()
        place = {field.name: values.field(field.name).to_numpy() for field in values.type}
        length_r = column.value_lengths().to_numpy()
        row_p = first + np.repeat(np.arange(len(length_r)), length_r)
        sample_p = self._known(place["shard"], place["offset"], row_p)
        size_p, tokens_p = self.samples.size[sample_p], self.samples.tokens[sample_p]
        self._tell(row_p[size_p != place["size"]], "a document of another size than in the index")
        end_p = place["start"].astype(np.int64) + place["tokens"]
        wrong_p = (end_p > tokens_p) if self.about.cut else (end_p != tokens_p)
        self._tell(row_p[wrong_p], "a document of other tokens than in the index")
        tokens_r = np.bincount(row_p - first, place["tokens"], minlength=len(length_r)).astype(np.int64)
        rows = first + np.arange(len(length_r))
        self._tell(rows[tokens_r != batch.column("tokens").to_numpy()], "its tokens are not those of its documents")
        self._tell(rows[tokens_r > self.about.context], f"more than the {self.about.context} tokens of the context")
        self._tell(rows[length_r == 0], "no document")
        self.tokens += int(tokens_r.sum())
        self.places += len(row_p)

    def _known(
        self, shard_p: NDArray[np.int32], offset_p: NDArray[np.int64], row_p: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The number of the sample at each place; one that is none is told, and counts as sample 0."""
        wanted = place_numbers(shard_p, offset_p)
        found = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        known = self._keys[found] == wanted
        self._tell(row_p[~known], "a document that is no sample of a training shard in the index")
        return np.where(known, found, 0)

    def _tell(self, row_n: NDArray[np.int64], what: str) -> None:
        if len(row_n):
            more = f" (and {len(row_n) - 1} more)" if len(row_n) > 1 else ""
            self.told.append(f"row {row_n[0]}{more}: {what}")
