"""What Megatron-Energon reads beside the tars, so that nobody has to run `energon prepare`.

`energon prepare` (7.4.1) writes a random id and the order in which its workers finish; here everything follows from
the manifest and the tars' members, so the same shards give the same bytes. `docs/readers_of_shards.md` shows the use.
"""

import json
import struct
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from shards.manifest import Manifest, ShardEntry
from shards.members import PlacedSample
from shards.names import parse_shard_name

META = ".nv-meta"
INDEX = "index.sqlite"
"""The only file of `.nv-meta` that does not follow from the manifest alone (`shards/energon_index.py`)."""

_ID_SPACE = uuid.UUID("6f2a9f0e-2f5c-5d5e-9d3b-0c1f6e1b7a11")  # any constant: ids of ours never meet ids of others
_LOADER = Path(__file__).with_name("energon_sample_loader.py")
_DATASET = {
    "sample_type": {"__module__": "megatron.energon", "__class__": "InterleavedSample"},
    "sample_loader": "sample_loader.py:sample_loader",
    "part_filter": "sample_loader.py:part_filter",
}
_CRUDE = {"__module__": "megatron.energon", "__class__": "CrudeWebdataset"}


def tar_index_name(shard: str) -> str:
    """The name of the file that says where the samples of a shard begin."""
    return f"{shard}.idx"


def tar_index(samples: Iterable[PlacedSample]) -> bytes:
    """Where every sample of a tar begins, and where the last one ends, as little-endian 64-bit numbers."""
    offsets, end = [], 0
    for sample in samples:
        offsets.append(sample.offset)
        end = sample.offset + sample.bytes
    return struct.pack(f"<{len(offsets) + 1}Q", *offsets, end)


def energon_files(manifest: Manifest) -> dict[str, bytes]:
    """The small files of `.nv-meta`: name -> content.

    `split.yaml` has all training shards as `train`, the held-out ones as `val`, and an empty `test`, which `energon
    lint` asks for. `split-SOURCE.yaml` has those of one source, and `blend.yaml` mixes them as the recipe says.
    """
    training = _by_source(manifest.shards)
    held = _by_source(manifest.validation or ())
    files = {
        ".info.json": _json({"energon_version": None, "shard_counts": _counts(manifest)}),
        "index.uuid": str(_id_of(manifest)).encode(),
        "dataset.yaml": _yaml(_DATASET),
        "crude.yaml": _yaml(_CRUDE),
        "sample_loader.py": _LOADER.read_bytes(),
        "split.yaml": _split(_names(manifest.shards), _names(manifest.validation or ())),
        "blend.yaml": _yaml(_blend(manifest, training)),
    }
    for source in sorted({*training, *held}):
        files[_split_name(source)] = _split(_names(training.get(source, ())), _names(held.get(source, ())))
    return files


def _id_of(manifest: Manifest) -> uuid.UUID:
    return uuid.uuid5(_ID_SPACE, " ".join(entry.sha256 for entry in manifest.every_shard))


def _counts(manifest: Manifest) -> dict[str, int]:
    return {entry.name: entry.samples for entry in manifest.every_shard}


def _by_source(entries: Sequence[ShardEntry]) -> dict[str, list[ShardEntry]]:
    """Shards by the source in their names; one that is called otherwise belongs to none."""
    found: dict[str, list[ShardEntry]] = {}
    for entry in entries:
        name = parse_shard_name(entry.name)
        if name is not None:
            found.setdefault(name.source, []).append(entry)
    return dict(sorted(found.items()))


def _names(entries: Sequence[ShardEntry]) -> list[str]:
    return [entry.name for entry in entries]


def _split(train: Sequence[str], held: Sequence[str]) -> bytes:
    return _yaml({"split_parts": {"train": list(train), "val": list(held), "test": []}, "exclude": []})


def _split_name(source: str) -> str:
    return f"split-{source}.yaml"


def _blend(manifest: Manifest, training: dict[str, list[ShardEntry]]) -> dict[str, Any]:
    """Sources drawn by samples times weight, as an epoch of the plan holds them; weight 0 leaves a source out."""
    weights = manifest.mixture.weights
    drawn = {
        source: sum(entry.samples for entry in entries) * weights.get(source, 1.0)
        for source, entries in training.items()
    }
    return {
        "__module__": "megatron.energon",
        "__class__": "MetadatasetV2",
        "splits": {
            "train": {
                "blend": [
                    {
                        "path": "..",
                        "dataset_config": "crude.yaml",
                        "split_config": _split_name(source),
                        "subflavors": {"source": source},
                        "weight": float(weight),
                    }
                    for source, weight in drawn.items()
                    if weight > 0
                ]
            }
        },
    }


def _json(content: Any) -> bytes:
    return json.dumps(content, indent=2).encode()


def _yaml(content: Any) -> bytes:
    return yaml.safe_dump(content, sort_keys=False).encode()
