import tarfile
from pathlib import Path

import pytest

from shards.loader_order import LoaderError
from shards.loader_ranges import OpenShard, Span, _LocalShard
from shards.loader_samples import BadSample, RawSample, SampleReader
from shards.loader_shards import Shards, check_sizes
from shards.manifest import read_manifest
from shards.plan_file import Place
from sources.storage import LocalFolder
from tests.shards.conftest import key_of
from tests.shards.planned import mixed_shards, places_in, write_shards

FIRST = "mid-demo-000000.tar"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_shards(tmp_path / "shards", mixed_shards(24, 2))
    return tmp_path / "shards"


def reader_of(root: Path, **more: int) -> SampleReader:
    folder = LocalFolder(root)
    return SampleReader(Shards(folder, read_manifest(folder)), **more)


def places_of(root: Path) -> list[Place]:
    return [place for n in range(2) for _, place in places_in(root / f"mid-demo-{n:06d}.tar", n)]


def flipped(place: Path, at: int) -> None:
    data = bytearray(place.read_bytes())
    data[at] ^= 1
    place.write_bytes(data)


def test_samples_are_what_tar_says_in_the_order_asked_for(root: Path) -> None:
    expected = {}
    for number in range(2):
        with tarfile.open(root / f"mid-demo-{number:06d}.tar") as archive:
            for member in archive:
                file = archive.extractfile(member)
                assert file is not None
                expected[member.name] = file.read()
    places = places_of(root)[::-1]
    found = {}
    keys = []
    for sample in reader_of(root).read(places):
        assert isinstance(sample, RawSample)
        keys.append(sample.key)
        found[f"{sample.key}.json"] = bytes(sample.json)
        found |= {f"{sample.key}.{suffix}": bytes(data) for suffix, data in sample.pictures}
    assert found == expected
    assert keys == [key_of(number) for number in reversed(range(24))]


def test_batches_read_ahead_come_in_order(root: Path) -> None:
    places = places_of(root)
    batches = [(number, places[number : number + 2]) for number in range(22)]
    found = [(number, list(samples)) for number, samples in reader_of(root).read_ahead(batches)]
    assert [number for number, _ in found] == list(range(22))
    assert [[sample.place for sample in samples] for _, samples in found if samples] == [b for _, b in batches]


def test_what_lies_between_samples_counts_as_on_its_way(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = places_of(root)
    apart = [(n, [places[n], places[n + 4]]) for n in range(3)]
    read = [last.offset + last.size - first.offset for _, (first, last) in apart]
    most = read[0] + read[1] - 1
    assert sum(place.size for _, some in apart for place in some) < most
    asked: list[int] = []
    batches = ((asked.append(number) or number, some) for number, some in apart)
    monkeypatch.setattr("shards.loader_samples.MOST_AHEAD_BYTES", most)
    monkeypatch.setattr("shards.loader_samples.GAP_SHARES", (1,))
    first = next(reader_of(root).read_ahead(batches))
    assert (first[0], asked) == (0, [0, 1])


def test_smaller_gaps_are_joined_where_a_step_would_read_too_much(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = places_of(root)
    apart = [places[0], places[11]]
    whole = places[11].offset + places[11].size - places[0].offset
    wanted = sum(place.size for place in apart)
    assert 2 * wanted < whole
    read: list[int] = []
    plainly = _LocalShard.read

    def counted(shard: OpenShard, span: Span) -> bytes:
        read.append(span.stop - span.start)
        return plainly(shard, span)

    monkeypatch.setattr(_LocalShard, "read", counted)
    monkeypatch.setattr(_LocalShard, "gap_bytes", 4 * (whole - wanted))
    assert [type(sample) for sample in reader_of(root).read(apart)] == [RawSample] * 2
    monkeypatch.setattr("shards.loader_samples.MOST_AHEAD_BYTES", 1)
    assert [type(sample) for sample in reader_of(root).read(apart)] == [RawSample] * 2
    assert read == [whole, *(place.size for place in apart)]


def test_a_damaged_header_costs_its_sample_alone(root: Path) -> None:
    places = places_of(root)
    flipped(root / FIRST, places[3].offset + 40)
    samples = reader_of(root).read(places)
    bad = [sample for sample in samples if isinstance(sample, BadSample)]
    at = places[3].offset
    assert [str(sample) for sample in bad] == [
        f"{FIRST}: sample (unreadable) at byte {at}: no header of ours at byte {at}: damaged"
    ]
    assert len(samples) == 24


def test_a_damaged_second_header_is_told_with_its_key(root: Path) -> None:
    place = places_of(root)[3]  # its JSON, a jpg, a png
    picture = place.offset + place.size - 512
    at = next(
        a for a in range(picture, place.offset, -512) if (root / FIRST).read_bytes()[a + 257 : a + 262] == b"ustar"
    )
    flipped(root / FIRST, at)
    (sample,) = reader_of(root).read([place])
    assert isinstance(sample, BadSample)
    assert (sample.key, sample.reason) == (key_of(3), f"no header of ours at byte {at}: damaged")


@pytest.mark.parametrize("change", [-512, 512, 1024])
def test_a_place_of_another_size_is_told(root: Path, change: int) -> None:
    place = places_of(root)[1]
    (sample,) = reader_of(root).read([place._replace(size=place.size + change)])
    assert isinstance(sample, BadSample)


def test_a_place_that_begins_inside_a_sample_is_told(root: Path) -> None:
    one, two = places_of(root)[1:3]
    for place in (Place(0, one.offset, one.size + two.size, 9), Place(0, one.offset + 1024, one.size - 1024, 9)):
        (sample,) = reader_of(root).read([place])
        assert isinstance(sample, BadSample)


def test_a_sample_of_three_gigabytes_is_told_and_not_read(root: Path) -> None:
    """The tar ends long before: reading any of it would be another error."""
    large = places_of(root)[-1]._replace(size=3 * 2**30)
    sample, other = reader_of(root).read([large, places_of(root)[0]])
    assert isinstance(other, RawSample)
    assert isinstance(sample, BadSample)
    assert sample.key == key_of(23)
    assert sample.reason.startswith(f"{3 * 2**30} bytes, more than max_sample_bytes ({2**30}): not read")


def test_a_place_beyond_the_end_of_its_tar_is_no_matter_of_one_sample(root: Path) -> None:
    with pytest.raises(LoaderError, match=f"{FIRST}: ends before a sample that the plan names"):
        reader_of(root).read([Place(0, (root / FIRST).stat().st_size - 512, 1024, 9)])


def test_a_shard_the_manifest_does_not_have_is_told(root: Path) -> None:
    with pytest.raises(LoaderError, match="the plan speaks of shard 2, the manifest has 2"):
        reader_of(root).read([Place(2, 0, 1024, 9)])


def test_sizes_are_held_against_the_manifest_before_anything_is_read(root: Path) -> None:
    folder = LocalFolder(root)
    check_sizes(folder, read_manifest(folder))
    whole = (root / FIRST).read_bytes()
    (root / FIRST).write_bytes(whole[:-512])
    with pytest.raises(LoaderError, match=rf"{FIRST}: {len(whole) - 512} bytes, the manifest says.*: truncated"):
        check_sizes(folder, read_manifest(folder))
    (root / FIRST).unlink()
    (root / "mid-demo-000001.tar").write_bytes(b"")
    with pytest.raises(LoaderError, match=rf"{FIRST} \(and 1 more shards\): missing; restore it, or build again"):
        check_sizes(folder, read_manifest(folder))
