"""Small builds to train on: shards with a manifest and an audit of it, of generated films and sentences."""

import dataclasses
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from PIL import Image

from shards.manifest import Manifest, Mixture, ShardEntry, manifest_bytes
from shards.names import shard_name
from shards.samples import PictureFacts, ShardSample, sample_json, shard_sample
from shards.writer import write_shard
from sources.storage import LocalFolder
from tests.pipelines.audit.report.findings import made

FINDINGS = ("no effusion", "a small effusion", "a large mass", "two clips")


def key_of(number: int) -> str:
    return hashlib.sha256(f"sample {number}".encode()).hexdigest()[:32]


def film(number: int) -> bytes:
    pixels = np.full((20, 30), 40 + 50 * (number % 4), np.uint8)
    pixels[number % 15 :, : 5 + number % 20] = 255 - 10 * (number % 20)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def sample_turns(number: int, pictures: int) -> list[dict[str, str]]:
    return [{"role": "user", "text": "<image>" * pictures + f"Film {number % 4}?"},
            {"role": "assistant", "text": f"It shows {FINDINGS[number % 4]}."}]  # fmt: skip


def sample(number: int, pictures: int, source: str = "films") -> ShardSample:
    told = FINDINGS[number % 4]
    row: dict[str, Any] = {
        "sample_id": key_of(number), "source": source, "source_key": f"f#{number}", "split": "train",
        "task": "vqa" if pictures else "text_qa",
        "turns": sample_turns(number, pictures),
        "images": [{"image_id": f"{number}-{place}", "uri": f"{number}.png", "frame": 0} for place in range(pictures)],
        "groups": [], "license": "CC0-1.0", "access": "open", "language": "en", "question": None, "options": None,
        "answer": told, "parent_id": None, "meta": None,
    }  # fmt: skip
    facts = [PictureFacts(f"{number}-{place}", 30, 20, "xray", "png") for place in range(pictures)]
    return shard_sample(sample_json(row, 12, facts), [film(number)] * pictures)


def write_build(
    run: Path, stage: str = "mid", samples: int = 48, shards: int = 2, pictures: Sequence[int] = (1, 1, 0, 2),
    audited: bool = True, leaks: bool = False, held_out: int = 0,
) -> Path:  # fmt: skip
    """The shards/ folder of a build without an index or a plan, as an older version left it.

    `held_out` samples more, with numbers from `samples` on, are for validation.
    """
    root = run / "shards"
    root.mkdir(parents=True)

    def entry(name: str, numbers: Sequence[int]) -> ShardEntry:
        with (root / name).open("wb") as file:
            summary = write_shard(file, [sample(number, pictures[number % len(pictures)]) for number in numbers])
        return ShardEntry(name=name, **dataclasses.asdict(summary))

    entries = [entry(shard_name(stage, "films", shard), range(shard, samples, shards)) for shard in range(shards)]
    held = range(samples, samples + held_out)
    validation = (entry(shard_name(stage, "films", 0, validation=True), held),) if held_out else None
    manifest = Manifest(
        build="b" * 64, stage=stage, tokenizer="o200k_harmony", context_tokens=4096,
        mixture=Mixture(seed=0, epochs=1, weights={"films": 1.0}), shards=tuple(entries), validation=validation,
        audit="contamination.json" if audited else None,
    )  # fmt: skip
    told = manifest_bytes(manifest)
    LocalFolder(root).write("manifest.json", told)
    if audited:
        document = made(3 if leaks else 0).document()
        document["shards"]["manifest_sha256"] = hashlib.sha256(told).hexdigest()
        (root / "contamination.json").write_bytes(orjson.dumps(document))
    return root
