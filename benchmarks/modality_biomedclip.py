"""BiomedCLIP's path against a bare open_clip loop with the same model, in one run, and as Ray actors.

`python -m benchmarks.modality_biomedclip --pictures DIR [--biomedclip DIR --sha256 HEX] [--actors 2] [--number 32]`.
Without a directory of weights a stand-in of the published architecture (ViT-B/16 and BERT-base, 196 million parameters)
is made with random ones: the work is the same. Pictures are decoded first; both sides prepare, batch and embed them.
Before, the same files go through a gallery whose model waits as for a GPU: whether that time goes by while others are
decoded.
"""

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.modality import decoded
from filters import biomedclip
from filters.biomedclip import BiomedClip
from filters.gallery import Gallery, Wanted
from pipelines.engines.ray_cluster import connected
from sources.pictures import Limits, Picture

ROUNDS = 3
OVERLAPPED = 256
_TEXT = {
    "hf_model_name": "none", "hf_tokenizer_name": "none", "hf_proj_type": "mlp",
    "hf_pooler_type": "cls_last_hidden_state_pooler", "context_length": 256,
}  # fmt: skip
_VISION = {
    "timm_model_name": "vit_base_patch16_224", "timm_model_pretrained": False, "timm_pool": "", "timm_proj": "linear",
    "image_size": 224,
}  # fmt: skip


def main() -> None:
    """Print one line a side and round, then the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--number", type=int, default=32)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--actors", type=int, default=0)
    parser.add_argument("--biomedclip", type=Path)
    parser.add_argument("--sha256", default="")
    given = parser.parse_args()
    files = [path for path in sorted(given.pictures.rglob("*")) if path.suffix in {".png", ".jpg", ".jpeg"}]
    some = files[:: max(len(files) // given.number, 1)][: given.number]
    pictures = [one for path in some if (one := decoded(path.read_bytes())) and one.pixels.dtype == np.uint8]
    with tempfile.TemporaryDirectory(prefix="curate-standin-") as made:
        directory, sha256 = given.biomedclip, given.sha256
        if directory is None:
            directory, sha256 = Path(made), stand_in(Path(made))
        overlap(BiomedClip(str(directory), sha256, batch=given.batch), [one.read_bytes() for one in files[:OVERLAPPED]])
        compare(directory, sha256, given.batch, pictures)
        if given.actors:
            as_actors(directory, sha256, given.batch, pictures, given.actors)


class Device:
    """Stands in for the model on a GPU: each batch takes `seconds`, without the interpreter's lock."""

    name, version, fields, whole = "device", 1, ("embedding",), True

    def __init__(self, model: BiomedClip, seconds: float) -> None:
        self.batch_size, self.prepare = model.batch_size, model.prepare
        self.seconds, self.waited = seconds, 0.0

    def measure_batch(self, prepared: Sequence[Any]) -> list[Mapping[str, Any]]:
        """Nothing, after a while."""
        began = time.perf_counter()
        time.sleep(self.seconds)
        self.waited += time.perf_counter() - began
        return [{"embedding": None} for _ in prepared]


def overlap(model: BiomedClip, data: list[bytes]) -> None:
    """Decoding and preparing alone, then with a device that needs half as long for all, as long, and twice as long."""

    def seconds(device: Device) -> float:
        gallery = Gallery(Limits(), "unknown", full_size=True, measurers=[device])
        began = time.perf_counter()
        gallery.visit([Wanted(str(place), "first") for place in range(len(data))], lambda uri: data[int(uri)])
        return time.perf_counter() - began

    seconds(Device(model, 0.0))
    alone = seconds(Device(model, 0.0))
    for share in (0.5, 1.0, 2.0):
        device = Device(model, share * alone * model.batch_size() / len(data))
        both = seconds(device)
        longer, summed = max(alone, device.waited), alone + device.waited
        print(f"decoding {alone:.2f} s, device {device.waited:.2f} s: together {both:.2f} s, "
              f"{both / longer:.2f} of the longer and {both / summed:.2f} of the sum", flush=True)  # fmt: skip


def compare(directory: Path, sha256: str, batch: int, pictures: list[Picture]) -> None:
    """Ours and the bare loop in turn."""
    import open_clip
    import torch

    measurer = BiomedClip(str(directory), sha256, batch=batch)
    measurer.measure_batch([measurer.prepare(pictures[0])])
    text = json.loads((directory / "open_clip_config.json").read_text())["model_cfg"]["text_cfg"]
    own = {**text, "hf_model_name": str(directory), "hf_model_pretrained": False}
    with biomedclip.offline():
        model, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{directory}", text_cfg=own)
    model.eval()
    images = [Image.fromarray(np.asarray(one.pixels)) for one in pictures]
    spent = {"ours": 0.0, "bare": 0.0}
    for _ in range(ROUNDS):
        began = time.process_time()
        for some in batches(pictures, batch):
            measurer.measure_batch([measurer.prepare(one) for one in some])
        between = time.process_time()
        with torch.inference_mode():
            for shown in batches(images, batch):
                model.encode_image(torch.stack([prepare(one) for one in shown]), normalize=True)
        spent["ours"] += between - began
        spent["bare"] += time.process_time() - between
    each = {name: 1000 * seconds / ROUNDS / len(pictures) for name, seconds in spent.items()}
    print(f"ours {each['ours']:.0f} CPU ms a picture, bare open_clip {each['bare']:.0f}: "
          f"{each['bare'] / each['ours']:.3f} of its speed", flush=True)  # fmt: skip


def as_actors(directory: Path, sha256: str, batch: int, pictures: list[Picture], actors: int) -> None:
    """The same pictures by one Ray actor and by several, and whether the embeddings are the same."""
    import ray

    found = {}
    with connected(None, actors):
        remote = ray.remote(num_cpus=1)(Actor)
        for number in (1, actors):
            pool = [remote.remote(str(directory), sha256, batch) for _ in range(number)]
            ray.get([one.look.remote(pictures[:1]) for one in pool])
            began = time.perf_counter()
            parts = [pool[place % number].look.remote(some) for place, some in enumerate(batches(pictures, batch))]
            answers = ray.get(parts)
            seconds = time.perf_counter() - began
            found[number] = [row for rows, _ in answers for row in rows]
            cpu = 1000 * sum(spent for _, spent in answers) / len(pictures)
            print(f"{number} actors: {len(pictures) / seconds:.2f} pictures/s, {cpu:.0f} CPU ms a picture", flush=True)
            for one in pool:
                ray.kill(one)
    print("the same embeddings" if found[1] == found[actors] else "OTHER embeddings", flush=True)


class Actor:
    """Holds the model; on a cluster with GPUs the pipeline's own workers ask for `num_gpus` in the same way."""

    def __init__(self, directory: str, sha256: str, batch: int) -> None:
        import torch

        torch.set_num_threads(1)
        self.measurer = BiomedClip(directory, sha256, batch=batch)

    def look(self, pictures: list[Picture]) -> tuple[list[bytes], float]:
        """Embeddings, and CPU seconds."""
        began = time.process_time()
        rows = self.measurer.measure_batch([self.measurer.prepare(one) for one in pictures])
        return [row["embedding"] for row in rows], time.process_time() - began


def batches(given: list[Any], size: int) -> list[list[Any]]:
    """Stretches of `size`."""
    return [given[start : start + size] for start in range(0, len(given), size)]


def stand_in(place: Path) -> str:
    """Write a directory as published, with random weights; the sha256 of these."""
    import open_clip
    import torch
    from transformers import BertConfig, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{number}" for number in range(30_517))]
    BertConfig(vocab_size=len(words)).save_pretrained(place)
    vocabulary = {word: number for number, word in enumerate(words)}
    BertTokenizerFast(vocab=vocabulary, do_lower_case=True, model_max_length=256).save_pretrained(place)
    config = {
        "model_cfg": {"embed_dim": 512, "vision_cfg": _VISION, "text_cfg": _TEXT},
        "preprocess_cfg": {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28]},
    }
    (place / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    own = {**_TEXT, "hf_model_name": str(place), "hf_model_pretrained": False}
    with biomedclip.offline():
        model = open_clip.create_model(f"local-dir:{place}", load_weights=False, pretrained_text=False, text_cfg=own)
    print(f"{sum(one.numel() for one in model.parameters()):,} parameters", flush=True)
    weights = place / "open_clip_pytorch_model.bin"
    torch.save(model.state_dict(), weights)
    with weights.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()
