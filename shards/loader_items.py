"""What the loader gives: one step's rows of one rank, as tensors that lie in one piece of memory.

Between a worker and the trainer a tensor of its own costs a file descriptor and a system call each; rows of a step
may hold hundreds. So all arrays of a step are views of one buffer, which workers put into shared memory.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from shards.loader_samples import BadSample
from shards.row_reader import PackedRow

_ALIGNED_BYTES = 64


@dataclass(frozen=True)
class Row:
    """A `PackedRow` with tensors: int64 `ids`, `labels`, `position_ids`, int32 `documents`, all [n].

    Pictures that are numpy arrays stay such; so do tensors, and whatever else a `picture` function made.
    """

    ids: torch.Tensor
    labels: torch.Tensor
    position_ids: torch.Tensor
    documents: torch.Tensor
    picture_spans: tuple[tuple[int, int], ...]
    pictures: tuple[Any, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True)
class _View:
    """Where an array lies in the buffer."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    is_tensor: bool

    def array(self, buffer: torch.Tensor) -> np.ndarray[Any, Any]:
        """The array, in the buffer."""
        size = math.prod(self.shape) * np.dtype(self.dtype).itemsize
        return buffer.numpy()[self.offset : self.offset + size].view(self.dtype).reshape(self.shape)

    def value(self, buffer: torch.Tensor) -> Any:
        """What stands in a `Row`."""
        array = self.array(buffer)
        return torch.from_numpy(array) if self.is_tensor else array


_Skeleton = tuple[tuple[Any, ...], ...]
"""Of each row the fields of `Row` in order, with a `_View` in place of every array."""


class StepRows:
    """The rows of one step that one rank trains on: `step`, `rows`, and the samples that were left out (`bad`)."""

    def __init__(self, step: int, bad: tuple[BadSample, ...], skeleton: _Skeleton, buffer: torch.Tensor) -> None:
        self.step, self.bad = step, bad
        self._skeleton, self._buffer = skeleton, buffer
        self.rows = tuple(_row_of(fields, buffer) for fields in skeleton)

    def __reduce__(self) -> tuple[Any, ...]:
        return StepRows, (self.step, self.bad, self._skeleton, self._buffer)

    def pin_memory(self) -> "StepRows":
        """The same in page-locked memory; `DataLoader(pin_memory=True)` calls it."""
        return self.over(self._buffer.pin_memory())

    def over(self, buffer: torch.Tensor) -> "StepRows":
        """The same over a copy of the buffer."""
        return StepRows(self.step, self.bad, self._skeleton, buffer)


def step_rows(step: int, rows: Sequence[PackedRow], bad: Sequence[BadSample], *, shared: bool) -> StepRows:
    """Lay the arrays of all rows side by side; `shared` puts them where another process can see them."""
    layout = _Layout()
    skeleton = tuple(tuple(layout.placed(row)) for row in rows)
    buffer = _shared(layout.size) if shared else torch.empty(layout.size, dtype=torch.uint8)
    for view, array in layout.arrays:
        np.copyto(view.array(buffer), array)
    return StepRows(step, tuple(bad), skeleton, buffer)


class _Layout:
    """Gives every array its place."""

    def __init__(self) -> None:
        self.size = 0
        self.arrays: list[tuple[_View, np.ndarray[Any, Any]]] = []

    def placed(self, row: PackedRow) -> Iterator[Any]:
        """The fields of `Row`, views in place of arrays."""
        for array in (row.ids, row.labels, row.position_ids, row.documents):
            yield self._view(array, is_tensor=True)
        yield row.picture_spans
        yield tuple(self._of_picture(picture) for picture in row.pictures)
        yield row.keys

    def _of_picture(self, picture: Any) -> Any:
        if isinstance(picture, np.ndarray) and picture.dtype.kind in "biuf":
            return self._view(picture, is_tensor=False)
        if isinstance(picture, torch.Tensor) and picture.dtype != torch.bfloat16:
            return self._view(picture.detach().numpy(), is_tensor=True)
        return picture

    def _view(self, array: np.ndarray[Any, Any], *, is_tensor: bool) -> _View:
        view = _View(array.dtype.str, array.shape, self.size, is_tensor)
        self.arrays.append((view, array))
        self.size += -(-array.nbytes // _ALIGNED_BYTES) * _ALIGNED_BYTES
        return view


def _row_of(fields: tuple[Any, ...], buffer: torch.Tensor) -> Row:
    ids, labels, position_ids, documents = (_real(view, buffer) for view in fields[:4])
    spans, pictures, keys = fields[4:]
    return Row(ids, labels, position_ids, documents, spans, tuple(_real(p, buffer) for p in pictures), keys)


def _real(value: Any, buffer: torch.Tensor) -> Any:
    return value.value(buffer) if isinstance(value, _View) else value


def _shared(size: int) -> torch.Tensor:
    storage = torch.UntypedStorage._new_shared(size)  # type: ignore[no-untyped-call]  # noqa: SLF001 - as torch's collate
    return torch.empty(0, dtype=torch.uint8).set_(storage, 0, (size,))  # type: ignore[call-overload, no-any-return]
