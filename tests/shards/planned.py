"""Folders of shards with a packing plan, as small as a test likes: the plan is written by `write_plan` directly."""

import dataclasses
import hashlib
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from filters.tokens import HARMONY
from shards.harmony import render
from shards.image_tokens import tokens_of
from shards.manifest import Manifest, Mixture, ShardEntry, manifest_bytes
from shards.plan_file import PLAN_SCHEMA, ImagePolicy, Place, PlanAbout, PlanBalance, PlanMixture, write_plan
from shards.samples import ShardSample
from shards.tar import BLOCK_BYTES
from shards.tar_reader import TarReader
from shards.writer import write_shard
from tests.shards.conftest import sample_of

POLICY = ImagePolicy(policy="fixed", tokens_per_tile=4, side=14, max_tiles=1)


def about_of(rows: int, rows_per_step: int, manifest: bytes = b"", **more: Any) -> PlanAbout:
    given: dict[str, Any] = {
        "build": "b" * 64,
        "manifest": hashlib.sha256(manifest).hexdigest(),
        "tokenizer": HARMONY,
        "context": 4096,
        "rows_per_step": rows_per_step,
        "epochs": 1,
        "seed": 0,
        "steps": rows // rows_per_step,
        "rows": rows,
        "samples": rows,
        "tokens": 0,
        "fill": 0.5,
        "images": POLICY,
        "mixture": PlanMixture(weights={}, temperature=1.0, caps={}, max_repeats=1),
        "excluded": {},
        "balance": PlanBalance(before=1.5, after=1.1),
        "padding_rows": 0,
    }
    return PlanAbout(**given | more)


def batch_of(rows: Sequence[Sequence[Place]]) -> pa.RecordBatch:
    samples = [[place._asdict() for place in row] for row in rows]
    tokens = [sum(place.tokens for place in row) for row in rows]
    columns = [samples, [0] * len(rows), tokens, [float(count) for count in tokens]]
    arrays = [pa.array(values, kind.type) for values, kind in zip(columns, PLAN_SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=PLAN_SCHEMA)


def places_in(tar: Path, number: int, policy: ImagePolicy = POLICY) -> Iterator[tuple[str, Place]]:
    """Key and place of every sample of a tar, by an honest reading of it."""
    found: dict[str, list[int]] = {}
    tokens = {}
    with tar.open("rb") as file:
        reader = TarReader(file, tar.stat().st_size, 2**30)
        for member in reader.members():
            key, _, suffix = member.name.partition(".")
            end = member.offset + -(-member.size // BLOCK_BYTES) * BLOCK_BYTES
            found.setdefault(key, [member.offset - BLOCK_BYTES, end])[1] = end
            if suffix == "json":
                content = orjson.loads(member.data or b"")
                sides = np.array([(image["width"], image["height"]) for image in content["images"]]).reshape(-1, 2)
                pictures = tokens_of(policy, sides[:, 0], sides[:, 1]).tolist()
                tokens[key] = len(render(content["turns"], pictures).ids)
    for key, (start, end) in found.items():
        yield key, Place(number, start, end - start, tokens[key])


def write_shards(root: Path, shards: dict[str, list[ShardSample]]) -> None:
    """Write tars and their manifest, which names a plan."""
    root.mkdir(parents=True, exist_ok=True)
    entries = []
    for name, samples in shards.items():
        with (root / name).open("wb") as file:
            entries.append(ShardEntry(name=name, **dataclasses.asdict(write_shard(file, samples))))
    manifest = Manifest(
        build="b" * 64,
        stage="mid",
        tokenizer=HARMONY,
        context_tokens=4096,
        mixture=Mixture(seed=0, epochs=1, weights={}),
        shards=tuple(entries),
        plan="plan.arrow",
    )
    (root / "manifest.json").write_bytes(manifest_bytes(manifest))


def plan_shards(root: Path, rows_per_step: int = 4, per_row: int = 3, seed: int = 0, **more: Any) -> list[list[str]]:
    """Write a shuffled plan for what lies in a folder; return the keys of every row."""
    content = (root / "manifest.json").read_bytes()
    names = [entry["name"] for entry in orjson.loads(content)["shards"]]
    found = [place for number, name in enumerate(names) for place in places_in(root / name, number)]
    random.Random(seed).shuffle(found)
    whole = len(found) // (per_row * rows_per_step) * rows_per_step
    rows = [found[per_row * number : per_row * (number + 1)] for number in range(whole)]
    about = about_of(len(rows), rows_per_step, content, seed=seed, **more)
    with (root / "plan.arrow").open("wb") as file:
        write_plan(file, about, iter([batch_of([[place for _, place in row] for row in rows])]))
    return [[key for key, _ in row] for row in rows]


def mixed_shards(samples: int = 96, shards: int = 4) -> dict[str, list[ShardSample]]:
    """Samples with no, one and two pictures, over several tars."""
    kinds: list[tuple[str, ...]] = [(), ("png",), ("jpg",), ("jpg", "png")]
    made = [sample_of(n, *kinds[n % 4], text=f"Finding {n}. " * (1 + n % 5)) for n in range(samples)]
    size = -(-samples // shards)
    return {f"mid-demo-{n:06d}.tar": made[n * size : (n + 1) * size] for n in range(shards)}
