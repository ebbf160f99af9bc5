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


def sample(number: int, pictures: int, source: str = "films") -> ShardSample:
    told = FINDINGS[number % 4]
    row: dict[str, Any] = {
        "sample_id": key_of(number), "source": source, "source_key": f"f#{number}", "split": "train",
        "task": "vqa" if pictures else "text_qa",
        "turns": [{"role": "user", "text": "<image>" * pictures + f"Film {number % 4}?"},
                  {"role": "assistant", "text": f"It shows {told}."}],
        "images": [{"image_id": f"{number}-{place}", "uri": f"{number}.png", "frame": 0} for place in range(pictures)],
        "groups": [], "license": "CC0-1.0", "access": "open", "language": "en", "question": None, "options": None,
        "answer": told, "parent_id": None, "meta": None,
    }  # fmt: skip
    facts = [PictureFacts(f"{number}-{place}", 30, 20, "xray", "png") for place in range(pictures)]
    return shard_sample(sample_json(row, 12, facts), [film(number)] * pictures)


def write_build(
    run: Path, stage: str = "mid", samples: int = 48, shards: int = 2, pictures: Sequence[int] = (1, 1, 0, 2),
    audited: bool = True, leaks: bool = False,
) -> Path:  # fmt: skip
    """The shards/ folder of a build without an index or a plan, as an older version left it."""
    root = run / "shards"
    root.mkdir(parents=True)
    entries = []
    for shard in range(shards):
        numbers = range(shard, samples, shards)
        with (root / f"{stage}-films-{shard:06d}.tar").open("wb") as file:
            summary = write_shard(file, [sample(number, pictures[number % len(pictures)]) for number in numbers])
        entries.append(ShardEntry(name=f"{stage}-films-{shard:06d}.tar", **dataclasses.asdict(summary)))
    manifest = Manifest(
        build="b" * 64, stage=stage, tokenizer="o200k_harmony", context_tokens=4096,
        mixture=Mixture(seed=0, epochs=1, weights={"films": 1.0}), shards=tuple(entries),
        audit="contamination.json" if audited else None,
    )  # fmt: skip
    told = manifest_bytes(manifest)
    LocalFolder(root).write("manifest.json", told)
    if audited:
        document = made(3 if leaks else 0).document()
        document["shards"]["manifest_sha256"] = hashlib.sha256(told).hexdigest()
        (root / "contamination.json").write_bytes(orjson.dumps(document))
    return root
