"""Samples of every shape, a folder of shards made of them, and ways to damage it."""

import dataclasses
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from PIL import Image

from shards.manifest import Manifest, Mixture, ShardEntry, manifest_bytes
from shards.samples import PictureFacts, ShardSample, sample_json, shard_sample
from shards.tar import archive_bytes, member_header
from shards.tar_reader import TarReader
from shards.writer import write_shard
from sources.storage import LocalFolder


def key_of(number: int) -> str:
    return hashlib.sha256(f"sample {number}".encode()).hexdigest()[:32]


def picture_bytes(extension: str, seed: int, size: tuple[int, int] = (12, 9)) -> bytes:
    pixels = hashlib.shake_128(str(seed).encode()).digest(size[0] * size[1])
    file = io.BytesIO()
    Image.frombytes("L", size, pixels).save(file, {"jpg": "JPEG", "png": "PNG"}[extension])
    return file.getvalue()


def row_of(number: int, images: int = 0, text: str = "Pleural effusion.", source: str = "demo") -> dict[str, Any]:
    """A row of the samples table as `pyarrow.Table.to_pylist` gives it."""
    return {
        "sample_id": key_of(number),
        "source": source,
        "source_key": f"train.jsonl#{number}",
        "split": "train",
        "task": "vqa" if images else "text_qa",
        "turns": [
            {"role": "user", "text": "<image>\n" * images + "What is shown?"},
            {"role": "assistant", "text": text},
        ],
        "images": [
            {"image_id": f"{number}-{position}", "uri": f"{number}/{position}.png", "frame": 0}
            for position in range(images)
        ],
        "groups": [{"kind": "article", "id": f"PMC{number}"}],
        "license": "CC-BY-4.0",
        "access": "open",
        "language": "en",
        "question": "What is shown?",
        "options": None,
        "answer": text,
        "parent_id": None,
        "meta": None,
    }


def facts_of(number: int, extensions: Sequence[str]) -> list[PictureFacts]:
    return [
        PictureFacts(f"{number}-{position}", 12, 9, "xray", extension) for position, extension in enumerate(extensions)
    ]


def sample_of(number: int, *extensions: str, text: str = "Pleural effusion.", source: str = "demo") -> ShardSample:
    content = sample_json(row_of(number, len(extensions), text, source), 7 + number, facts_of(number, extensions))
    data = [picture_bytes(extension, 10 * number + place) for place, extension in enumerate(extensions)]
    return shard_sample(content, data)


def raw_tar(members: Sequence[tuple[str, bytes]]) -> bytes:
    """An archive with right headers and any names in any order, which `TarWriter` would refuse."""
    parts = [member_header(name, len(data)) + data + bytes(-len(data) % 512) for name, data in members]
    body = b"".join(parts)
    return body.ljust(archive_bytes(len(body)), b"\0")


def members_of(place: Path) -> list[tuple[str, bytes]]:
    with place.open("rb") as file:
        return [(m.name, m.data or b"") for m in TarReader(file, place.stat().st_size, 2**30).members()]


@dataclass(frozen=True)
class ShardFolder:
    """Three shards of two sources and their manifest; `sign` writes the manifest anew for what lies there."""

    root: Path
    samples: dict[str, list[ShardSample]]

    def place(self, name: str) -> Path:
        return self.root / name

    def manifest(self) -> dict[str, Any]:
        content: dict[str, Any] = orjson.loads((self.root / "manifest.json").read_bytes())
        return content

    def change_manifest(self, change: Callable[[dict[str, Any]], None]) -> None:
        content = self.manifest()
        change(content)
        (self.root / "manifest.json").write_bytes(orjson.dumps(content))

    def change_members(self, name: str, change: Callable[[list[tuple[str, bytes]]], None]) -> None:
        """Write a shard again with other members, and make the manifest agree with its size and digest."""
        members = members_of(self.place(name))
        change(members)
        data = raw_tar(members)
        self.place(name).write_bytes(data)
        self.sign(name, data)

    def sign(self, name: str, data: bytes) -> None:
        def change(content: dict[str, Any]) -> None:
            (entry,) = (entry for entry in content["shards"] if entry["name"] == name)
            entry |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}

        self.change_manifest(change)


MIXED, TEXTS, OTHER = "mid-demo-000000.tar", "mid-demo-000001.tar", "mid-other-000000.tar"


@pytest.fixture
def shard_folder(tmp_path: Path) -> ShardFolder:
    samples = {
        MIXED: [sample_of(1, "png"), sample_of(2, "jpg", "png"), sample_of(3), sample_of(4, "jpg")],
        TEXTS: [sample_of(number, text=f"Finding {number}.") for number in range(10, 40)],
        OTHER: [sample_of(50, "jpg", source="other"), sample_of(51, source="other")],
    }
    root = tmp_path / "run" / "shards"
    root.mkdir(parents=True)
    entries = []
    for name, content in samples.items():
        with (root / name).open("wb") as file:
            entries.append(ShardEntry(name=name, **dataclasses.asdict(write_shard(file, content))))
    manifest = Manifest(
        build="b" * 64,
        stage="mid",
        tokenizer="o200k_harmony",
        context_tokens=4096,
        mixture=Mixture(seed=0, epochs=1, weights={"other": 0.5, "demo": 1.0}),
        shards=tuple(entries),
    )
    LocalFolder(root).write("manifest.json", manifest_bytes(manifest))
    (root / "work" / "tmp").rmdir()
    (root / "work").rmdir()
    return ShardFolder(root, samples)
