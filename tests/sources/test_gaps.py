from collections.abc import Sequence
from pathlib import Path

import pytest

from sources.cards import Card
from sources.find import find_corpus
from sources.gaps import Gap, gaps
from sources.identity import Identity
from sources.records import Corpus
from sources.storage import LocalFolder
from tests.sources.corpora_fixtures.writing import put
from tests.sources.packed_files import write_zip


def card(*files: str, archives: Sequence[str] = ()) -> Card:
    layout = {"roots": ["set"], "files": files, "archives": archives}
    return Card(name="set", reader="jsonl", layout=layout, task="text", access="open")


def found(folder: Path, names: Sequence[str], key: bytes | None = None) -> list[Gap]:
    return gaps(Corpus("set", LocalFolder(folder), card("**/*"), Identity("set", key), tuple(sorted(names))))


def told(folder: Path, names: Sequence[str], key: bytes | None = None) -> list[tuple[int, str]]:
    return [(gap.absent, gap.detail) for gap in found(folder, names, key)]


def told_on_disk(folder: Path, found_by: Card) -> list[str]:
    corpus = find_corpus(found_by, "set", [LocalFolder(folder)], Identity("set"))
    assert corpus is not None
    return [gap.detail for gap in gaps(corpus)]


LACKING = {
    "one of eight": (
        [f"data/train-{number:05d}-of-00008.parquet" for number in range(8) if number != 3],
        "set: data/train-00000-of-00008.parquet and files numbered like it: 1 of 8 is not there (00003)",
    ),
    "all but one, each with a hash": (
        ["train-00001-of-00003-3cf888.parquet"],
        "set: train-00001-of-00003-3cf888.parquet and files numbered like it: 2 of 3 are not there (00002 and 1 more)",
    ),
    "counted from one": (
        ["a_1_of_3.jsonl.gz", "a_3_of_3.jsonl.gz"],
        "set: a_1_of_3.jsonl.gz and files numbered like it: 1 of 3 is not there (2)",
    ),
    "neither the first nor the last": (
        ["a-1-of-3.arrow", "a-2-of-3.arrow"],
        "set: a-1-of-3.arrow and files numbered like it: 1 of 3 is not there",
    ),
    "a hole": (
        [f"part_{number}.jsonl" for number in range(1, 11) if number != 3],
        "set: part_1.jsonl and files numbered like it: 1 between them is not there (3)",
    ),
    "parts of a table": (
        [f"part{number}.csv" for number in range(1, 11) if number != 3],
        "set: part1.csv and files numbered like it: 1 between them is not there (3)",
    ),
    "a date beside the number": (
        [f"oa.PMC{number:03d}xxxxxx.baseline.2024-06-18.tar.gz" for number in range(12) if number != 3],
        "set: oa.PMC000xxxxxx.baseline.2024-06-18.tar.gz and files numbered like it: 1 between them is not there (003)",
    ),
    "PubMed's baseline": (
        [f"pubmed24n{number:04d}.xml" for number in range(1, 31) if number != 7],
        "set: pubmed24n0001.xml and files numbered like it: 1 between them is not there (0007)",
    ),
}


@pytest.mark.parametrize("case", sorted(LACKING))
def test_the_numbers_that_a_series_lacks_are_told(tmp_path: Path, case: str) -> None:
    names, expected = LACKING[case]
    [gap] = found(tmp_path, names)
    assert gap.detail == f"{expected}: perhaps an interrupted download"
    assert gap.sure


PERHAPS = {
    "archives by case": [f"BraTS2021_{number:05d}.tar" for number in range(40) if number % 4 != 1],
    "shards that were chosen": ["shard-000.tar", "shard-001.tar", "shard-003.tar", "shard-005.tar"],
    "parts": ["part_1.jsonl", "part_2.jsonl", "part_4.jsonl", "part_6.jsonl"],
}


@pytest.mark.parametrize("case", sorted(PERHAPS))
def test_holes_of_a_series_that_is_far_from_whole_may_be_there_as_published(tmp_path: Path, case: str) -> None:
    [gap] = found(tmp_path, PERHAPS[case])
    assert not gap.sure
    assert gap.detail.endswith(": perhaps an interrupted download, if they were published and are wanted")


def test_of_many_absent_files_the_first_are_named_and_all_are_counted(tmp_path: Path) -> None:
    names = [f"shard-{number:03d}.tar" for number in range(60) if not 20 <= number < 40]
    [(absent, detail)] = told(tmp_path, names)
    assert absent == 20
    assert "20 between them are not there (020, 021, 022, 023, 024 and 15 more)" in detail


WHOLE = {
    "all of a series": [f"train-{number:05d}-of-00003.parquet" for number in range(3)],
    "all of several splits": [f"{split}-00000-of-00001.parquet" for split in ("train", "test", "validation")],
    "two files": ["part_1.jsonl", "part_3.jsonl"],
    "a few taken of many": ["shard-000.tar", "shard-010.tar", "shard-020.tar", "shard-040.tar"],
    "years": [f"VQA_Med_{year}.jsonl" for year in (2018, 2019, 2021)],
    "days": [f"incr.2024-06-{day}.tar.gz" for day in ("01", "02", "04")],
    "months": [f"reports_2024-{month:02d}.tar" for month in (1, 2, 4)],
    "documents": [f"guideline_{number:03d}.xml" for number in (1, 2, 4)],
    "PubMed's updates": [f"pubmed24n{number}.xml" for number in (1220, 1221, 1223)],
    "slices": [f"IM-0001-{number:04d}.dcm" for number in (1, 2, 4)],
    "pictures": [f"imgs/xmlab{number}/source.jpg" for number in (0, 1, 3)],
    "films": [f"images/{number}.png" for number in (1, 2, 4)],
    "articles": [f"PMC{number}.jsonl" for number in (5000001, 5000002, 5000004)],
    "one record a file": [f"case/{number:04d}.json" for number in (1, 2, 4)],
    "ROCO figures": [f"ROCO_{number:05d}.jpg" for number in (1, 2, 4)],
    "MIMIC folders": [f"p{number}.tar" for number in (10, 11, 13)],
    "MIMIC patients": [f"p10/p{number}.jsonl" for number in (10000032, 10000033, 10000035)],
    "patients": [f"patient_{number:03d}.tar" for number in (1, 2, 4)],
    "versions": [f"data_v{number}.jsonl" for number in (1, 2, 4)],
    "more than the total": [f"a-{number}-of-2.jsonl" for number in (1, 7)],
}


@pytest.mark.parametrize("case", sorted(WHOLE))
def test_what_is_whole_or_is_no_series_lacks_nothing(tmp_path: Path, case: str) -> None:
    assert told(tmp_path, WHOLE[case]) == []


def test_a_selection_of_files_that_are_there_lacks_none(tmp_path: Path) -> None:
    for number in (1, 2, 3, 4):
        put(tmp_path / f"set/part_{number}.jsonl", "{}")
    chosen = card("part_1.jsonl", "part_2.jsonl", "part_4.jsonl")
    assert told_on_disk(tmp_path, chosen) == []
    (tmp_path / "set/part_3.jsonl").unlink()
    assert len(told_on_disk(tmp_path, chosen)) == 1


def test_chosen_shards_of_the_hub_lack_none_though_each_has_a_hash_of_its_own(tmp_path: Path) -> None:
    hashes = ("3cf888", "0b21aa", "99e1c0")
    for number, tail in enumerate(hashes):
        put(tmp_path / f"set/train-{number:05d}-of-00003-{tail}.jsonl", "{}")
    chosen = card("train-00000-of-*.jsonl", "train-00002-of-*.jsonl")
    assert told_on_disk(tmp_path, chosen) == []
    (tmp_path / "set/train-00001-of-00003-0b21aa.jsonl").unlink()
    assert len(told_on_disk(tmp_path, chosen)) == 1


def test_archives_of_pictures_count_and_what_was_unpacked_is_there(tmp_path: Path) -> None:
    with_pictures = card("*.jsonl", archives=["images_*.zip"])
    put(tmp_path / "set/a.jsonl", "{}")
    for number in (0, 1, 3):
        write_zip(tmp_path / f"set/images_{number}.zip", [(f"{number}.jpg", b"made up")])
    line = (
        "set: images_0.zip and files numbered like it: 1 between them is not there (2): perhaps an interrupted download"
    )
    assert told_on_disk(tmp_path, with_pictures) == [line]
    (tmp_path / "set/images_2").mkdir()
    assert told_on_disk(tmp_path, with_pictures) == []


def test_no_name_of_a_keyed_corpus_is_told_nor_a_number_that_may_be_an_id(tmp_path: Path) -> None:
    key = b"a key of sixteen bytes"
    names = [f"MRN{number:08d}.jsonl" for number in (4711, 4712, 4714)]
    names += [f"Doe-{number}-of-4.jsonl" for number in (1, 2, 4)]
    details = [detail for _, detail in told(tmp_path, names, key)]
    assert len(details) == 2
    assert "471" not in "".join(details)
    assert "MRN" not in "".join(details)
    assert "Doe" not in "".join(details)
    assert sum("1 of 4 is not there (3)" in detail for detail in details) == 1
