"""Runs written by hand for the tests of the report: tables of a few samples whose every number is known."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from sources.schema import FORMAT_VERSION, IMAGES, LEDGER, SAMPLES

STEPS = ("ingest", "measure", "license", "tokens", "exact")


@dataclass(frozen=True)
class Made:
    """A sample, what became of it, and its pictures (ids of the images table)."""

    sample_id: str
    source: str = "films"
    task: str = "caption"
    license: str = "CC-BY-4.0"
    access: str = "open"
    language: str | None = None
    text: str = "A film of the chest."
    images: tuple[str, ...] = ()
    step: str | None = None
    verdict: str = "keep"
    reason: str | None = None
    tokens: int = 20

    @property
    def outcome(self) -> str:
        return {"keep": "kept", "drop": "dropped", "quarantine": "quarantined"}[self.verdict]


@dataclass(frozen=True)
class Picture:
    """A row of the images table."""

    image_id: str
    width: int = 200
    height: int = 100
    format: str = "jpeg"
    modality: str = "xray"
    modality_from: str = "card"


@dataclass
class MadeRun:
    """Fragments of samples, each with the pictures first met in it."""

    place: Path
    fragments: Sequence[Sequence[Made]]
    pictures: Sequence[Sequence[Picture]]
    keyed: tuple[str, ...] = ()
    credentialed: tuple[str, ...] = ()
    run: dict[str, Any] = field(default_factory=dict)

    @property
    def samples(self) -> list[Made]:
        return [sample for fragment in self.fragments for sample in fragment]

    def write(self) -> "MadeRun":
        for number, (samples, pictures) in enumerate(zip(self.fragments, self.pictures, strict=True)):
            tables = {"samples": _samples(samples), "images": _images(pictures), "ledger": _ledger(samples)}
            for name, table in tables.items():
                path = self.place / "tables" / name / f"part-{number:06d}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                pq.write_table(table, path)
        self.run = self._document()
        (self.place / "run.json").write_bytes(orjson.dumps(self.run))
        return self

    def _document(self) -> dict[str, Any]:
        samples = self.samples
        steps, left = [], len(samples)
        for step in STEPS:
            lost = [sample for sample in samples if sample.step == step]
            by = {
                kind: dict(Counter(sample.reason or "" for sample in lost if sample.verdict == kind))
                for kind in ("drop", "quarantine")
            }
            steps.append({"name": step, "in": left, "made": 0, "kept": left - len(lost), "dropped": by["drop"],
                          "quarantined": by["quarantine"], "fragments": len(self.fragments)})  # fmt: skip
            left -= len(lost)
        dropped = {reason: number for step in steps for reason, number in step["dropped"].items()}
        sources = sorted({sample.source for sample in samples})
        return {
            "format": FORMAT_VERSION, "stage": "mid", "fingerprint": "fe" * 16, "seed": 0, "steps": steps,
            "identity": {"recipe": {"stage": "mid", "sources": [], "steps": {"exact": {"enabled": True}}}},
            "fingerprints": dict.fromkeys(STEPS, "ab" * 16), "versions": {"curate": "0.1.0"}, "sources": {},
            "counts": {"ingested": len(samples), "kept": left, "dropped": dropped,
                       "quarantined": sum(sample.verdict == "quarantine" for sample in samples)},
            "inputs": [{"source": name, "license": "MIT", "files": 1, "bytes": 5,
                        "access": "credentialed" if name in self.credentialed else "open",
                        "identifiers": "keyed" if name in self.keyed else "public"} for name in sources],
            "images": sum(len(part) for part in self.pictures), "shards": 1 if left else 0,
            "samples_written": left, "bytes_written": 10_240 * left,
        }  # fmt: skip


def random_samples(seed: int, count: int) -> tuple[list[Made], list[Picture]]:
    """Samples of every outcome, some with pictures that several of them share, and those pictures."""
    chance = random.Random(seed)
    pictures = [
        Picture(f"{number:032x}", chance.randrange(1, 4000), chance.randrange(1, 4000),
                chance.choice(("jpeg", "png", "dicom")), chance.choice(("xray", "ct", "unknown")))
        for number in range(1, count // 2 + 1)
    ]  # fmt: skip
    losses = [("ingest", "quarantine", "record.malformed"), ("measure", "drop", "image.missing"),
              ("license", "drop", "access.forbidden"), ("tokens", "drop", "tokens.too_short"),
              ("exact", "drop", "exact.text")]  # fmt: skip
    samples = []
    for _ in range(count):
        step, verdict, reason = chance.choice(losses) if chance.random() < 0.4 else (None, "keep", None)
        shown = chance.sample(pictures, min(chance.choice((0, 0, 1, 1, 2, 3)), len(pictures)))
        samples.append(
            Made(
                f"{chance.getrandbits(128):032x}", chance.choice(("films", "notes", "scans")),
                chance.choice(("caption", "vqa", "text")), chance.choice(("MIT", "unknown")), "open",
                chance.choice(("en", None)), "text", tuple(one.image_id for one in shown), step, verdict, reason,
                chance.randrange(0, 3000),
            )
        )  # fmt: skip
    return samples, pictures


def thumbnail() -> bytes:
    return np.tile(np.arange(64, dtype=np.uint8) * 4, 64).tobytes()


def _samples(samples: Sequence[Made]) -> pa.Table:
    rows = []
    for number, one in enumerate(samples):
        images = [{"image_id": image or None, "uri": f"{number}.jpg", "frame": 0} for image in one.images]
        turns = [
            {"role": "user", "text": "<image>\n" * len(images) + "What is it?"},
            {"role": "assistant", "text": one.text},
        ]
        given = {name: getattr(one, name) for name in ("sample_id", "source", "task", "license", "access", "language")}
        rows.append(
            {**dict.fromkeys(SAMPLES.names), **given, "source_key": f"x#{number}", "turns": turns, "images": images}
        )
    return pa.Table.from_pylist(rows, SAMPLES)


def _images(pictures: Sequence[Picture]) -> pa.Table:
    rows = [
        {**dict.fromkeys(IMAGES.names), **vars(one), "bit_depth": 8, "channels": 1, "frames": 1, "bytes": 9,
         "thumbnail": thumbnail()}
        for one in pictures
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, IMAGES)


def _ledger(samples: Sequence[Made]) -> pa.Table:
    rows = []
    for step in STEPS:
        for one in samples:
            if one.step is not None and STEPS.index(step) > STEPS.index(one.step):
                continue
            here = one.step == step
            rows.append(
                {"sample_id": one.sample_id, "step": step, "verdict": one.verdict if here else "keep",
                 "reason": one.reason if here else None, "score": float(one.tokens) if step == "tokens" else None,
                 "threshold": 10.0 if step == "tokens" else None, "evidence": None, "step_fingerprint": "0"}
            )  # fmt: skip
    return pa.Table.from_pylist(rows, LEDGER)
