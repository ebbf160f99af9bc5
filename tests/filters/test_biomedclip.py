"""The whole path with a stand-in of BiomedCLIP's architecture and random weights: the real ones cannot be had here."""

import hashlib
import json
import logging
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageFilter

from filters import biomedclip
from filters.biomedclip import BiomedClip
from filters.devices import chosen_device
from filters.gallery import Gallery, Wanted
from filters.measure import Pictures
from filters.modality_classes import PROMPTS
from filters.text import TextQuality
from filters.torch_file import WeightsError
from sources.pictures import Limits, Picture
from sources.schema import SAMPLES
from tests.filters.stand_in import sha256_of, write_stand_in
from tests.filters.test_measure import encoded

open_clip = pytest.importorskip("open_clip", reason="open_clip is not installed")
torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory as published, of a model of 600,000 parameters."""
    yield write_stand_in(tmp_path_factory.mktemp("biomedclip"))
    biomedclip._loaded.cache_clear()


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
    with biomedclip.offline():
        model, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{directory}", text_cfg=own)
    with torch.inference_mode():
        given = torch.stack([prepare(Image.fromarray(one.pixels)) for one in pictures(3)])
        expected = model.eval().encode_image(given, normalize=True).numpy()
    found = embedded(BiomedClip(str(directory), sha256_of(directory), batch=4), pictures(3))
    assert np.abs(found.astype(float) - expected).max() < 1e-3


def test_texts_are_embedded_as_open_clip_does_and_apart_from_their_neighbours(directory: Path) -> None:
    text = json.loads((directory / "open_clip_config.json").read_text())["model_cfg"]["text_cfg"]
    own = {**text, "hf_model_name": str(directory), "hf_model_pretrained": False}
    said = ["photo a", "b - c " * 400, "q 7 photo"]
    with biomedclip.offline():
        model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{directory}", text_cfg=own)
        tokens = open_clip.get_tokenizer(f"local-dir:{directory}")(said, context_length=256)
    with torch.inference_mode():
        expected = model.eval().encode_text(tokens, normalize=True).numpy()
    measurer = BiomedClip(str(directory), sha256_of(directory), batch=2)
    found = measurer.embedded_texts(said)
    assert np.abs(found - expected).max() < 1e-3
    assert (measurer.embedded_texts(said[2:])[0] == found[2]).all()
    samples = pa.Table.from_pylist(
        [
            {
                "sample_id": str(number), "source": "s", "source_key": "k", "license": "unknown", "access": "open",
                "task": task, "turns": [{"role": "assistant", "text": said[0]}],
                "images": [{"image_id": "i", "uri": "i", "frame": 0}] if shown else None,
            }
            for number, (task, shown) in enumerate([("caption", True), ("caption", False), ("vqa", True)])
        ],
        schema=SAMPLES,
    )  # fmt: skip
    vectors = TextQuality(measurer).measure(samples)["text_embedding"]["vector"].to_pylist()
    assert vectors[1:] == [None, None]
    assert (np.frombuffer(vectors[0], "<f2") == found[0].astype(np.float16)).all()


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
    model = measurer._model()
    real, sizes = model.embedded, []

    def small_device(pixels: Any) -> Any:
        sizes.append(len(pixels))
        if len(pixels) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(pixels)

    monkeypatch.setattr(model, "embedded", small_device)
    assert np.array_equal(embedded(measurer, pictures(5)), expected)
    assert sizes == [8, 4, 2, 2, 2]


def test_the_batch_is_the_recipe_s_or_else_the_device_s_and_halved_in_one_fragment_only(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small_device(pixels: Any) -> Any:
        if len(pixels) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(pixels)

    assert BiomedClip(str(directory), sha256_of(directory), batch=500).batch_size() == 500
    sent = pickle.dumps(BiomedClip(str(directory), sha256_of(directory)))
    measurer = pickle.loads(sent)
    assert measurer.batch_size() == 32
    real = measurer._model().embedded
    monkeypatch.setattr(measurer._model(), "embedded", small_device)
    embedded(measurer, pictures(3))
    assert measurer.batch_size() == 8
    assert pickle.loads(sent).batch_size() == 32


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_only_ray_knows_of_leaves_auto_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert [str(chosen_device(device)) for device in ("auto", "cpu", "cuda")] == ["cpu", "cpu", "cuda"]


def test_a_gallery_gives_a_thread_the_same_embeddings(directory: Path) -> None:
    files = {str(number): encoded(picture.pixels) for number, picture in enumerate(pictures(7))}
    measurer = BiomedClip(str(directory), sha256_of(directory), batch=3)
    gallery = Gallery(Limits(), "unknown", full_size=True, measurers=[measurer])
    gallery.visit([Wanted(name, "first") for name in files], files.__getitem__)
    found = np.stack([np.frombuffer(row["embedding"], "<f2") for row in gallery.images])
    assert np.array_equal(found, embedded(measurer, pictures(7)))


def test_the_model_is_loaded_by_whoever_opens_pictures_and_before_that(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading, real = [], open_clip.create_model

    def watched(*given: Any, **named: Any) -> Any:
        loading.append(threading.current_thread())
        return real(*given, **named)

    monkeypatch.setattr(open_clip, "create_model", watched)
    biomedclip._loaded.cache_clear()
    measurer = BiomedClip(str(directory), sha256_of(directory), batch=2)
    Pictures(10**8, "first", pixel_hash=False, measurers=[measurer]).load()
    assert loading == [threading.current_thread()]
    biomedclip._loaded.cache_clear()
    files = {str(number): encoded(picture.pixels) for number, picture in enumerate(pictures(3))}
    gallery = Gallery(Limits(), "unknown", full_size=True, measurers=[measurer])
    gallery.visit([Wanted(name, "first") for name in files], files.__getitem__)
    assert loading == 2 * [threading.current_thread()]


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


def copied(directory: Path, place: Path) -> Path:
    for file in directory.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    return place


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("open_clip_pytorch_model.bin", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 783\n"),
        ("open_clip_pytorch_model.bin", b"<!doctype html><html><body>Sign in</body></html>"),
        ("open_clip_model.safetensors", (10**6).to_bytes(8, "little") + b'{"visual.trunk.cls_token":'),
        ("open_clip_model.safetensors", b""),
    ],
    ids=["pointer", "page", "truncated", "empty"],
)
def test_a_file_that_holds_no_weights_is_refused_whoever_reads_it(
    directory: Path, tmp_path: Path, name: str, data: bytes
) -> None:
    (copied(directory, tmp_path) / name).write_bytes(data)
    broken = BiomedClip(str(tmp_path), hashlib.sha256(data).hexdigest())
    with pytest.raises(WeightsError, match="do not fit"):
        broken.batch_size()


@pytest.mark.parametrize("error", [MemoryError(), ImportError("timm")], ids=["memory", "module"])
def test_what_is_no_fault_of_the_weights_is_not_laid_on_them(
    directory: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any, **__: Any) -> Any:
        raise error

    biomedclip._loaded.cache_clear()
    monkeypatch.setattr(open_clip, "create_model", failing)
    with pytest.raises(type(error)) as raised:
        BiomedClip(str(directory), sha256_of(directory)).batch_size()
    assert raised.value is error


def test_a_worker_whose_weights_are_others_than_the_driver_s_loads_none(directory: Path, tmp_path: Path) -> None:
    sent = pickle.dumps(BiomedClip(str(copied(directory, tmp_path)), sha256_of(tmp_path)))
    state = torch.load(tmp_path / "open_clip_pytorch_model.bin", weights_only=True)
    torch.save({name: value * 1.5 for name, value in state.items()}, tmp_path / "open_clip_pytorch_model.bin")
    with pytest.raises(WeightsError, match="not the one that was given"):
        embedded(pickle.loads(sent), pictures(1))


def test_other_settings_are_another_version_and_stop_a_worker(directory: Path, tmp_path: Path) -> None:
    before = BiomedClip(str(copied(directory, tmp_path)), sha256_of(tmp_path))
    config = tmp_path / "open_clip_config.json"
    config.write_text(config.read_text().replace("0.48", "0.5"))
    assert BiomedClip(str(tmp_path), sha256_of(tmp_path)).version != before.version
    with pytest.raises(WeightsError, match="differ between machines"):
        embedded(before, pictures(1))


def test_logging_is_as_quiet_after_loading_as_before() -> None:
    logging.disable(logging.ERROR)
    try:
        with biomedclip.offline():
            assert logging.root.manager.disable == logging.ERROR
        assert logging.root.manager.disable == logging.ERROR
    finally:
        logging.disable(logging.NOTSET)


def test_a_device_without_room_for_the_model_ends_the_run() -> None:
    class Large:
        def to(self, device: str) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(WeightsError, match="fewer workers"):
        biomedclip._placed(Large(), "cuda")


@pytest.mark.parametrize("size", [(150, 100), (101, 333), (640, 641), (160, 160), (64, 900), (900, 100)])
def test_the_middle_of_a_picture_is_what_resizing_the_whole_would_give(size: tuple[int, int]) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8))
    image = noise.filter(ImageFilter.GaussianBlur(2))  # Pillow cuts off what overshoots at sharp edges, pass by pass
    scale = 224 / min(size)
    whole = image.resize([max(224, int(side * scale)) for side in size], Image.Resampling.BICUBIC)
    left, top = (round((side - 224) / 2) for side in whole.size)
    expected = np.asarray(whole.crop((left, top, left + 224, top + 224)), int)
    assert np.abs(np.asarray(biomedclip._resized(image, 224), int) - expected).max() <= 2


def test_a_very_long_picture_is_never_made_larger_than_its_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, real = [], Image.Image.resize

    def watched(image: Image.Image, size: tuple[int, int], *rest: Any) -> Image.Image:
        sizes.append(size)
        return real(image, size, *rest)

    monkeypatch.setattr(Image.Image, "resize", watched)
    assert biomedclip._resized(Image.new("RGB", (8, 100_000)), 224).size == (224, 224)
    assert sizes == [(224, 224)]


def test_the_command_of_the_page_that_fetches_the_files_exists() -> None:
    page = (Path(__file__).parents[2] / "docs/modality.md").read_text()
    command = next(line for line in page.splitlines() if "BiomedCLIP-PubMedBERT" in line and "download" in line).split()
    helped = subprocess.run(
        [Path(sys.executable).parent / command[0], command[1], "--help"], capture_output=True, text=True, check=True
    )
    assert all(word in helped.stdout for word in command if word.startswith("--"))


def test_a_directory_without_weights_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"open_clip_config\.json"):
        BiomedClip(str(tmp_path), "0" * 64)
