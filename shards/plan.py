"""Making a packing plan: from the member index and settings to rows in the order of training.

A plan depends on index, manifest and settings alone: it is the same on every machine. A million samples take
seconds; memory is about 150 bytes for each sample of the index and 30 for each use of one, whatever the shards hold.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import blake3
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shards.cost import document_costs
from shards.index_file import Index
from shards.manifest import Manifest
from shards.mixture import PlanSettings, default_rows_per_step, fitting_rows_per_step, hashes, multipliers, uses
from shards.packing import packed
from shards.plan_file import PLACE, PLAN_SCHEMA, PlanAbout, PlanBalance, PlanError, write_plan
from shards.plan_samples import Samples, samples_of
from shards.steps import Documents, ordered
from sources.schema import Reason

TOO_LONG = Reason.TOKENS_TOO_LONG.value
NO_WEIGHT = "mixture.no_weight"
NOT_DRAWN = "mixture.not_drawn"
"""Why samples are in no row: longer than the context, of weight 0, or left out by weights below 1 and caps."""
_BATCH_ROWS = 4096
_OF_PACKING = 3  # which random numbers; the mixture uses 1 and 2


@dataclass(frozen=True)
class _Packed:
    """One epoch: sample, first token and tokens of each document, row after row."""

    sample_n: NDArray[np.int32]
    start_n: NDArray[np.int32]
    tokens_n: NDArray[np.int32]
    starts: NDArray[np.int64]
    cost_r: NDArray[np.float64]


@dataclass(frozen=True)
class MadePlan:
    """A plan in memory, ready to be written."""

    about: PlanAbout
    samples: Samples
    epochs: tuple[_Packed, ...]

    def write(self, file: BinaryIO) -> None:
        """Write `plan.arrow`."""
        write_plan(file, self.about, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for number, epoch in enumerate(self.epochs):
            rows = len(epoch.cost_r)
            for first in range(0, rows, _BATCH_ROWS):
                yield _batch(self.samples, epoch, number, slice(first, min(first + _BATCH_ROWS, rows)))


def make_plan(index: Index, manifest: Manifest, manifest_sha256: str, settings: PlanSettings) -> MadePlan:
    """Plan the training shards of a manifest.

    Raises:
        PlanError: the index is of another build or tokenizer than the manifest, or has another number of samples of
            a shard.
    """
    if not index.is_of(manifest):
        raise PlanError("the member index is of another build than the manifest: restore both, or build again")
    samples = samples_of(index, len(manifest.shards), settings.images)
    counted = np.bincount(samples.shard, minlength=len(manifest.shards))
    if counted.tolist() != [entry.samples for entry in manifest.shards]:
        raise PlanError("the member index has other samples than the manifest: restore both, or build again")
    fits = samples.tokens <= settings.context
    usable = fits | samples.is_text if settings.cut else fits
    wanted = multipliers(settings, samples.words, usable)
    drawn = np.zeros(len(wanted), np.bool_)
    epochs, sums = [], np.zeros(3)
    size = settings.rows_per_step
    for number in range(settings.epochs):
        uses_n = uses(settings, wanted, samples.words["source"], samples.tokens, number)
        drawn |= uses_n > 0
        packing = _pack(samples, uses_n, settings, number)
        size = size or fitting_rows_per_step(settings.context, int(packing.row_n.max(initial=-1)) + 1)
        epoch, facts = _epoch(samples, packing, size, settings.context)
        epochs.append(epoch)
        sums += facts
    excluded = {
        TOO_LONG: int((~usable).sum()),
        NO_WEIGHT: int((usable & (wanted == 0)).sum()),
        NOT_DRAWN: int(((wanted > 0) & ~drawn).sum()),
    }
    about = _about(manifest, manifest_sha256, settings, size or 1, epochs, excluded, sums.tolist())
    clipped = int((wanted > settings.max_repeats).sum())
    return MadePlan(about.model_copy(update={"clipped": clipped}), samples, tuple(epochs))


def _about(
    manifest: Manifest,
    manifest_sha256: str,
    settings: PlanSettings,
    size: int,
    epochs: Sequence[_Packed],
    excluded: Mapping[str, int],
    sums: Sequence[float],
) -> PlanAbout:
    """What the plan says of itself; `sums` are those of balance before and after and of padding rows."""
    before, after, padding_rows = sums
    rows = sum(len(epoch.cost_r) for epoch in epochs)
    steps = rows // size
    tokens = sum(int(epoch.tokens_n.sum(dtype=np.int64)) for epoch in epochs)
    return PlanAbout(
        build=manifest.build,
        manifest=manifest_sha256,
        tokenizer=manifest.tokenizer,
        context=settings.context,
        rows_per_step=size,
        epochs=settings.epochs,
        seed=settings.seed,
        steps=steps,
        rows=rows,
        samples=sum(len(epoch.sample_n) for epoch in epochs),
        tokens=tokens,
        fill=round(tokens / max(1, rows * settings.context), 6),
        images=settings.images,
        mixture=settings.mixture,
        excluded={reason: count for reason, count in excluded.items() if count},
        balance=PlanBalance(before=round(before / max(1, steps), 6), after=round(after / max(1, steps), 6)),
        padding_rows=int(padding_rows),
        cut=settings.cut,
        rows_per_step_given=settings.rows_per_step is not None,
        order=_order(epochs),
    )


def _order(epochs: Sequence[_Packed]) -> str:
    digest = blake3.blake3()
    for epoch in epochs:
        for numbers in (epoch.sample_n, epoch.start_n, epoch.tokens_n, epoch.starts):
            digest.update(np.ascontiguousarray(numbers).view(np.uint8).data)
    return digest.hexdigest(16)


@dataclass(frozen=True)
class _Packing:
    """The documents of an epoch, the row of each, and random numbers: as many as documents and rows of a step."""

    sample_n: NDArray[np.int32]
    start_n: NDArray[np.int32]
    tokens_n: NDArray[np.int32]
    row_n: NDArray[np.int32]
    lots: NDArray[np.uint64]


def _pack(samples: Samples, uses_n: NDArray[np.int64], settings: PlanSettings, number: int) -> _Packing:
    """Pack one epoch."""
    sample_n = np.repeat(np.arange(len(uses_n), dtype=np.int32), uses_n)
    sample_n, start_n, tokens_n = _pieces(samples, sample_n, settings.context)
    spare = settings.rows_per_step or default_rows_per_step(settings.context)
    lots = hashes(settings.seed, number, _OF_PACKING, len(sample_n) + spare)
    row_n = packed(tokens_n, settings.context, lots[: len(sample_n)])
    return _Packing(sample_n, start_n, tokens_n, row_n, lots)


def _epoch(
    samples: Samples, packing: _Packing, rows_per_step: int, context: int
) -> tuple[_Packed, NDArray[np.float64]]:
    """An epoch in the order of training, and three sums: of its balance before and after, of padding rows."""
    tiles_n = np.where(packing.start_n == 0, samples.tiles[packing.sample_n], 0)
    documents = Documents(packing.tokens_n, document_costs(packing.tokens_n, tiles_n))
    epoch = ordered(documents, packing.row_n, rows_per_step, context, packing.lots)
    items = epoch.item_n
    done = _Packed(packing.sample_n[items], packing.start_n[items], packing.tokens_n[items], epoch.starts, epoch.cost_r)
    return done, np.array([epoch.before, epoch.after, epoch.padding_rows])


def _pieces(
    samples: Samples, sample_n: NDArray[np.int32], context: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """The documents of these samples: each whole, what is longer than the context in equal pieces."""
    tokens_n = samples.tokens[sample_n]
    pieces_n = np.maximum(1, -(-tokens_n // context))
    piece_n = -(-tokens_n // pieces_n)
    number_p = np.arange(pieces_n.sum()) - np.repeat(np.cumsum(pieces_n) - pieces_n, pieces_n)
    size_p, whole_p = np.repeat(piece_n, pieces_n), np.repeat(tokens_n, pieces_n)
    start_p = number_p * size_p
    tokens_p = np.minimum(size_p, whole_p - start_p)
    return np.repeat(sample_n, pieces_n), start_p.astype(np.int32), tokens_p.astype(np.int32)


def _batch(samples: Samples, epoch: _Packed, number: int, rows: slice) -> pa.RecordBatch:
    starts = epoch.starts[rows.start : rows.stop + 1]
    documents = slice(int(starts[0]), int(starts[-1]))
    sample_d = epoch.sample_n[documents]
    tokens_d = epoch.tokens_n[documents]
    columns = {
        "shard": samples.shard[sample_d],
        "offset": samples.offset[sample_d],
        "size": samples.size[sample_d],
        "tokens": tokens_d,
        "start": epoch.start_n[documents],
    }
    places = pa.StructArray.from_arrays([pa.array(columns[field.name], field.type) for field in PLACE], fields=[*PLACE])
    offsets = (starts - starts[0]).astype(np.int32)
    running = np.concatenate([[0], np.cumsum(tokens_d, dtype=np.int64)])
    arrays = [
        pa.ListArray.from_arrays(pa.array(offsets), places, type=PLAN_SCHEMA.field("samples").type),
        pa.array(np.full(len(offsets) - 1, number, np.int16)),
        pa.array((running[offsets[1:]] - running[offsets[:-1]]).astype(np.int32)),
        pa.array(epoch.cost_r[rows]),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=PLAN_SCHEMA)
