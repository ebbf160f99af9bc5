"""The training loader: the rows of a packing plan, in its order, on any number of ranks and workers (docs/loader.md).

    rows = PlannedRows("RUN/shards", rank=rank, world=world)
    loader = PlannedLoader(rows, workers=4, pin_memory=True)
    for step in loader: ...                # len(loader) of them on every rank
    state = loader.state_dict()            # {"step": the next one, "manifest": ..., "plan": ...}

`PlannedRows` alone is an `IterableDataset` for `torch.utils.data.DataLoader(rows, batch_size=None)` and torchdata's
`StatefulDataLoader`.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    import torch
    from torch.utils.data import DataLoader, IterableDataset, get_worker_info
except ModuleNotFoundError as error:
    from sources.extras import install_extra

    raise ModuleNotFoundError(f"the loader needs torch; {install_extra('train')}", name=error.name) from None

from filters.tokens import HARMONY, TokenCounts
from shards.encoders import load_encoder
from shards.loader_items import StepRows, step_rows
from shards.loader_order import LoaderError, check_ranks, rows_of_rank, steps_of_worker
from shards.loader_samples import MAX_SAMPLE_BYTES, SampleReader
from shards.loader_shards import Shards, check_sizes
from shards.manifest import MANIFEST_NAME, Manifest, read_manifest
from shards.plan_file import PLAN_NAME, Place, PlanError, PlanRow, open_plan
from shards.row_reader import Decode, Replace, RowMaker, RowSettings
from sources.storage import BucketFolder, Folder, LocalFolder, folder_at

__all__ = ["LoaderError", "PlannedLoader", "PlannedRows", "StepRows"]

_DIGEST = re.compile(r"[0-9a-f]{64}")
"""What builds and their plans call a tokenizer that is a file."""


class PlannedRows(IterableDataset[StepRows]):
    """One item a step: the rows of that step that this rank trains on, in the order of the plan."""

    def __init__(
        self,
        folder: Folder | Path | str,
        *,
        plan: str = PLAN_NAME,
        plan_folder: Folder | Path | str | None = None,
        rank: int = 0,
        world: int = 1,
        start_step: int = 0,
        decode: Decode = "pictures",
        picture: Callable[[NDArray[np.uint8]], Any] | None = None,
        tokenizer: str | None = None,
        verify: bool = False,
        replace: Replace = "skip",
        max_bad: int = 16,
        max_sample_bytes: int = MAX_SAMPLE_BYTES,
    ) -> None:
        """Open a plan and hold it, the manifest and the sizes of the tars against one another.

        `folder` is the `shards/` of a run; the plan lies in it, or in `plan_folder`, with the manifest that it is of
        where that is another (one that was counted anew with the model's tokenizer). `picture` is applied to every
        decoded picture (uint8 H x W x 3), in the workers. `tokenizer` is the path of the model's tokenizer.json, where
        shards were built for one: the plan knows it by the SHA-256 of the file. `verify` reads a tar for its SHA-256
        before the first of its samples is used. `replace` and `max_bad`: see `RowSettings`.

        Raises:
            ManifestError: there is no manifest, or one of another version.
            PlanError: there is no plan, or it was made for other shards or another tokenizer.
            LoaderError: ranks do not get equal shares, there is no such step, or a tar is missing or of another size.
            TokenizerError: the tokenizer cannot be had.
            OSError: storage cannot be reached now.
        """
        super().__init__()
        self._folder = _folder_of(folder)
        self._plan_folder = self._folder if plan_folder is None else _folder_of(plan_folder)
        self._manifest, self._digest = _described(self._folder, self._plan_folder)
        self._plan = open_plan(self._plan_folder, plan)
        self._plan_name = plan
        self.about = self._plan.about
        check_ranks(self.about.rows_per_step, rank, world)
        self._check_plan(tokenizer)
        check_sizes(self._folder, self._manifest)
        self._rank, self._world = rank, world
        self._tokenizer = tokenizer or self.about.tokenizer
        self._settings = RowSettings(decode, picture, replace, max_bad)
        self._max_sample_bytes = max_sample_bytes
        self._verify = verify
        self._flags = _shared_flags(len(self._manifest.every_shard) + 1)
        """Per shard whether its hash was found right; the last: whether workers read."""
        self._start = self._next = self._checked(start_step)
        self._worker: tuple[int, int] | None = None
        """Whose state it is that was loaded, where it is a worker's own."""

    @property
    def start_method(self) -> str:
        """How workers are to be started: connections to object storage do not outlive a fork."""
        return "spawn" if BucketFolder in {type(self._folder), type(self._plan_folder)} else "fork"

    @property
    def steps(self) -> int:
        """Of the whole plan, all epochs together; the same on every rank."""
        return self.about.steps

    def __len__(self) -> int:
        """Steps from the first one that will be given."""
        return self.about.steps - self._start

    def __iter__(self) -> Iterator[StepRows]:
        info = get_worker_info()
        if info is not None:
            self._flags[-1] = 1
            self._plan = self._plan.reopened()  # a forked file has one place for all processes
        numbers = self._numbers(*((0, 1) if info is None else (info.id, info.num_workers)))
        self._next = numbers.start
        verified: NDArray[np.uint8] | None = self._flags.numpy() if self._verify else None
        reader = SampleReader(Shards(self._folder, self._manifest, verified), self._max_sample_bytes)
        maker = RowMaker(self.about, self._tokenizer, self._settings)
        try:
            for (step, planned), samples in reader.read_ahead(map(self._planned, numbers)):
                rows, bad = maker.rows(planned, samples)
                self._next = min(step + numbers.step, self.about.steps)
                yield step_rows(step, rows, bad, shared=info is not None)
        finally:
            reader.close()

    def state_dict(self) -> dict[str, Any]:
        """Where reading stands: the next step, and of which manifest and plan.

        Raises:
            LoaderError: the rows are read by workers, which run ahead; this process does not know how far.
        """
        info = get_worker_info()
        if info is not None:
            return {**self._state(self._next), "worker": [info.id, info.num_workers]}
        if self._flags[-1]:
            raise LoaderError(
                "workers read the rows, and run ahead: take the state of PlannedLoader or StatefulDataLoader, or "
                "state_after(step) of the last step that was trained on"
            )
        return self._state(self._next)

    def state_after(self, step: int) -> dict[str, Any]:
        """The state of a run that has trained on a step and on all before it, whoever read them."""
        return self._state(self._checked(step + 1))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Begin at the state's step the next time the rows are iterated over.

        Raises:
            LoaderError: it is the state of other shards, of another plan, or no state at all.
        """
        step, manifest, plan = (state.get(name) for name in ("step", "manifest", "plan"))
        if type(step) is not int:
            raise LoaderError("not a state of this loader: it has no whole number `step`")
        if manifest != self._digest:
            raise LoaderError(
                f"the state is of shards with another manifest ({str(manifest)[:12]}..., here {self._digest[:12]}...): "
                "the same step holds other samples. Resume with the shards it was made with, or begin at a step of "
                "your choice with start_step"
            )
        if plan not in (None, self._plan.digest):
            raise LoaderError("the state is of another plan of these shards; name that one (plan=...), or start_step")
        self._start = self._next = self._checked(step)
        worker = state.get("worker")
        self._flags[-1] = 0
        self._worker = None if worker is None else (int(worker[0]), int(worker[1]))

    def _state(self, step: int) -> dict[str, Any]:
        return {"step": step, "manifest": self._digest, "plan": self._plan.digest}

    def _numbers(self, worker: int, workers: int) -> range:
        """The steps that this process reads."""
        if self._worker is None:
            return steps_of_worker(self._start, self.about.steps, worker, workers)
        if self._worker != (worker, workers):
            raise LoaderError(
                f"the state is that of worker {self._worker[0]} of {self._worker[1]}: resume with as many workers, or "
                "from the state of PlannedLoader, which fits any number"
            )
        return steps_of_worker(self._start, self.about.steps, 0, workers)

    def _planned(self, step: int) -> tuple[tuple[int, list[PlanRow]], list[Place]]:
        numbers = rows_of_rank(step, self.about.rows_per_step, self._rank, self._world)
        rows = self._plan.rows(numbers.start, numbers.stop, numbers.step)
        return (step, rows), [place for row in rows for place in row.samples]

    def _checked(self, step: int) -> int:
        if not 0 <= step <= self.about.steps:
            raise LoaderError(f"step {step} of a plan with {self.about.steps} steps")
        return step

    def _check_plan(self, tokenizer: str | None) -> None:
        place = f"{self._plan_folder.place}/{self._plan_name}"
        remake = "make it again: curate shards plan DIR" + (
            "" if self._plan_name == PLAN_NAME else f" --out {self._plan_name}"
        )
        if self.about.manifest != self._digest:
            raise PlanError(f"{place}: was made for another manifest than that of the shards; {remake}")
        if self.about.tokenizer != self._manifest.tokenizer:
            raise PlanError(
                f"{place}: was made for tokenizer {self.about.tokenizer}, the shards for "
                f"{self._manifest.tokenizer}; {remake}"
            )
        if tokenizer is None and _DIGEST.fullmatch(self.about.tokenizer):
            raise PlanError(
                f"{place}: was made for a tokenizer that is a file: give it with tokenizer=PATH, "
                f"the one with SHA-256 {self.about.tokenizer}"
            )
        if tokenizer is not None and not _is_tokenizer(tokenizer, self.about.tokenizer):
            raise PlanError(
                f"{place}: was made for tokenizer {self.about.tokenizer}, not {tokenizer}; give that one, "
                "or build shards for this one"
            )
        missing = load_encoder(tokenizer or self.about.tokenizer).missing
        if missing:
            raise PlanError(f"{place}: its tokenizer has no {missing[0]}: rows cannot be rendered without such tokens")


class PlannedLoader:
    """`PlannedRows` read by worker processes, with a state that is exact whatever they have read ahead.

    `len` is the number of steps that are left. A loader that is iterated over again goes on where it stood.
    """

    def __init__(
        self, rows: PlannedRows, *, workers: int = 0, prefetch_steps: int = 2, pin_memory: bool = False
    ) -> None:
        """`prefetch_steps`: how many steps each worker may be ahead. Workers are forked from this process.

        For object storage, whose connections do not outlive a fork, they are new processes: the script needs an
        `if __name__ == "__main__":`.
        """
        self._rows = rows
        self._workers, self._prefetch_steps, self._pin_memory = workers, prefetch_steps, pin_memory
        self._step = rows.about.steps - len(rows)

    def __len__(self) -> int:
        return self._rows.about.steps - self._step

    def __iter__(self) -> Iterator[StepRows]:
        self._rows.load_state_dict(self.state_dict())
        several = self._workers > 0
        loader = DataLoader(
            self._rows,
            batch_size=None,
            num_workers=self._workers,
            prefetch_factor=self._prefetch_steps if several else None,
            pin_memory=self._pin_memory,
            multiprocessing_context=self._rows.start_method if several else None,
        )
        for item in loader:
            self._step = item.step + 1
            yield item

    def state_dict(self) -> dict[str, Any]:
        """The step after the last one that was given out, and the hash of the manifest (and which plan)."""
        return self._rows.state_after(self._step - 1)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on at the step of a state, made with any number of workers and ranks. Raises as `PlannedRows`."""
        self._rows.load_state_dict(state)
        self._step = state["step"]


def _is_tokenizer(given: str, planned: str) -> bool:
    """Whether two are one tokenizer, each called `o200k_harmony`, by the SHA-256 of its file, or by the file's path.

    Raises:
        TokenizerError: a file cannot be read.
    """
    if given == planned:
        return True
    if HARMONY in (given, planned):
        return False
    one, other = (
        name if _DIGEST.fullmatch(name) else TokenCounts(name).parameters()["tokenizer"] for name in (given, planned)
    )
    return one == other


def _described(folder: Folder, plan_folder: Folder) -> tuple[Manifest, str]:
    """The manifest that lies with the plan, else that of the shards, and its SHA-256.

    Raises:
        PlanError: both have one, and the shards were written anew since the one of the plan.
    """
    apart = plan_folder is not folder and plan_folder.stat(MANIFEST_NAME) is not None
    place = plan_folder if apart else folder
    manifest = read_manifest(place)
    if apart and folder.stat(MANIFEST_NAME) is not None:
        there = {entry.name: entry.sha256 for entry in read_manifest(folder).every_shard}
        anew = [entry.name for entry in manifest.every_shard if there.get(entry.name) != entry.sha256]
        if anew:
            raise PlanError(
                f"{folder.place}/{anew[0]}: is another tar than the plan is of, says the manifest of the shards: they "
                "were written anew since. A plan with a manifest of its own is one that curate train made for its "
                "model: train in another --out, where it makes one of the shards as they are"
            )
    return manifest, hashlib.sha256(place.read(MANIFEST_NAME)).hexdigest()


def _folder_of(folder: Folder | Path | str) -> Folder:
    if isinstance(folder, Path):
        return LocalFolder(folder)
    return folder_at(folder) if isinstance(folder, str) else folder


def _shared_flags(count: int) -> torch.Tensor:
    """Numbers that this process and its workers see alike."""
    flags: torch.Tensor = torch.zeros(count, dtype=torch.uint8).share_memory_()  # type: ignore[no-untyped-call]
    return flags
