"""The whole path with a stand-in of BiomedCLIP's architecture and random weights: the real ones cannot be had here."""

import hashlib
import json
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from filters import biomedclip
from filters.biomedclip import BiomedClip
from filters.modality_classes import PROMPTS
from filters.torch_file import WeightsError
from sources.pictures import Picture

open_clip = pytest.importorskip("open_clip", reason="open_clip is not installed")
torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory as published, of a model of 600,000 parameters."""
    from transformers import BertConfig, BertTokenizerFast

    place = tmp_path_factory.mktemp("biomedclip")
    letters = string.ascii_lowercase + string.digits
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{one}" for one in letters), "-", "photo"]
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    BertConfig(vocab_size=len(words), **sizes).save_pretrained(place)
    vocabulary = {word: number for number, word in enumerate(words)}
    BertTokenizerFast(vocab=vocabulary, do_lower_case=True, model_max_length=256).save_pretrained(place)
    text = {
        "hf_model_name": "microsoft/not-here", "hf_tokenizer_name": "microsoft/not-here", "hf_proj_type": "mlp",
        "hf_pooler_type": "cls_last_hidden_state_pooler", "context_length": 256,
    }  # fmt: skip
    vision = {
        "timm_model_name": "test_vit", "timm_model_pretrained": False, "timm_pool": "", "timm_proj": "linear",
        "image_size": 160,
    }  # fmt: skip
    config = {
        "model_cfg": {"embed_dim": 512, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28]},
    }
    (place / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    own = {**text, "hf_model_name": str(place), "hf_model_pretrained": False}
    with biomedclip._offline():
        model = open_clip.create_model(f"local-dir:{place}", load_weights=False, pretrained_text=False, text_cfg=own)
    torch.save(model.state_dict(), place / "open_clip_pytorch_model.bin")
    yield place
    biomedclip._loaded.cache_clear()


def sha256_of(directory: Path) -> str:
    return hashlib.sha256((directory / "open_clip_pytorch_model.bin").read_bytes()).hexdigest()


def pictures(count: int) -> list[Picture]:
    rng = np.random.default_rng(5)
    made = [rng.integers(0, 256, (100 + 20 * number, 150, 3), np.uint8) for number in range(count)]
    return [Picture(pixels, pixels.shape[1], pixels.shape[0], "png", 8, 1) for pixels in made]


def embedded(measurer: BiomedClip, some: list[Picture]) -> Any:
    values = measurer.measure_batch([measurer.prepare(one) for one in some])
    return np.stack([np.frombuffer(one["embedding"], "<f2") for one in values])


def test_embeddings_are_those_of_open_clip_itself(directory: Path) -> None:
    text = json.loads((directory / "open_clip_config.json").read_text())["model_cfg"]["text_cfg"]
    own = {**text, "hf_model_name": str(directory), "hf_model_pretrained": False}
    with biomedclip._offline():
        model, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{directory}", text_cfg=own)
    with torch.inference_mode():
        given = torch.stack([prepare(Image.fromarray(one.pixels)) for one in pictures(3)])
        expected = model.eval().encode_image(given, normalize=True).numpy()
    found = embedded(BiomedClip(str(directory), sha256_of(directory), batch=4), pictures(3))
    assert np.abs(found.astype(float) - expected).max() < 1e-3


def test_a_picture_has_the_same_numbers_whatever_its_neighbours(directory: Path) -> None:
    measurer = BiomedClip(str(directory), sha256_of(directory), batch=4)
    together = embedded(measurer, pictures(6))
    assert np.array_equal(together[2], embedded(measurer, pictures(6)[2:3])[0])


def test_zero_shot_probabilities_are_of_every_label(directory: Path) -> None:
    measurer = BiomedClip(str(directory), sha256_of(directory))
    scores = json.loads(measurer.measure_batch([measurer.prepare(pictures(1)[0])])[0]["modality_scores"])
    assert list(scores) == list(PROMPTS)
    assert sum(scores.values()) == pytest.approx(1, abs=0.01)


def test_a_device_out_of_memory_gets_half_the_batch(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measurer = BiomedClip(str(directory), sha256_of(directory), batch=8)
    expected = embedded(BiomedClip(str(directory), sha256_of(directory), batch=2), pictures(5))
    model = biomedclip._loaded(str(directory), sha256_of(directory), "auto")
    real, sizes = model.embedded, []

    def small_device(pixels: Any) -> Any:
        sizes.append(len(pixels))
        if len(pixels) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(pixels)

    monkeypatch.setattr(model, "embedded", small_device)
    assert np.array_equal(embedded(measurer, pictures(5)), expected)
    assert sizes == [8, 4, 2, 2, 2]


def test_truncated_weights_are_refused_with_their_own_hash(directory: Path, tmp_path: Path) -> None:
    for file in directory.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "open_clip_pytorch_model.bin"
    weights.write_bytes(weights.read_bytes()[:100_000])
    with pytest.raises(WeightsError, match=sha256_of(tmp_path)):
        BiomedClip(str(tmp_path), sha256_of(directory))
    truncated = BiomedClip(str(tmp_path), sha256_of(tmp_path))  # the user copied the hash of a broken file
    with pytest.raises(WeightsError, match="do not fit"):
        embedded(truncated, pictures(1))


def test_weights_of_another_model_are_refused(directory: Path, tmp_path: Path) -> None:
    for file in directory.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    state = torch.load(directory / "open_clip_pytorch_model.bin", weights_only=True)
    state.pop(next(name for name in state if name.startswith("visual")))
    torch.save(state, tmp_path / "open_clip_pytorch_model.bin")
    with pytest.raises(WeightsError, match="do not fit the model"):
        embedded(BiomedClip(str(tmp_path), sha256_of(tmp_path)), pictures(1))


def test_a_directory_without_weights_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"open_clip_config\.json"):
        BiomedClip(str(tmp_path), "0" * 64)
