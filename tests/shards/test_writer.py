import hashlib
import io
import tarfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import webdataset

from shards.samples import ShardSample, json_bytes
from shards.tar import TarError
from shards.writer import write_shard
from tests.shards.conftest import key_of, sample_of

SAMPLES = [sample_of(1, "png"), sample_of(2, "jpg", "png", "png"), sample_of(3), sample_of(4, "jpg")]


def test_webdataset_reads_the_samples_that_were_written(tmp_path: Path) -> None:
    place = tmp_path / "mid-demo-000000.tar"
    with place.open("wb") as file:
        write_shard(file, SAMPLES)
    read = list(webdataset.WebDataset(str(place), shardshuffle=False))
    assert [sample["__key__"] for sample in read] == [sample.key for sample in SAMPLES]
    for found, sample in zip(read, SAMPLES, strict=True):
        assert orjson.loads(found["json"]) == sample.json
        assert {name: found[name] for name in found if not name.startswith("__") and name != "json"} == dict(
            sample.members
        )
        assert [found[image["member"]] for image in sample.json["images"]] == [data for _, data in sample.members]


def test_a_sample_is_its_json_and_then_its_pictures() -> None:
    file = io.BytesIO()
    write_shard(file, SAMPLES[:3])
    with tarfile.open(fileobj=io.BytesIO(file.getvalue())) as archive:
        names = archive.getnames()
    assert names == [
        f"{key_of(1)}.json", f"{key_of(1)}.png",
        f"{key_of(2)}.json", f"{key_of(2)}.0.jpg", f"{key_of(2)}.1.png", f"{key_of(2)}.2.png",
        f"{key_of(3)}.json",
    ]  # fmt: skip


def test_the_summary_is_that_of_the_file() -> None:
    file = io.BytesIO()
    summary = write_shard(file, SAMPLES)
    data = file.getvalue()
    assert (summary.sha256, summary.bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert (summary.samples, summary.tokens) == (4, 8 + 9 + 10 + 11)
    assert (summary.first_key, summary.last_key) == (key_of(1), key_of(4))


def test_the_same_samples_are_the_same_bytes() -> None:
    first, second = io.BytesIO(), io.BytesIO()
    assert write_shard(first, SAMPLES) == write_shard(second, iter(SAMPLES))
    assert first.getvalue() == second.getvalue()


def test_two_samples_with_one_key_are_refused() -> None:
    with pytest.raises(TarError, match="in the shard already"):
        write_shard(io.BytesIO(), [SAMPLES[0], SAMPLES[1], SAMPLES[0]])


def test_a_shard_without_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="without samples"):
        write_shard(io.BytesIO(), [])


class _Sink(io.RawIOBase):
    def write(self, data: bytes) -> int:  # type: ignore[override]
        return len(data)


def test_memory_is_a_few_samples_however_many_are_written() -> None:
    def samples() -> Iterator[ShardSample]:
        for number in range(200):
            content = SAMPLES[0].json | {"sample_id": key_of(number)}
            yield ShardSample(key_of(number), content, (("png", bytes(2**20)),))

    tracemalloc.start()
    summary = write_shard(_Sink(), samples())  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert summary.bytes > 200 * 2**20
    assert peak < 16 * 2**20


def test_json_is_written_as_json_bytes_makes_it() -> None:
    file = io.BytesIO()
    write_shard(file, SAMPLES[2:3])
    assert json_bytes(SAMPLES[2].json) in file.getvalue()
