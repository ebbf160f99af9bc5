"""Shards and packing plans for benchmarks of reading: pictures like radiographs, and a shuffled plan of any length."""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from filters.tokens import HARMONY
from shards.harmony import render
from shards.image_tokens import FIXED
from shards.manifest import Manifest, Mixture, ShardEntry, manifest_bytes
from shards.plan_file import BATCH_ROWS, PLAN_SCHEMA, PlanAbout, PlanBalance, PlanMixture, write_plan
from shards.samples import PictureFacts, ShardSample, json_bytes, sample_json, shard_sample
from shards.tar import member_bytes
from shards.writer import write_shard

PICTURES = 64
SHARD_SAMPLES = 1000
ROWS_PER_STEP = 8
PER_ROW = 4
_WORDS = ("small", "left", "pleural", "effusion", "no", "pneumothorax", "heart", "size", "normal", "lungs", "clear")


def picture_of(seed: int, side: int) -> bytes:
    """A JPEG with structure and grain, about 0.4 bytes a pixel."""
    chance = np.random.default_rng(seed)
    coarse = chance.integers(0, 255, (side // 8, side // 8, 3), np.uint8)
    smooth = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    grain = chance.integers(-12, 12, smooth.shape, np.int16)
    pixels = np.clip(smooth + grain, 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def samples_of(first: int, count: int, pictures: Sequence[bytes], side: int) -> Iterator[ShardSample]:
    """Questions on a picture, with answers of 60 words."""
    facts = [PictureFacts("0" * 64, side, side, "xray", "jpg")]
    for number in range(first, first + count):
        answer = " ".join(np.random.default_rng(number).choice(_WORDS, 60))
        row = {
            "sample_id": hashlib.sha256(str(number).encode()).hexdigest()[:32], "source": "demo",
            "source_key": f"train.jsonl#{number}", "task": "vqa", "license": "CC-BY-4.0", "access": "open",
            "language": "en", "question": None, "options": None, "answer": None, "groups": [], "parent_id": None,
            "turns": [{"role": "user", "text": "<image>\nWhat is shown?"}, {"role": "assistant", "text": answer}],
            "images": [{"image_id": "0" * 64}],
        }  # fmt: skip
        yield shard_sample(sample_json(row, 200, facts), [pictures[number % len(pictures)]])


def write_shards(root: Path, count: int, side: int) -> None:
    """Write `count` samples into tars of 1,000, their manifest, and a plan that goes through them once."""
    root.mkdir(parents=True, exist_ok=True)
    pictures = [picture_of(seed, side) for seed in range(PICTURES)]
    entries, places = [], []
    for shard in range(-(-count // SHARD_SAMPLES)):
        first = shard * SHARD_SAMPLES
        samples = list(samples_of(first, min(SHARD_SAMPLES, count - first), pictures, side))
        name = f"mid-demo-{shard:06d}.tar"
        with (root / name).open("wb") as file:
            entries.append(ShardEntry(name=name, **dataclasses.asdict(write_shard(file, samples))))
        offset = 0
        for sample in samples:
            sizes = [len(json_bytes(sample.json)), *(len(data) for _, data in sample.members)]
            size = sum(member_bytes(bytes_of) for bytes_of in sizes)
            tokens = len(render(sample.json["turns"], [FIXED.tokens_per_tile]).ids)
            places.append((shard, offset, size, tokens))
            offset += size
    manifest = Manifest(
        build="b" * 64, stage="mid", tokenizer=HARMONY, context_tokens=4096,
        mixture=Mixture(seed=0, epochs=1, weights={}), shards=tuple(entries), plan="plan.arrow",
    )  # fmt: skip
    (root / "manifest.json").write_bytes(manifest_bytes(manifest))
    np.save(root / "places.npy", np.array(places, np.int64))
    write_plans(root, len(places), "plan.arrow")


def write_plans(root: Path, documents: int, name: str) -> None:
    """Write a shuffled plan with so many documents: those of the shards, again and again."""
    places = np.load(root / "places.npy")
    order = np.random.default_rng(0).permutation(documents) % len(places)
    rows = documents // (PER_ROW * ROWS_PER_STEP) * ROWS_PER_STEP
    manifest = hashlib.sha256((root / "manifest.json").read_bytes()).hexdigest()
    about = PlanAbout(
        build="b" * 64, manifest=manifest, tokenizer=HARMONY, context=4096, rows_per_step=ROWS_PER_STEP, epochs=1,
        seed=0, steps=rows // ROWS_PER_STEP, rows=rows, samples=documents, tokens=0, fill=0.5, images=FIXED,
        mixture=PlanMixture(weights={}, temperature=1.0, caps={}, max_repeats=1), excluded={},
        balance=PlanBalance(before=1.0, after=1.0), padding_rows=0,
    )  # fmt: skip

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, rows, BATCH_ROWS):
            count = min(BATCH_ROWS, rows - start)
            chosen = places[order[start * PER_ROW : (start + count) * PER_ROW]]
            kinds = [pa.int32(), pa.int64(), pa.int64(), pa.int32()]
            columns = [pa.array(chosen[:, number], kind) for number, kind in enumerate(kinds)]
            columns.append(pa.array(np.zeros(len(chosen)), pa.int32()))
            items = pa.StructArray.from_arrays(columns, fields=list(PLAN_SCHEMA.field("samples").type.value_type))
            lists = pa.ListArray.from_arrays(pa.array(np.arange(count + 1) * PER_ROW, pa.int32()), items)
            tokens = chosen[:, 3].reshape(count, PER_ROW).sum(1)
            facts = [pa.array(np.zeros(count), pa.int16()), pa.array(tokens, pa.int32()), pa.array(tokens * 1.0)]
            samples = lists.cast(PLAN_SCHEMA.field("samples").type)
            yield pa.RecordBatch.from_arrays([samples, *facts], schema=PLAN_SCHEMA)

    with (root / name).open("wb") as file:
        write_plan(file, about, batches())
