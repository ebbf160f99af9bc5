"""The rows of each step, from the shards to the encoder's pixels."""

import signal
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import get_worker_info

from pipelines.errors import CurateError, UsageError
from shards.loader import LoaderError, PlannedLoader, PlannedRows, StepRows
from shards.loader_items import Row as LoadedRow
from shards.manifest import ManifestError
from shards.plan_file import PlanError
from sources.storage import folder_at
from workflows.train.batch import Row
from workflows.train.job import Job
from workflows.train.ranks import Ranks
from workflows.train.stopping import STOPPING, held_back

VERIFY = "`curate shards verify` says what is wrong with shards"


class Pixels:
    """A picture as the encoder takes it, by the processor saved with the model: the same in training and use."""

    def __init__(self, directory: Path) -> None:
        self._directory = str(directory)
        self._processor: Any = None

    def __call__(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 H x W x 3 to float32[tiles, 3, side, side]; one tile where the model does not cut pictures."""
        if self._processor is None:
            from transformers import AutoImageProcessor

            kind: Any = AutoImageProcessor
            self._processor = kind.from_pretrained(self._directory, local_files_only=True)
        made = self._processor(images=picture, return_tensors="np")["pixel_values"]
        return np.ascontiguousarray(made, dtype=np.float32)


class UninterruptedRows(PlannedRows):
    """Rows whose reading processes leave signals to the rank they work for.

    torchrun sends SIGTERM to all processes of a rank: a reader that dies of it would take the rank with it before the
    checkpoint is written. Readers end with their rank in any case.
    """

    def __iter__(self) -> Iterator[StepRows]:
        if get_worker_info() is None:
            yield from super().__iter__()
            return
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)
        try:
            yield from super().__iter__()
        except LoaderError as error:  # raised here it would come to the user as a traceback
            yield Unreadable(str(error))  # type: ignore[misc]


class Unreadable(NamedTuple):
    """What a reading process says in place of the rows that it cannot give."""

    message: str
    step: int = 0


def rows_of(job: Job, ranks: Ranks, start_step: int) -> Iterator[Sequence[Row]]:
    """For each step from `start_step` on, the rows of this rank: as many for every rank.

    Raises:
        UsageError: there is no manifest or plan that can be used.
        CurateError: the shards are not those of the plan, or too much in them is bad.
    """
    pixels = Pixels(job.start)
    try:
        planned = UninterruptedRows(
            folder_at(job.shards), plan=job.plan, plan_folder=job.plan_folder, rank=ranks.rank, world=ranks.world,
            start_step=start_step, picture=pixels,
        )  # fmt: skip
        loader = PlannedLoader(planned, workers=job.recipe.workers, pin_memory=ranks.device.type == "cuda")
        for step in _read(loader, spawned=planned.start_method == "spawn"):
            yield [_row(row, 0 if number else len(step.bad)) for number, row in enumerate(step.rows)]
    except (PlanError, ManifestError) as error:
        raise UsageError(str(error), VERIFY) from None
    except LoaderError as error:
        raise CurateError(str(error), VERIFY) from None


def _read(loader: PlannedLoader, *, spawned: bool) -> Iterator[StepRows]:
    """Start the readers where signals cannot end them: those of a bucket import for seconds before they ignore any."""
    if spawned:
        resource_tracker.ensure_running()  # lets SIGTERM and SIGINT in again when it starts, so not further down
    steps = iter(loader)
    with held_back():
        first = list(islice(steps, 1))
    for step in chain(first, steps):
        if isinstance(step, Unreadable):
            raise LoaderError(step.message)
        yield step


def _row(row: LoadedRow, left_out: int) -> Row:
    """The loader's row as the model takes it."""
    return Row(row.ids.numpy(), row.labels.numpy(), row.position_ids.numpy(), row.pictures, row.keys, left_out)
