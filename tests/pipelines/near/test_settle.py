"""Samples that only their pictures tell apart: copies that had not met are compared, and those alone."""

from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import hypothesis.strategies as st
import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from PIL import Image

from dedup.images import phash_distance
from dedup.picture_phash import PerceptualHash
from pipelines.errors import CurateError
from pipelines.near.texts import MOST_SALTS, _salts
from pipelines.work import Part
from tests.pipelines.near.pictured import WORDS, Picture, Pictured, noise

BRAIN, LECTURE, WOUND = WORDS.values()
SHARES = (0, 0.15, 0.25, 0.35, 0.5, 0.6, 0.75, 1)
"""Of the second of two pictures in some that lie between them."""
COPIES = 12
"""More than a bucket whose members are all compared with one another."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def crowd(folder: Path, order: list[int], files: int, method: str = "verified", distance: int = 0) -> Pictured:
    """Twelve copies of one picture under two texts, in this order in so many files."""
    found, picture = Pictured(folder, method, distance), noise(0, 160)
    names = [found.picture(f"copy-{number}", picture, 76 + 2 * number) for number in range(COPIES)]
    records = [(str(number), (BRAIN, LECTURE)[number % 2], names[number]) for number in order]
    for file in range(files):
        found.records(f"file-{file}", records[file::files])
    return found


def rows(found: Pictured, node: str, name: str) -> list[int]:
    return [commit.parts[name].rows for commit in found.ran[node]]


def digests(found: Pictured, node: str, name: str) -> set[Part]:
    return {commit.parts[name] for commit in found.ran[node]}


def test_of_each_text_one_sample_stays_and_only_pictures_beside_alike_texts_are_compared(folder: Path) -> None:
    found = crowd(folder, list(range(COPIES)), 1)
    kept = found.kept()
    assert sorted(int(name) % 2 for name in kept) == [0, 1]
    (asked,), (questions,) = rows(found, "near_image_asks", "asks"), found.ran["near_image_questions"]
    beside_each_other = 2 * (6 * 5 // 2)
    star = 5  # with the text of the best picture, which all have met
    assert asked == beside_each_other - star
    assert questions.parts["pairs"].rows == asked - questions.parts["known"].rows  # each once, none that was known
    first, again = rows(found, "near_picture_verify", "edges")
    assert again == questions.parts["pairs"].rows
    assert first < COPIES * (COPIES - 1) // 2


def test_neither_the_order_of_records_nor_their_files_matter(folder: Path) -> None:
    # The key of a record has its file in it: survivors are named by the text, and all of a text are one group.
    one = crowd(folder, list(range(COPIES)), 1, "phash", 10).said("one")
    (folder / "file-0.jsonl").unlink()
    shuffled = np.random.default_rng(3).permutation(COPIES).tolist()
    other = crowd(folder, shuffled, 3, "phash", 10).said("other")
    for said in (one, other):
        assert [row["verdict"] for row in said.values()].count("keep") == 2
    same_file = crowd(folder, shuffled, 1, "phash", 10)
    for extra in (1, 2):
        (folder / f"file-{extra}.jsonl").unlink()
    kept = {name for name, row in one.items() if row["verdict"] == "keep"}
    assert same_file.kept("again") == kept


def test_what_was_compared_is_not_compared_again_when_nothing_or_another_file_came(folder: Path) -> None:
    found = crowd(folder, list(range(COPIES)), 2)
    kept = found.kept()
    edges = digests(found, "near_picture_verify", "edges") | digests(found, "near_image_settle", "edges")
    assert found.kept() == kept
    assert all(commit.reused for commits in found.ran.values() for commit in commits)
    other = found.picture("other", noise(1, 160))
    found.records("later", [("later", WOUND, other)])
    assert found.kept() == {*kept, "later"}
    for node in ("near_picture_verify", "near_image_settle"):
        assert {part for part in digests(found, node, "edges") if part.rows} <= edges
        assert all(commit.reused for commit in found.ran[node] if commit.parts["edges"].rows)


def three_copies(folder: Path) -> tuple[Pictured, list[str]]:
    found, picture = Pictured(folder), noise(0, 200)
    names = [found.picture(f"copy-{quality}", picture, quality) for quality in (60, 75, 90)]
    found.records("all", [(name, BRAIN, name) for name in names])
    return found, names


def test_a_picture_that_is_gone_when_its_turn_comes_ends_the_run_and_is_compared_when_it_is_back(folder: Path) -> None:
    found, names = three_copies(folder)
    there = (folder / names[0]).read_bytes()
    with pytest.raises(CurateError, match="not there any more") as caught:
        found.said(gone=names[:1])
    assert names[0] not in str(caught.value)
    (folder / names[0]).write_bytes(there)
    assert found.kept() == found.kept("another run")
    assert len(found.kept()) == 1


def test_a_picture_that_is_another_one_when_its_turn_comes_ends_the_run(folder: Path) -> None:
    found, names = three_copies(folder)
    with pytest.raises(CurateError, match="changed while the build was running"):
        found.said(changed={names[0]: (folder / names[0]).read_bytes()[:500]})


def test_the_evidence_of_a_drop_is_how_the_pictures_of_the_two_samples_lie_on_one_another(folder: Path) -> None:
    found = crowd(folder, list(range(COPIES)), 2)
    said = found.said()
    names, pictures = {row["sample_id"]: name for name, row in said.items()}, found.pictures()
    told = {name: orjson.loads(row["evidence"] or b"{}") for name, row in said.items()}
    dropped = [name for name, row in said.items() if row["verdict"] == "drop"]
    assert len(dropped) == COPIES - 2
    for name in dropped:
        kept = names[told[name]["kept"]]
        # Where the best picture of all is the dropped sample's own, it is the kept one's that is told to be a copy.
        copy, original = (name, kept) if "pictures" in told[name] else (kept, name)
        (shown,) = told[copy]["pictures"]
        assert (shown["image"], shown["copy_of"]) == (pictures[copy], pictures[original])
        assert shown["ncc"] >= 0.75
        assert {"jaccard", "edits"} <= told[name].keys()


def test_what_shows_too_little_to_be_told_apart_joins_no_samples_not_even_as_the_same_file(folder: Path) -> None:
    found = Pictured(folder)
    slope = np.add.outer(np.arange(256), np.arange(256))
    blank, shown = found.picture("blank", (60 + slope // 8).astype(np.uint8)), found.picture("shown", noise(0, 160))
    edited = f"{BRAIN} today"
    found.records("all", [(f"{name} {text}", text, name) for name in (blank, shown) for text in (BRAIN, edited)])
    kept = sorted(name.partition(".")[0] for name in found.kept())
    assert kept == ["blank", "blank", "shown"]


def chain() -> tuple[Picture, Picture, Picture]:
    """Three pictures: the second is as near to both others as `phash` with distance 10 asks, and those are not."""
    start, end = (noise(seed, 240).astype(np.float64) for seed in (0, 1))
    blends = [cv2.addWeighted(start, 1 - share, end, share, 0).astype(np.uint8) for share in np.linspace(0, 1, 41)]
    hashes = [PerceptualHash().measure(blend, Image.fromarray(blend))["phash"] for blend in blends]
    for last in range(len(blends)):
        for middle in range(last):
            near = max(phash_distance(hashes[0], hashes[middle]), phash_distance(hashes[middle], hashes[last])) <= 10
            if near and phash_distance(hashes[0], hashes[last]) > 10:
                return blends[0], blends[middle], blends[last]
    raise AssertionError("no such blends")


def resized(picture: Picture, side: int) -> Picture:
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8)


def test_a_copy_of_two_kept_pictures_meets_samples_of_both(folder: Path) -> None:
    first, between, last = chain()
    found = Pictured(folder, "phash", 10)
    best, other, copy = found.picture("a", first), found.picture("b", last), found.picture("c", between)
    found.records("all", [("a", BRAIN, best), ("b", LECTURE, other), ("c brain", BRAIN, copy), ("c", LECTURE, copy)])
    said = found.said()
    (edges,) = (found.work.read(commit.parts["edges"]) for commit in found.ran["near_picture_verify"])
    assert edges["accepted"].to_pylist().count(False) == 1  # a and b; otherwise one would follow the other
    dropped = {name for name, row in said.items() if row["verdict"] == "drop"}
    by_text = [dropped & {"a", "c brain"}, dropped & {"b", "c"}]
    assert [len(names) for names in by_text] == [1, 1]


def test_two_copies_of_a_third_that_are_none_of_each_other_both_stay(folder: Path) -> None:
    first, between, last = chain()
    found = Pictured(folder, "phash", 10)
    best = found.picture("best", cv2.resize(between, (300, 300)).astype(np.uint8))
    found.records("all", [("best", BRAIN, best), *((name, LECTURE, found.picture(name, picture))
                          for name, picture in (("first", first), ("last", last)))])  # fmt: skip
    assert found.kept() == {"best", "first", "last"}
    assert rows(found, "near_image_asks", "asks") == [1]


SOME = [cv2.addWeighted(noise(0, 96), 1 - share, noise(1, 96), share, 0).astype(np.uint8) for share in SHARES]
HASHES = [PerceptualHash().measure(picture, Image.fromarray(picture))["phash"] for picture in SOME]


@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.sets(st.tuples(st.sampled_from(range(len(SOME))), st.sampled_from(sorted(WORDS))), max_size=20))
def test_whoever_stays_is_no_copy_of_another_that_stays_and_whoever_goes_is_one(samples: set[tuple[int, str]]) -> None:
    with TemporaryDirectory() as place:
        (root := Path(place) / "data").mkdir()
        found = Pictured(root, "phash", 10)
        files = [found.picture(str(number), picture) for number, picture in enumerate(SOME)]
        records = [(f"{number} {words}", WORDS[words], files[number]) for number, words in sorted(samples)]
        found.records("all", [*records, ("alone", "A text like no other of them, with a picture of its own", files[0])])
        kept = found.kept() - {"alone"}
    near = {
        sample: [
            other for other in kept - {sample}
            if other.split()[1] == sample.split()[1]
            and phash_distance(HASHES[int(other.split()[0])], HASHES[int(sample.split()[0])]) <= 10
        ]
        for sample, _, _ in records
    }  # fmt: skip
    assert {sample for sample, others in near.items() if not others} == kept


def test_a_sample_of_many_pictures_is_sent_under_few_of_their_choices() -> None:
    refs = [{"image_id": name} for name in "abcd"]
    salts = _salts(refs, {"a": "x"}, {name: ["y", "z"] for name in "abcd"})
    assert len(set(salts)) == len(salts) == MOST_SALTS
    one, further = _salts(refs[:1], {"a": "x"}, {"a": ["y"]})
    assert _salts([{"image_id": "x"}], {}, {}) == [one]
    assert _salts([{"image_id": "y"}], {}, {}) == [further]
