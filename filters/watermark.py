"""Finds heavy watermarks: half-transparent words or logos over the whole picture, or one across its middle.

A convolutional network of 61,000 weights says, for each cell of 16 x 16 pixels, whether there is such a mark. What is
kept is the share of cells it is sure of, without those at the border: what lies beyond it looks like an edge. It was
trained on real pictures of six sets with marks drawn over them (`benchmarks/watermark_fit.py`), opaque
writing, arrows, charts, pages of text and figures of many pictures among what is none.
"""

import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from filters.burned_in import Grey
from filters.onnx_file import Network
from sources.shipped import usable

LONGEST_SIDE = 384
"""Larger pictures are averaged down to it: letters of a twentieth of the shorter side are 14 px high then."""
SHORTEST_SIDE = 96
"""Smaller pictures, and slips of large ones, have no room for a mark, and no value: slide tiles of 50 were alarms."""
CELL = 16
"""Pixels of a cell's side; what is left of a picture at the right and at the bottom is in none."""
SURE = 3.0
"""Log odds from which on a cell is taken for marked: our own choice, to which the limit of `quality` belongs."""
LAYERS = ((1, 8, 3, 2, 1), (8, 16, 3, 2, 1), (16, 32, 3, 2, 1), (32, 48, 3, 2, 1),
          (48, 48, 3, 1, 2), (48, 48, 3, 1, 4), (48, 1, 1, 1, 1))  # fmt: skip
"""Channels in and out, kernel, stride and dilation of the convolutions, with ReLU between them."""
CENTRE, SCALE = 128, 64
"""Grey levels are taken less the one, over the other."""
SHIPPED = Path(__file__).parent / "data" / "watermark.npz"
_ONE_AT_A_TIME = threading.Lock()
"""OpenCV's networks keep their input: two threads would get each other's scores."""


class Watermark:
    """Fills `watermarked`: the share of a picture's inner cells that are under a mark, to four digits."""

    name = "watermark"
    version = 1
    """Raised with other weights, too."""
    fields = ("watermarked",)
    whole = True

    def measure(self, grey: Grey, picture: Image.Image) -> Mapping[str, Any]:  # noqa: ARG002 - protocol's
        """The values of `fields`; None for pictures too small to tell.

        Raises:
            PackageError: the network cannot be loaded.
        """
        fitted = fitted_to_network(np.asarray(picture))
        if min(fitted.shape) < SHORTEST_SIDE:
            return {"watermarked": None}
        inner = scores_of(fitted)[1:-1, 1:-1]
        return {"watermarked": round(float((inner > SURE).mean()), 4)}


def fitted_to_network(grey: Grey) -> Grey:
    """H x W grey levels averaged down to at most LONGEST_SIDE."""
    scale = LONGEST_SIDE / max(grey.shape)
    if scale >= 1:
        return grey
    size = (max(round(grey.shape[1] * scale), 1), max(round(grey.shape[0] * scale), 1))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def scores_of(fitted: Grey) -> npt.NDArray[np.float32]:
    """Log odds of a mark, for each whole cell, row by row.

    They are float32: the same to the bit for any number of threads, and on processors with the same instructions.
    """
    height, width = (size // CELL * CELL for size in fitted.shape)
    with _ONE_AT_A_TIME:
        network = _network()
        network.setInput(((fitted[:height, :width].astype(np.float32) - CENTRE) / SCALE)[None, None])
        scores: npt.NDArray[np.float32] = network.forward()[0, 0].copy()
    return scores


def onnx_model(weights: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The network for one picture of any size, as an ONNX file; `weights` has `weight0`, `bias0` ... of LAYERS.

    Raises:
        ValueError: a weight has another shape.
    """
    network = Network()
    for number, (channels_in, channels_out, kernel, stride, dilation) in enumerate(LAYERS):
        weight, bias = weights[f"weight{number}"], weights[f"bias{number}"]
        if weight.shape != (channels_out, channels_in, kernel, kernel) or bias.shape != (channels_out,):
            raise ValueError(f"weights of layer {number}: shape {weight.shape} and {bias.shape}")
        inputs = [network.last, network.weight(f"weight{number}", weight), network.weight(f"bias{number}", bias)]
        padding = [dilation * (kernel // 2)] * 4
        network.add(
            "Conv",
            inputs,
            {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "dilations": [dilation] * 2, "pads": padding},
        )
        if number < len(LAYERS) - 1:
            network.add("Relu", [network.last])
    return network.model((1, 1, "height", "width"), (1, 1, "rows", "columns"))


@lru_cache(maxsize=1)
def _network() -> Any:
    """The network, loaded once a process, whose other workers have the other cores.

    Raises:
        PackageError: the file of the package is not what it should be; no record is to blame.
    """
    cv2.setNumThreads(1)
    with usable("model watermark", SHIPPED):
        with np.load(SHIPPED, allow_pickle=False) as arrays:
            weights = {name: arrays[name] for name in arrays.files}
        return cv2.dnn.readNetFromONNX(np.frombuffer(onnx_model(weights), np.uint8))
