import io
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from shards.harmony import lengths
from shards.index_file import (
    BATCH_ROWS,
    INDEX,
    PART,
    Index,
    IndexAbout,
    IndexFileError,
    open_index,
    part_without,
    parts_of,
    write_index,
)
from shards.index_rows import IndexRows
from shards.manifest import Manifest, Mixture, ShardEntry, read_manifest
from shards.rewrite import rewrite_shard
from shards.samples import ShardSample
from shards.tar_reader import TarReader
from shards.writer import write_shard
from sources.storage import LocalFolder
from tests.shards.conftest import MIXED, ShardFolder, key_of, sample_of

ABOUT = IndexAbout(build="b", tokenizer="o200k_harmony")


def rows_of(samples: list[ShardSample]) -> tuple[bytes, pa.Table]:
    """A tar and the rows that came about while it was written."""
    file, rows = io.BytesIO(), IndexRows()
    write_shard(file, samples, lambda sample, offset, size: rows.add(sample.json, offset, size))
    return file.getvalue(), rows.table()


def manifest_of(*samples: int) -> Manifest:
    """Of shards with so many samples."""
    facts = {"sha256": "0" * 64, "bytes": 10_240, "tokens": 1, "first_key": key_of(1), "last_key": key_of(1)}
    entries = [
        ShardEntry(name=f"mid-demo-{number:06}.tar", samples=count, **facts) for number, count in enumerate(samples)
    ]
    return Manifest(
        build=ABOUT.build, tokenizer=ABOUT.tokenizer, stage="mid", context_tokens=4096, shards=tuple(entries),
        mixture=Mixture(seed=0, epochs=1, weights={}),
    )  # fmt: skip


def written(parts: list[pa.Table]) -> bytes:
    file = io.BytesIO()
    write_index(file, ABOUT, parts)
    return file.getvalue()


def opened(tmp_path: Path, data: bytes) -> Index:
    (tmp_path / "index.arrow").write_bytes(data)
    return open_index(LocalFolder(tmp_path))


SAMPLES = [sample_of(1, "png"), sample_of(2, "jpg", "png"), sample_of(3)]


def test_a_read_at_the_place_the_index_tells_gives_the_members_of_the_sample() -> None:
    tar, rows = rows_of(SAMPLES)
    for sample, row in zip(SAMPLES, rows.to_pylist(), strict=True):
        piece = tar[row["offset"] : row["offset"] + row["size"]] + bytes(1024)
        piece = piece.ljust(-(-len(piece) // 10_240) * 10_240, b"\0")
        members = [member.name for member in TarReader(io.BytesIO(piece), len(piece), 2**30).members()]
        assert members == [f"{sample.key}.json", *(f"{sample.key}.{suffix}" for suffix, _ in sample.members)]


def test_a_row_says_what_the_sample_is() -> None:
    _, rows = rows_of(SAMPLES)
    first, second, third = rows.to_pylist()
    long = lengths(SAMPLES[1].json["turns"])
    assert (second["tokens"], second["loss_tokens"]) == (long.tokens, long.loss_tokens)
    assert second["images"] == [{"width": 12, "height": 9}] * 2
    assert (second["source"], second["task"], second["license"], second["access"]) == (
        "demo",
        "vqa",
        "CC-BY-4.0",
        "open",
    )
    assert (first["modality"], third["modality"], third["images"]) == ("xray", "", [])


def test_an_index_that_was_written_reads_back_with_the_numbers_of_shards(tmp_path: Path) -> None:
    parts = [rows_of(SAMPLES)[1], rows_of([sample_of(4, source="other")])[1]]
    index = opened(tmp_path, written(parts))
    rows = index.table().to_pylist()
    assert [row.pop("shard") for row in rows] == [0, 0, 0, 1]
    assert rows == [row for part in parts for row in part.to_pylist()]
    assert index.about == ABOUT
    assert index.table(["source"]).schema.names == ["source"]
    assert [part.to_pylist() for part in parts_of(index, manifest_of(3, 1))] == [part.to_pylist() for part in parts]
    other = manifest_of(3, 1).model_copy(update={"build": "another"})
    for manifest in (manifest_of(2, 2), manifest_of(4), manifest_of(3, 1, 1), other):
        with pytest.raises(IndexFileError, match=r"index\.arrow: is of other shards than the manifest; restore"):
            parts_of(index, manifest)


def test_batches_hold_65536_rows_whatever_the_shards_are(tmp_path: Path) -> None:
    part = pa.concat_tables([rows_of(SAMPLES)[1]] * 10_000)
    data = written([part, part, part])
    index = opened(tmp_path, data)
    assert [batch.num_rows for batch in index.batches] == [BATCH_ROWS, 90_000 - BATCH_ROWS]
    for start, stop in ((0, 3), (BATCH_ROWS - 2, BATCH_ROWS + 2), (BATCH_ROWS, BATCH_ROWS + 1), (89_999, 90_005)):
        assert index.rows(start, stop).equals(index.table().slice(start, stop - start))
    assert data == written([part.slice(0), pa.concat_tables([part.slice(0, 5), part.slice(5)]), part])


def test_an_index_of_nothing_has_no_rows(tmp_path: Path) -> None:
    index = opened(tmp_path, written([]))
    assert index.table().num_rows == 0
    assert index.table().schema.equals(INDEX)
    assert parts_of(index, manifest_of()) == []


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def of_a_newer_format(data: bytes) -> bytes:
    file = io.BytesIO()
    write_index(file, IndexAbout(format=2, build="b", tokenizer="t"), [])
    return file.getvalue()


def of_another_kind(data: bytes) -> bytes:
    file = io.BytesIO()
    with pa.ipc.new_file(file, PART):
        pass
    return file.getvalue()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut, "damaged, or no index of curate"),
        (lambda _: b"", "damaged, or no index of curate"),
        (of_another_kind, "damaged, or no index of curate"),
        (of_a_newer_format, "format 2, this version reads 1"),
    ],
    ids=["truncated", "empty", "another_file", "newer_format"],
)
def test_what_is_no_index_is_told(tmp_path: Path, damage: Any, said: str) -> None:
    with pytest.raises(IndexFileError, match=said):
        opened(tmp_path, damage(written([rows_of(SAMPLES)[1]])))


def test_a_flipped_bit_is_told_or_changes_no_row(tmp_path: Path) -> None:
    data = written([pa.concat_tables([rows_of(SAMPLES)[1]] * 40), rows_of([sample_of(4, source="other")])[1]])
    expected = opened(tmp_path, data).table()
    chance = random.Random(6)
    told = 0
    for number in range(300):
        damaged = bytearray(data)
        damaged[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        (tmp_path / f"{number}.arrow").write_bytes(damaged)
        try:
            index = open_index(LocalFolder(tmp_path), f"{number}.arrow")
            rows = index.table()
        except IndexFileError as error:
            told += 1
            assert f"{number}.arrow" in str(error)  # noqa: PT017 - any bit may be one that matters
        else:
            assert rows.equals(expected)
    assert told > 100


def test_an_index_of_an_earlier_version_has_no_checksums_and_is_read(tmp_path: Path) -> None:
    index = opened(tmp_path, written([rows_of(SAMPLES)[1]]))
    with pa.ipc.new_file(tmp_path / "old.arrow", next(index.batches).schema) as writer:
        for batch in index.batches:
            writer.write_batch(batch)
    assert open_index(LocalFolder(tmp_path), "old.arrow").table().equals(index.table())


def test_an_index_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(IndexFileError, match="there is none"):
        open_index(LocalFolder(tmp_path))


def test_rows_of_a_rewritten_shard_are_those_of_the_new_tar(shard_folder: ShardFolder) -> None:
    folder = LocalFolder(shard_folder.root)
    entry = next(entry for entry in read_manifest(folder).shards if entry.name == MIXED)
    samples = shard_folder.samples[MIXED]
    _, before = rows_of(samples)
    file, places = io.BytesIO(), list[int]()
    rewrite_shard(folder, entry, file, frozenset({samples[1].key, samples[3].key}), places)
    assert places == [1, 3]
    tar, after = rows_of([samples[0], samples[2]])
    assert part_without(before, places).to_pylist() == after.to_pylist()
    assert file.getvalue() == tar


def test_a_shard_that_lost_nothing_keeps_its_rows() -> None:
    _, rows = rows_of(SAMPLES)
    assert part_without(rows, []).equals(rows)
