import os
from pathlib import Path
from typing import Any

import pytest

from shards.verify import Problem, verify_shards
from sources.storage import LocalFolder
from tests.shards.conftest import MIXED, OTHER, TEXTS, ShardFolder, key_of, members_of

K1, K2, K4 = (key_of(number) for number in (1, 2, 4))


def problems_of(folder: ShardFolder, **options: Any) -> list[tuple[str, str]]:
    return [(problem.shard, problem.reason) for problem in verify_shards(LocalFolder(folder.root), 1, **options)]


def mixed_problems_of(folder: ShardFolder) -> list[str]:
    """Problems of the mixed shard, and a check that the others have none."""
    problems = problems_of(folder)
    assert {shard for shard, _ in problems} <= {MIXED}
    return [reason for _, reason in problems]


def flip_bit(place: Path, at: int, bit: int = 0) -> None:
    data = bytearray(place.read_bytes())
    data[at] ^= 1 << bit
    place.write_bytes(data)


def test_shards_as_written_have_no_problem(shard_folder: ShardFolder) -> None:
    assert problems_of(shard_folder) == []
    assert problems_of(shard_folder, decode=False) == []


def test_processes_find_what_one_process_finds(shard_folder: ShardFolder) -> None:
    flip_bit(shard_folder.place(OTHER), 700)
    shard_folder.place(TEXTS).unlink()
    seen: list[tuple[int, int]] = []
    parallel = verify_shards(LocalFolder(shard_folder.root), 2, lambda done, total: seen.append((done, total)))
    assert parallel == verify_shards(LocalFolder(shard_folder.root), 1)
    assert {problem.shard for problem in parallel} == {TEXTS, OTHER}
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_flipped_bit_in_a_picture_is_found(shard_folder: ShardFolder) -> None:
    data = shard_folder.place(MIXED).read_bytes()
    flip_bit(shard_folder.place(MIXED), data.index(b"IDAT") + 20)
    first, second = mixed_problems_of(shard_folder)
    assert first.startswith("sha256 is ")
    assert first.endswith(f", the manifest says {shard_folder.manifest()['shards'][0]['sha256']}")
    assert second.startswith(f"sample {K1}: png: does not decode as PNG (")


def test_any_flipped_bit_is_found(shard_folder: ShardFolder) -> None:
    place = shard_folder.place(OTHER)
    clean = place.read_bytes()
    for at in range(0, len(clean), 97):
        flip_bit(place, at, at % 8)
        problems = problems_of(shard_folder)
        assert problems
        assert {shard for shard, _ in problems} == {OTHER}
        place.write_bytes(clean)


def test_a_flipped_bit_in_a_header_ends_the_shard_and_not_the_check(shard_folder: ShardFolder) -> None:
    flip_bit(shard_folder.place(MIXED), 124)
    flip_bit(shard_folder.place(OTHER), 512 + 40)
    problems = problems_of(shard_folder)
    assert [shard for shard, _ in problems].count(OTHER) >= 1
    reasons = [reason for shard, reason in problems if shard == MIXED]
    (reason,) = reasons[1:]
    assert reason.startswith("the header at byte 0: its checksum is wrong")
    assert reason.endswith("; what follows was not checked")


@pytest.mark.parametrize(
    ("keep", "says"),
    [
        (0, "ends at byte 0 without an end of archive: truncated; what follows was not checked"),
        (300, "a header needs 512 bytes, the file has 300 more: truncated; what follows was not checked"),
        (900, f"member '{K1}.json' needs "),
        (-512, "inside its end of archive: truncated"),
    ],
)
def test_a_truncated_shard_is_found(shard_folder: ShardFolder, keep: int, says: str) -> None:
    data = shard_folder.place(MIXED).read_bytes()
    shard_folder.place(MIXED).write_bytes(data[:keep])
    reasons = mixed_problems_of(shard_folder)
    assert reasons[0] == f"{len(data[:keep])} bytes, the manifest says {len(data)}"
    assert reasons[1].startswith("sha256 is ")
    assert len(reasons) == 3
    assert says in reasons[2]


def test_bytes_behind_the_end_are_found(shard_folder: ShardFolder) -> None:
    data = shard_folder.place(MIXED).read_bytes()
    shard_folder.place(MIXED).write_bytes(data + b"garbage")
    assert mixed_problems_of(shard_folder)[2:] == [f"7 bytes follow the end of archive at byte {len(data)}"]


def test_swapped_shards_are_named(shard_folder: ShardFolder) -> None:
    first, second = (shard_folder.place(name).read_bytes() for name in (MIXED, TEXTS))
    shard_folder.place(MIXED).write_bytes(second)
    shard_folder.place(TEXTS).write_bytes(first)
    problems = problems_of(shard_folder)
    assert (MIXED, f"holds the bytes of {TEXTS}") in problems
    assert (TEXTS, f"holds the bytes of {MIXED}") in problems
    assert (MIXED, f"first_key is {key_of(10)}, the manifest says {K1}") in problems


def test_a_renamed_shard_is_missing_and_not_listed(shard_folder: ShardFolder) -> None:
    shard_folder.place(MIXED).rename(shard_folder.place("mid-demo-000007.tar"))
    assert problems_of(shard_folder) == [
        (MIXED, "missing, or not a regular file in this folder"),
        ("mid-demo-000007.tar", "not listed in the manifest: readers ignore it; move it away"),
    ]


def test_a_missing_shard_does_not_hide_the_faults_of_others(shard_folder: ShardFolder) -> None:
    shard_folder.place(MIXED).unlink()
    flip_bit(shard_folder.place(OTHER), 600)
    assert [shard for shard, _ in problems_of(shard_folder)][:2] == [MIXED, OTHER]


def test_files_that_nothing_names_are_found_and_known_companions_are_not(shard_folder: ShardFolder) -> None:
    for name in ("README.md", "croissant.json", ".gitattributes", "notes.txt"):
        shard_folder.place(name).write_text("")
    shard_folder.place("old").mkdir()
    assert [shard for shard, _ in problems_of(shard_folder)] == ["notes.txt", "old"]


def test_a_companion_of_the_manifest_has_to_be_there(shard_folder: ShardFolder) -> None:
    shard_folder.change_manifest(lambda content: content.update(index="index.arrow", audit="contamination.json"))
    shard_folder.place("contamination.json").write_bytes(b"")
    assert problems_of(shard_folder) == [("index.arrow", "named by the manifest and missing")]


def test_a_shard_that_is_a_pipe_or_a_link_out_of_the_folder_is_not_read(shard_folder: ShardFolder) -> None:
    shard_folder.place(MIXED).unlink()
    os.mkfifo(shard_folder.place(MIXED))
    outside = shard_folder.root.parent / "outside.tar"
    shard_folder.place(TEXTS).rename(outside)
    shard_folder.place(TEXTS).symlink_to(outside)
    missing = "missing, or not a regular file in this folder"
    assert problems_of(shard_folder) == [(MIXED, missing), (TEXTS, missing)]


def test_without_a_manifest_there_is_one_problem(tmp_path: Path) -> None:
    (problem,) = verify_shards(LocalFolder(tmp_path), 1)
    assert problem.shard == "manifest.json"
    assert "there is none" in problem.reason


def test_a_manifest_of_another_format_is_the_problem(shard_folder: ShardFolder) -> None:
    shard_folder.change_manifest(lambda content: content.update(format=9))
    (problem,) = verify_shards(LocalFolder(shard_folder.root), 1)
    assert problem.shard == "manifest.json"
    assert "format 9 is newer than 1" in problem.reason


def test_a_sample_in_two_shards_is_found_with_both(shard_folder: ShardFolder) -> None:
    def take_over(members: list[tuple[str, bytes]]) -> None:
        others = members_of(shard_folder.place(MIXED))
        members[2:] = [(name, data) for name, data in others if name.startswith((K2, K4))]

    shard_folder.change_members(OTHER, take_over)
    keys = sorted((K2, K4))
    assert (OTHER, f"sample {keys[0]} and 1 more are also in {MIXED}") in problems_of(shard_folder)


def test_totals_of_the_manifest_are_checked_one_by_one(shard_folder: ShardFolder) -> None:
    def change(content: dict[str, Any]) -> None:
        content["shards"][1] |= {"samples": 31, "tokens": 1, "first_key": K1, "last_key": K2}

    shard_folder.change_manifest(change)
    tokens = sum(7 + number for number in range(10, 40))
    assert problems_of(shard_folder) == [
        (TEXTS, "samples is 30, the manifest says 31"),
        (TEXTS, f"tokens is {tokens}, the manifest says 1"),
        (TEXTS, f"first_key is {key_of(10)}, the manifest says {K1}"),
        (TEXTS, f"last_key is {key_of(39)}, the manifest says {K2}"),
    ]


def test_a_picture_above_the_limit_of_pixels_is_a_problem(shard_folder: ShardFolder) -> None:
    problems = problems_of(shard_folder, max_pixels=107)
    assert (MIXED, f"sample {K1}: png: 12 x 9 pixels, more than 107: not decoded") in problems
    assert problems_of(shard_folder, max_pixels=108) == []


def test_a_shard_of_another_tar_program_is_refused(shard_folder: ShardFolder) -> None:
    data = bytearray(shard_folder.place(TEXTS).read_bytes())
    data[265:270] = b"alice"
    data[148:156] = b"%06o\0 " % (sum(data[:148]) + 8 * 32 + sum(data[156:512]))
    shard_folder.place(TEXTS).write_bytes(data)
    shard_folder.sign(TEXTS, bytes(data))
    (problem,) = verify_shards(LocalFolder(shard_folder.root), 1)
    assert problem == Problem(
        TEXTS,
        "the header at byte 0: not a plain file with fixed mode, owner and time: another program wrote it; "
        "what follows was not checked",
    )
