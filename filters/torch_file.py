"""Reads the tensors of a frozen PyTorch weights file without PyTorch.

The file is believed only after its sha256 was compared, and even then nothing of it is executed: the objects of its
pickle streams may be dictionaries, numbers, strings and tensors, as with `torch.load(weights_only=True)`. Both forms
that PyTorch ever wrote would need reading in general; the one file that is read here has the first (before 1.6).
"""

import collections
import io
import pickle
from typing import Any

import numpy as np
import numpy.typing as npt

_MAGIC = 0x1950A86A20F9469CFC6C
_TYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class WeightsError(ImportError):
    """Weights are missing, or not what they should be. The message says what to do.

    An ImportError, because no record is to blame for it: it ends a run.
    """


def read_tensors(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """The tensors by name, of the bytes of a state dict in PyTorch's first format.

    Raises:
        WeightsError: not such a file, or one with anything but tensors in it.
    """
    stream = io.BytesIO(data)
    storages: dict[str, tuple[np.dtype[Any], int]] = {}
    try:
        magic = _Tensors(stream, storages).load()
        _Tensors(stream, storages).load()  # the version of the protocol
        _Tensors(stream, storages).load()  # what machine wrote it
        named = _Tensors(stream, storages).load()
        keys = _Tensors(stream, storages).load()
        if magic != _MAGIC or not isinstance(named, dict) or sorted(keys) != sorted(storages):
            raise WeightsError("weights: no state dict of PyTorch's first format")
        values = {key: _values(stream, *storages[key]) for key in keys}
        return {name: _shaped(values[tensor.key], tensor) for name, tensor in named.items()}
    except (pickle.UnpicklingError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"weights: the file cannot be read ({type(error).__name__})") from None


class _Tensor(tuple[str, int, tuple[int, ...], tuple[int, ...]]):
    """Where a tensor's values are: key of the storage, offset, shape and strides in elements."""

    __slots__ = ()

    @property
    def key(self) -> str:
        return self[0]


class _Tensors(pickle.Unpickler):
    """An unpickler to which three names mean something, none of them code of the file's choosing."""

    def __init__(self, stream: io.BytesIO, storages: dict[str, tuple[np.dtype[Any], int]]) -> None:
        super().__init__(stream)
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        """What a global of the stream stands for; any other one ends the reading."""
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuilt
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        raise pickle.UnpicklingError("something that is no tensor")

    def persistent_load(self, pid: Any) -> str:
        """The key of a storage; remembers its type and size."""
        kind, storage_type, key, _, count, *_ = pid
        if kind != "storage" or not isinstance(storage_type, np.dtype):
            raise pickle.UnpicklingError("something that is no storage")
        self._storages[key] = (storage_type, int(count))
        return str(key)


def _rebuilt(key: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> _Tensor:
    return _Tensor((key, offset, tuple(shape), tuple(strides)))


def _values(stream: io.BytesIO, dtype: np.dtype[Any], count: int) -> npt.NDArray[Any]:
    if int.from_bytes(stream.read(8), "little") != count:
        raise WeightsError("weights: a tensor has another size than the file says")
    return np.frombuffer(stream.read(count * dtype.itemsize), dtype, count)


def _shaped(values: npt.NDArray[Any], tensor: _Tensor) -> npt.NDArray[Any]:
    _, offset, shape, strides = tensor
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if min((offset, *strides, *shape)) < 0 or not last < len(values):
        raise WeightsError("weights: a tensor reaches beyond its values")
    steps = tuple(stride * values.itemsize for stride in strides)
    return np.array(np.lib.stride_tricks.as_strided(values[offset:], shape, steps), order="C")
