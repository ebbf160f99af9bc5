import hashlib
import io
from dataclasses import asdict
from pathlib import Path

import pytest

from shards.manifest import ShardEntry
from shards.rewrite import RewriteError, rewrite_shard
from shards.samples import ShardSample
from shards.writer import ShardSummary, write_shard
from sources.storage import LocalFolder

NAME = "mid-films-000000.tar"


def sample(number: int, pictures: int = 1) -> ShardSample:
    key = hashlib.md5(str(number).encode()).hexdigest()
    content = {"sample_id": key, "tokens": number, "text": 'ä "quoted" \n'}
    suffixes = ["png"] if pictures == 1 else [f"{place}.png" for place in range(pictures)]
    return ShardSample(
        key, content, tuple((suffix, bytes([number]) * (number * 300)) for suffix in suffixes[:pictures])
    )


SAMPLES = [sample(number, pictures=number % 3) for number in range(1, 7)]


def written(samples: list[ShardSample]) -> tuple[bytes, ShardSummary]:
    file = io.BytesIO()
    summary = write_shard(file, samples)
    return file.getvalue(), summary


@pytest.fixture
def shard(tmp_path: Path) -> tuple[LocalFolder, ShardEntry]:
    data, summary = written(SAMPLES)
    (tmp_path / NAME).write_bytes(data)
    return LocalFolder(tmp_path), ShardEntry(name=NAME, **asdict(summary))


@pytest.mark.parametrize("gone", [{0}, {5}, {2, 3}, {0, 1, 2, 3, 4}])
def test_what_is_left_is_the_shard_that_would_have_been_written_without(
    shard: tuple[LocalFolder, ShardEntry], gone: set[int]
) -> None:
    file = io.BytesIO()
    summary = rewrite_shard(*shard, file, frozenset(SAMPLES[number].key for number in gone))
    data, expected = written([kept for number, kept in enumerate(SAMPLES) if number not in gone])
    assert file.getvalue() == data
    assert summary == expected


def test_a_sample_that_is_not_there_is_an_error(shard: tuple[LocalFolder, ShardEntry]) -> None:
    with pytest.raises(RewriteError, match=f"{NAME}: has no sample {'f' * 32}"):
        rewrite_shard(*shard, io.BytesIO(), frozenset({"f" * 32}))


def test_a_shard_that_is_damaged_missing_or_another_one_is_an_error(
    shard: tuple[LocalFolder, ShardEntry], tmp_path: Path
) -> None:
    folder, entry = shard
    data = (tmp_path / NAME).read_bytes()
    removed = frozenset({SAMPLES[0].key})
    for wrong in (data[:-1], data[:700] + b"!" + data[701:], written(SAMPLES[:4])[0], b"no tar"):
        (tmp_path / NAME).write_bytes(wrong)
        with pytest.raises(RewriteError, match=NAME):
            rewrite_shard(folder, entry, io.BytesIO(), removed)
    (tmp_path / NAME).unlink()
    with pytest.raises(RewriteError, match="is missing"):
        rewrite_shard(folder, entry, io.BytesIO(), removed)
