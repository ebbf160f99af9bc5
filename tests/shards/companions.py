"""The facts of a data card for a folder of shards, and the libraries that read its files, in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from shards.card import CardFacts, SourceFacts
from shards.manifest import Manifest, read_manifest
from shards.obligations import Terms
from sources.storage import LocalFolder

STEPS = (
    {"name": "ingest", "in": 40, "made": 0, "kept": 38, "dropped": {"record.empty": 2}, "quarantined": {}},
    {"name": "exact", "in": 38, "made": 0, "kept": 36, "dropped": {"exact.text": 2}, "quarantined": {}},
)
LOAD = """
import base64, json, sys, datasets
data = datasets.load_dataset(sys.argv[1], split=sys.argv[2], cache_dir=sys.argv[3])
for name, feature in data.features.items():
    if isinstance(feature, datasets.Image):
        data = data.cast_column(name, datasets.Image(decode=False))
rows = []
for row in data:
    pictures = {name: base64.b64encode(value["bytes"]).decode() for name, value in row.items()
                if isinstance(value, dict) and "bytes" in value}
    rows.append({"json": row["json"], "key": row["__key__"], "pictures": pictures})
print(json.dumps(rows))
"""
CROISSANT = """
import json, sys, mlcroissant
data = mlcroissant.Dataset(jsonld=sys.argv[1])
issues = data.metadata.ctx.issues
rows = [row["raw/json"].decode() for row in data.records("raw")] if sys.argv[2] == "read" else []
print(json.dumps({"errors": sorted(map(str, issues.errors)), "rows": rows}))
"""


def facts_of(manifest: Manifest, members: tuple[str, ...] = ("jpg", "png", "0.jpg", "1.png"), **more: Any) -> CardFacts:
    sources = sorted({entry.name.split("-")[-2] for entry in manifest.every_shard})
    samples = {name: sum(e.samples for e in manifest.every_shard if e.name.split("-")[-2] == name) for name in sources}
    given: dict[str, Any] = {
        "manifest": manifest,
        "sources": tuple(SourceFacts(name, samples[name], 100) for name in sources),
        "terms": tuple(Terms(name, "CC-BY-4.0", "open", samples[name]) for name in sources),
        "tasks": {"vqa": 4, "text_qa": 32},
        "modalities": {"xray": 4, "no picture": 32},
        "languages": {"en": 30, "not stated": 6},
        "members": members,
        "steps": STEPS,
        "settings": {"exact": {"enabled": True}},
    }
    return CardFacts(**given | more)


def manifest_in(folder: Path) -> Manifest:
    return read_manifest(LocalFolder(folder))


def loaded(folder: Path, place: Path, split: str = "train") -> list[dict[str, Any]]:
    """Every row that `datasets.load_dataset(folder)` gives, offline."""
    done = _python(LOAD, place, folder, split, place / "cache")
    assert done.returncode == 0, done.stderr[-2000:]
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def load_fails(folder: Path, place: Path) -> str:
    """The last words of a `load_dataset` that fails."""
    done = _python(LOAD, place, folder, "train", place / "cache")
    assert done.returncode != 0
    return done.stderr[-2000:]


def croissant(folder: Path, place: Path, mode: str = "read") -> dict[str, Any]:
    """What mlcroissant finds wrong in a folder's `croissant.json`, and every sample's JSON that it reads by it."""
    done = _python(CROISSANT, place, folder / "croissant.json", mode)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _python(script: str, place: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    place.mkdir(parents=True, exist_ok=True)
    own = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(place / "hf"), "HOME": str(place)}
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **own},
    )
