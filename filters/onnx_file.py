"""Writes a small convolutional network as an ONNX file: all of the format that such a network needs.

Field numbers are those of onnx.proto (ONNX IR version 8, operators of set 13). The `onnx` package would do the same
and weighs 40 MB; this is what keeps labelling and watermarks on a CPU a small installation.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

_IR_VERSION, _OPERATORS = 8, 13
_FLOAT, _INT, _STRING, _INTS = 1, 2, 3, 7
_FLOAT32 = 1

Attribute = int | str | Sequence[int]


@dataclass
class Network:
    """Nodes and weights, in the order in which they are added. The input is `input`, the output the last node's."""

    nodes: list[bytes] = field(default_factory=list)
    weights: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    last: str = "input"

    def add(
        self,
        kind: str,
        inputs: Sequence[str],
        attributes: Mapping[str, Attribute] | None = None,
    ) -> str:
        """Add a node; returns the name of its output."""
        self.last = f"node{len(self.nodes)}"
        body = b"".join(_bytes(1, name.encode()) for name in inputs)
        body += _bytes(2, self.last.encode()) + _bytes(4, kind.encode())
        body += b"".join(_bytes(5, _attribute(name, value)) for name, value in (attributes or {}).items())
        self.nodes.append(body)
        return self.last

    def weight(self, name: str, values: npt.NDArray[np.float32]) -> str:
        """Add a weight; returns its name."""
        self.weights[name] = np.ascontiguousarray(values, np.float32)
        return name

    def model(self, input_shape: Sequence[int | str], output_shape: Sequence[int | str]) -> bytes:
        """The ONNX file. A dimension that is a word may have any size."""
        graph = b"".join(_bytes(1, node) for node in self.nodes) + _bytes(2, b"network")
        graph += b"".join(_bytes(5, _tensor(name, values)) for name, values in self.weights.items())
        graph += _bytes(11, _value("input", input_shape)) + _bytes(12, _value(self.last, output_shape))
        return _number(1, _IR_VERSION) + _bytes(7, graph) + _bytes(8, _number(2, _OPERATORS))


def _attribute(name: str, value: Attribute) -> bytes:
    head = _bytes(1, name.encode())
    if isinstance(value, str):
        return head + _bytes(4, value.encode()) + _number(20, _STRING)
    if isinstance(value, int):
        return head + _number(3, value) + _number(20, _INT)
    return head + b"".join(_number(8, one) for one in value) + _number(20, _INTS)


def _tensor(name: str, values: npt.NDArray[np.float32]) -> bytes:
    shape = b"".join(_number(1, size) for size in values.shape)
    return shape + _number(2, _FLOAT32) + _bytes(8, name.encode()) + _bytes(9, values.astype("<f4").tobytes())


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    sizes = b"".join(
        _bytes(1, _number(1, size) if isinstance(size, int) else _bytes(2, size.encode())) for size in shape
    )
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, _number(1, _FLOAT32) + _bytes(2, sizes)))


def _number(place: int, value: int) -> bytes:
    return _varint(place << 3) + _varint(value)


def _bytes(place: int, value: bytes) -> bytes:
    return _varint(place << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(found) + struct.pack("B", value)
