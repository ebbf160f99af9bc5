"""BiomedCLIP's embeddings and zero-shot labels, loaded offline from a directory and believed only by its hash.

open_clip's `local-dir:` reads weights and tokenizer from the directory, but with the published files it still asks
the hub for the configuration of the text tower, so that loading fails offline (`text_cfg.hf_model_name`); and where
weights are missing it goes on with random ones. Here the text tower's configuration comes from the directory too (or
is BERT-base's, which it is), the weights file must have the sha256 that the recipe names, and every one of the
model's parameters must be in it.
"""

import hashlib
import logging
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from PIL import Image

from filters.devices import chosen_device, is_out_of_memory, probed_batch
from filters.modality_classes import PROMPTS, TEMPLATE
from filters.model_files import file_sha256, model_directory
from filters.torch_file import WeightsError
from sources.extras import install_extra
from sources.pictures import Picture

CONFIG = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
TEXT_CONFIG = "config.json"
SETTINGS = (CONFIG, TEXT_CONFIG, "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt")
"""Files that embeddings and labels depend on besides the weights; not all of them need be there."""
FILES = (*SETTINGS, *WEIGHTS)
CONTEXT = 256
LONGEST_TEXT = 20_000
"""Characters of a text that are cut into tokens."""
LONG = 4
"""Longer side over shorter up to which a picture is resized as a whole, bit for bit as open_clip does."""
HINT = "docs/modality.md has the command that fetches the published files"


class BiomedClip:
    """Fills `embedding` with the image tower's output and, with `prompts`, `modality_scores` by zero-shot prompts.

    Pictures go through in batches of one size, padded, so that a picture has the same numbers whatever its
    neighbours. Where none is given it is `devices.CPU_BATCH`, or on a GPU what its memory takes, the same on all GPUs
    of a kind. On a GPU that runs out of memory the batch is halved for the rest of the fragment, and the work goes on.
    """

    fields = ("embedding", "modality_scores")
    whole = True

    def __init__(
        self,
        path: str,
        sha256: str,
        *,
        device: str = "auto",
        gpus: float = 1.0,
        batch: int | None = None,
        prompts: bool = True,
    ) -> None:
        """Nothing is loaded yet, but the files are looked at. `gpus` is a worker's share of a GPU, if it has one.

        `path` is a directory, or a name of the hub, whose files are fetched (`filters/model_files.py`).

        Raises:
            WeightsError: the directory is not complete, or its weights are others than `sha256` says.
        """
        self.path, self.sha256, self.device, self.prompts = path, sha256, device, prompts
        self._share, self._batch = gpus, batch
        self.network = f"biomedclip-{sha256[:16]}"
        self.name = f"{self.network}{'-zero-shot' if prompts else ''}"
        _expect_weights(Path(self._directory), sha256)
        self.settings = _settings_sha256(self._directory)
        self.version = f"2-{self.settings[:16]}"

    @property
    def gpus(self) -> float:
        """What one worker needs: its share of a GPU, unless the device is the CPU."""
        return 0.0 if self.device == "cpu" else self._share

    @property
    def gpus_optional(self) -> bool:
        """Whether it goes without where there is none."""
        return self.device != "cuda"

    def batch_size(self) -> int:
        """How many pictures it takes at once. The model is loaded by this, whatever was told.

        Whoever asks is not opening pictures meanwhile: `offline` holds for the whole process.

        Raises:
            WeightsError: the model cannot be loaded, or its device has no room for a batch.
        """
        model = self._model()
        return self._batch or model.fitting_batch(self._share)

    def prepare(self, picture: Picture) -> Any:
        """The picture as the model takes it, 3 x side x side in bytes of 0..255, by the model's own resizing."""
        from filters.modality_features import shown_picture

        side = _settings(self._directory)[0]
        pixels = np.asarray(_resized(shown_picture(picture).convert("RGB"), side))
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))  # PyTorch gives another order other numbers

    def measure_batch(self, prepared: Sequence[Any]) -> list[Mapping[str, Any]]:
        """The values of `fields`, one mapping a picture.

        Raises:
            WeightsError: the model cannot be loaded.
        """
        embeddings = self._embedded(np.stack(prepared))
        found: list[Mapping[str, Any]] = [{"embedding": row.astype("<f2").tobytes()} for row in embeddings]
        if not self.prompts:
            return found
        return [
            {**one, "modality_scores": orjson.dumps(scores).decode()}
            for one, scores in zip(found, self.by_prompts(embeddings), strict=True)
        ]

    def by_prompts(self, embeddings: npt.NDArray[np.floating[Any]]) -> list[dict[str, float]]:
        """Label -> probability of each of N x D embeddings: zero-shot.

        Raises:
            WeightsError: the model cannot be loaded.
        """
        labels, scores = self._model().by_prompts(embeddings.astype(np.float32))
        return [dict(zip(labels, row, strict=True)) for row in scores.round(4).tolist()]

    def embedded_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """N x D of length one, rounded to 16 bits: the text tower's output, of the first `CONTEXT` tokens.

        Raises:
            WeightsError: the model cannot be loaded.
        """
        tokens = self._model().tokens([text[:LONGEST_TEXT] for text in texts])
        return self._in_batches(tokens, lambda model, some: model.embedded_texts(some))

    def _embedded(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """N x D of length one, rounded to 16 bits."""
        return self._in_batches(pixels, lambda model, some: model.embedded(some))

    def _in_batches(
        self, given: npt.NDArray[Any], look: Callable[["_Model", npt.NDArray[Any]], npt.NDArray[np.float32]]
    ) -> npt.NDArray[np.float32]:
        model, found = self._model(), []
        start = 0
        while start < len(given):
            size = self.batch_size()
            some = given[start : start + size]
            missing = size - len(some)
            full = np.concatenate([some, np.zeros((missing, *some.shape[1:]), some.dtype)]) if missing else some
            try:
                found.append(look(model, full)[: len(some)])
            except Exception as error:
                if not is_out_of_memory(error) or size == 1:
                    raise
                self._batch = size // 2
                model.forget()
                continue
            start += len(some)
        return np.concatenate(found).astype(np.float16).astype(np.float32)

    def _model(self) -> "_Model":
        return _loaded(self._directory, self.sha256, self.settings, self.device)

    @property
    def _directory(self) -> str:
        """Where the files are on this machine."""
        return model_directory(self.path, FILES)


class _Model:
    """The model in this process, and the embeddings of the prompts, made once."""

    def __init__(self, model: Any, tokenizer: Any, side: int, mean: Any, std: Any, device: Any) -> None:
        self._model, self._device, self._shape = model, device, (3, side, side)
        self._mean, self._std = mean, std
        self._tokenizer = tokenizer
        self._prompts: tuple[list[str], npt.NDArray[np.float32]] | None = None
        self._fitting: dict[float, int] = {}

    def fitting_batch(self, gpus: float) -> int:
        """How many pictures at once are right for its device, of which a worker has the share `gpus`."""
        if gpus not in self._fitting:
            blank = np.zeros((1, *self._shape), np.uint8)
            self._fitting[gpus] = probed_batch(
                self._device, gpus, lambda pictures: self.embedded(blank.repeat(pictures, axis=0))
            )
        return self._fitting[gpus]

    def embedded(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            given = (torch.from_numpy(pixels).to(self._device).float() / 255 - self._mean) / self._std
            found: npt.NDArray[np.float32] = self._model.encode_image(given, normalize=True).float().cpu().numpy()
        return found

    def tokens(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """N x CONTEXT."""
        found: npt.NDArray[np.int64] = self._tokenizer(list(texts), context_length=CONTEXT).numpy()
        return found

    def embedded_texts(self, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            given = torch.from_numpy(tokens).to(self._device)
            found: npt.NDArray[np.float32] = self._model.encode_text(given, normalize=True).float().cpu().numpy()
        return found

    def by_prompts(self, embeddings: npt.NDArray[np.float32]) -> tuple[list[str], npt.NDArray[np.float64]]:
        """Labels and N x C probabilities: softmax over all prompts, added up by label."""
        import torch

        from filters.modality_head import softmax

        labels, of_prompts = self._of_prompts()
        with torch.inference_mode():
            scale = float(self._model.logit_scale.exp().cpu())
        chances = softmax((embeddings @ of_prompts.T).astype(np.float64) * scale)
        names = list(PROMPTS)
        own = np.array(labels)
        return names, np.stack([chances[:, own == name].sum(axis=1) for name in names], axis=1)

    def _of_prompts(self) -> tuple[list[str], npt.NDArray[np.float32]]:
        if self._prompts is None:
            pairs = [(label, TEMPLATE + prompt) for label, prompts in PROMPTS.items() for prompt in prompts]
            found = self.embedded_texts(self.tokens([text for _, text in pairs]))
            self._prompts = [label for label, _ in pairs], found
        return self._prompts

    def forget(self) -> None:
        """Give back what the device holds for nothing."""
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def weights_file(directory: Path) -> Path:
    """The weights of a BiomedCLIP directory.

    Raises:
        WeightsError: the directory lacks them or its configuration.
    """
    missing = [] if (directory / CONFIG).is_file() else [CONFIG]
    found = next((directory / name for name in WEIGHTS if (directory / name).is_file()), None)
    if found is None or missing:
        raise WeightsError(f"model biomedclip: {directory} has no {' or '.join(missing or WEIGHTS)}; {HINT}")
    return found


def _expect_weights(directory: Path, sha256: str) -> None:
    """Look at the weights of this machine.

    Raises:
        WeightsError: they are not there, or not those of the hash.
    """
    weights = weights_file(directory)
    found = file_sha256(weights)
    if found != sha256:
        raise WeightsError(
            f"model biomedclip: {weights.name} has the sha256 {found}, not the one that was given: the file is "
            f"truncated, or another model's; {HINT}"
        )


def _settings_sha256(path: str) -> str:
    """Of the names and bytes of the files of SETTINGS that are there."""
    digest = hashlib.sha256()
    for file in (Path(path) / name for name in SETTINGS):
        if file.is_file():
            data = file.read_bytes()
            digest.update(f"{file.name} {len(data)}\n".encode() + data)
    return digest.hexdigest()


@lru_cache(maxsize=4)
def _settings(path: str) -> tuple[int, tuple[float, ...], tuple[float, ...], dict[str, Any]]:
    """Side in pixels, mean, deviation, and the text tower's settings."""
    try:
        document = orjson.loads((Path(path) / CONFIG).read_bytes())
        model, prepared = document["model_cfg"], document["preprocess_cfg"]
        side = int(model["vision_cfg"].get("image_size", 224))
        return side, tuple(prepared["mean"]), tuple(prepared["std"]), dict(model["text_cfg"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"model biomedclip: {CONFIG} cannot be used ({type(error).__name__}); {HINT}") from None


@lru_cache(maxsize=1)
def _loaded(path: str, sha256: str, settings: str, device: str) -> _Model:
    """The model, once a process.

    Raises:
        WeightsError: it cannot be loaded, or the files of this machine are others than the driver's.
    """
    _expect_weights(Path(path), sha256)  # the driver has looked at its own files: this may be another machine
    if _settings_sha256(path) != settings:
        raise WeightsError(f"model biomedclip: configuration or tokenizer in {path} differ between machines; copy them")
    try:
        import open_clip  # type: ignore[import-untyped]
        import torch
    except ImportError:
        raise WeightsError(f"model biomedclip: open_clip is not installed; {install_extra('biomedclip')}") from None
    if multiprocessing.parent_process() is not None:
        torch.set_num_threads(1)  # a worker has one core; Ray's workers have OMP_NUM_THREADS
    chosen = chosen_device(device)
    side, mean, std, text = _settings(path)
    with offline(), _text_config(Path(path)) as bert:
        own = {**text, "hf_model_name": bert, "hf_model_pretrained": False}
        try:
            model = open_clip.create_model(f"local-dir:{path}", load_weights=False, pretrained_text=False, text_cfg=own)
            tokenizer = open_clip.get_tokenizer(f"local-dir:{path}")
            state = open_clip.factory.load_state_dict(str(weights_file(Path(path))), weights_only=True)
            model.load_state_dict({name: value for name, value in state.items() if not name.endswith("position_ids")})
        except (MemoryError, ImportError):
            raise
        except Exception as error:  # noqa: BLE001 - those who read weights raise errors of their own
            raise WeightsError(
                f"model biomedclip: the weights do not fit the model of {CONFIG} ({type(error).__name__}); {HINT}"
            ) from None
    _placed(model.eval(), chosen)
    shape = (3, 1, 1)
    middle, spread = (torch.tensor(values, device=chosen).reshape(shape) for values in (mean, std))
    return _Model(model, tokenizer, side, middle, spread, chosen)


def _placed(model: Any, device: Any) -> None:
    """Move the model to its device.

    Raises:
        WeightsError: it has no room there; no record is to blame.
    """
    try:
        model.to(device)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise WeightsError(
            f"model biomedclip: {device} has no room for the model: start fewer workers, or set `device: cpu`"
        ) from None


@contextmanager
def offline() -> Iterator[None]:
    """Libraries of the hub do not ask it while the model is loaded; what they log meanwhile is not true of it."""
    from huggingface_hub import constants

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    logged = logging.root.manager.disable
    logging.disable(max(logged, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(logged)
        constants.HF_HUB_OFFLINE = before


@contextmanager
def _text_config(directory: Path) -> Iterator[str]:
    """A directory with the configuration of the text tower: the model's own, or BERT-base's, written down."""
    if (directory / TEXT_CONFIG).is_file():
        yield str(directory)
        return
    from transformers import BertConfig

    with TemporaryDirectory(prefix="curate-bert-") as made:
        BertConfig().save_pretrained(made)
        yield made


def _resized(image: Image.Image, side: int) -> Image.Image:
    """The shorter side to `side` by bicubic resampling, then the middle: open_clip's own preparation."""
    width, height = image.size
    scale = side / min(width, height)
    across, down = (max(side, int(width * scale)), max(side, int(height * scale)))
    left, top = round((across - side) / 2), round((down - side) / 2)
    if max(across, down) <= LONG * side:
        large = image.resize((across, down), Image.Resampling.BICUBIC)
        return large.crop((left, top, left + side, top + side))
    # Only the middle is made: of 8 x 8,000,000 pixels the whole would have 150 GB.
    x, y = width / across, height / down
    box = (left * x, top * y, min((left + side) * x, width), min((top + side) * y, height))
    return image.resize((side, side), Image.Resampling.BICUBIC, box)
