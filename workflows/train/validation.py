"""The loss on what the build held out, by source: the same rows each time, whatever the number of ranks."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from pipelines.errors import CurateError
from shards.index_file import IndexFileError, open_index
from shards.loader_order import LoaderError
from shards.loader_samples import SampleReader
from shards.loader_shards import Shards
from shards.manifest import Manifest, read_manifest
from shards.mixture import hashes
from shards.packing import packed
from shards.plan_file import Place, PlanAbout, PlanRow, open_plan
from shards.plan_samples import samples_of
from shards.row_reader import RowMaker, RowSettings
from sources.storage import Folder, folder_at
from workflows.train.batch import Row, batch_of
from workflows.train.data import VERIFY, Pixels
from workflows.train.engine import Engine
from workflows.train.job import Job
from workflows.train.planning import shards_over
from workflows.train.ranks import Ranks

_OF_VALIDATION = 4  # which random numbers; plans use 1 to 3
EMPTY = PlanRow((), 0, 0, 0.0)
"""A row that is given to a rank for which there is none: under ZeRO-3 all ranks run the model equally often."""


class HeldOut:
    """The rows of each source that validation reads."""

    def __init__(self, job: Job, ranks: Ranks) -> None:
        """Choose them; the first rank does, the others are told.

        Raises:
            CurateError: the index that says where held-out samples lie cannot be read.
        """
        self.job, self.ranks = job, ranks
        self.folder = shards_over(folder_at(job.shards), job.plan_folder)
        self.manifest = read_manifest(self.folder)
        self.about = open_plan(self.folder, job.plan).about
        settings = job.recipe.validation
        own: dict[str, list[PlanRow]] = {}
        if ranks.first and settings is not None:
            try:
                own = held_out_rows(self.folder, self.manifest, self.about, settings.rows, job.recipe.seed)
            except IndexFileError as error:
                raise CurateError(str(error), VERIFY) from None
        self.rows: Mapping[str, Sequence[PlanRow]] = ranks.gathered(own)[0]

    def losses(self, engine: Engine) -> dict[str, float]:
        """Mean loss over the labelled tokens of each source; a source without any is left out.

        Raises:
            CurateError: the held-out shards cannot be read.
        """
        reader = SampleReader(Shards(self.folder, self.manifest))
        maker = RowMaker(self.about, self.about.tokenizer, RowSettings(picture=Pixels(self.job.start)))
        engine.deepspeed.eval()
        told = {}
        try:
            with torch.no_grad():
                for source, rows in self.rows.items():
                    total, labelled = self.ranks.summed(self._of(engine, reader, maker, rows))
                    if labelled:
                        told[source] = total / labelled
        except LoaderError as error:
            raise CurateError(str(error), VERIFY) from None
        finally:
            engine.deepspeed.train()
            reader.close()
        return told

    def _of(
        self, engine: Engine, reader: SampleReader, maker: RowMaker, rows: Sequence[PlanRow]
    ) -> tuple[float, float]:
        """Sum of the losses of this rank's rows of a source, and how many tokens they are of."""
        world, job = self.ranks.world, self.job
        filled = [*rows, *[EMPTY] * (-len(rows) % world)]
        total = labelled = 0.0
        for planned in filled[self.ranks.rank :: world]:
            [made], _ = maker.rows([planned], reader.read(planned.samples))
            row = Row(made.ids, made.labels, made.position_ids, made.pictures, made.keys)
            loss, _, _ = engine.deepspeed(**vars(batch_of(row, job.context, job.model, self.ranks.device)))
            total += float(loss)
            labelled += row.labelled
        return total, labelled


def held_out_rows(
    folder: Folder, manifest: Manifest, about: PlanAbout, rows_each: int, seed: int
) -> dict[str, list[PlanRow]]:
    """At most `rows_each` rows of each source's held-out samples, drawn by the seed and packed; {} without a hold-out.

    Raises:
        IndexFileError: the index cannot be read.
    """
    if not manifest.validation or manifest.index is None:
        return {}
    samples = samples_of(open_index(folder, manifest.index), len(manifest.every_shard), about.images)
    sources = samples.words["source"]
    order = np.argsort(hashes(seed, 0, _OF_VALIDATION, len(samples.tokens)), kind="stable")
    usable = (samples.shard >= len(manifest.shards)) & (samples.tokens <= about.context)
    chosen: dict[str, list[PlanRow]] = {}
    for code, source in enumerate(sources.words):
        own = order[(usable & (sources.codes == code))[order]]
        own = own[np.cumsum(samples.tokens[own]) <= rows_each * about.context]
        if not len(own):
            continue
        row_n = packed(samples.tokens[own].astype(np.int32), about.context, np.arange(len(own), dtype=np.uint64))
        rows: list[list[Place]] = [[] for _ in range(min(rows_each, int(row_n.max()) + 1))]
        for number, row in zip(own.tolist(), row_n.tolist(), strict=True):
            if row < len(rows):
                rows[row].append(Place(*(int(column[number]) for column in (
                    samples.shard, samples.offset, samples.size, samples.tokens))))  # fmt: skip
        chosen[source] = [PlanRow(tuple(row), 0, sum(place.tokens for place in row), 0.0) for row in rows]
    return chosen
