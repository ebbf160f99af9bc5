import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from shards.verify import Problem, verify_shards
from tests.shards.conftest import MIXED, OTHER, TEXTS, ShardFolder, key_of, picture_bytes

K1, K2, K3, K4 = (key_of(number) for number in (1, 2, 3, 4))
Members = list[tuple[str, bytes]]


def problems_of(folder: ShardFolder, **options: Any) -> list[tuple[str, str]]:
    return [(problem.shard, problem.reason) for problem in verify_shards(folder.root, 1, **options)]


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
    parallel = verify_shards(shard_folder.root, 2, lambda done, total: seen.append((done, total)))
    assert parallel == verify_shards(shard_folder.root, 1)
    assert {problem.shard for problem in parallel} == {TEXTS, OTHER}
    assert seen == [(1, 3), (2, 3), (3, 3)]


# --- bytes that are not those that were written


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
    shard_folder.change_manifest(lambda content: content.update(index="index.parquet", audit="contamination.json"))
    shard_folder.place("index.parquet").write_bytes(b"")
    assert problems_of(shard_folder) == [("contamination.json", "named by the manifest and missing")]


def test_a_shard_that_is_a_pipe_or_a_link_out_of_the_folder_is_not_read(shard_folder: ShardFolder) -> None:
    shard_folder.place(MIXED).unlink()
    os.mkfifo(shard_folder.place(MIXED))
    outside = shard_folder.root.parent / "outside.tar"
    shard_folder.place(TEXTS).rename(outside)
    shard_folder.place(TEXTS).symlink_to(outside)
    missing = "missing, or not a regular file in this folder"
    assert problems_of(shard_folder) == [(MIXED, missing), (TEXTS, missing)]


def test_without_a_manifest_there_is_one_problem(tmp_path: Path) -> None:
    (problem,) = verify_shards(tmp_path, 1)
    assert problem.shard == "manifest.json"
    assert "there is none" in problem.reason


def test_a_manifest_of_another_format_is_the_problem(shard_folder: ShardFolder) -> None:
    shard_folder.change_manifest(lambda content: content.update(format=9))
    (problem,) = verify_shards(shard_folder.root, 1)
    assert problem.shard == "manifest.json"
    assert "format 9 is newer than 1" in problem.reason


# --- bytes that agree with the manifest and hold what a shard may not hold


def replaced(name: str, data: bytes) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        position = [member for member, _ in members].index(name)
        members[position] = (name, data)

    return change


def renamed(old: str, new: str) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        members[:] = [(new if name == old else name, data) for name, data in members]

    return change


def swapped(first: int, second: int) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        members[first], members[second] = members[second], members[first]

    return change


def removed(name: str) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        members[:] = [member for member in members if member[0] != name]

    return change


def json_changed(key: str, change_content: Callable[[dict[str, Any]], None]) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        position = [name for name, _ in members].index(f"{key}.json")
        content = orjson.loads(members[position][1])
        change_content(content)
        members[position] = (f"{key}.json", orjson.dumps(content))

    return change


NOT_CALLED = "not called <sample id>.json, .jpg, .png or .<n>.<extension>"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            swapped(0, 1),
            [f"sample {K1}: its members are in the order png, json; expected json, png"],
            id="a_picture_before_its_json",
        ),
        pytest.param(
            swapped(3, 4),
            [f"sample {K2}: its members are in the order json, 1.png, 0.jpg; expected json, 0.jpg, 1.png"],
            id="pictures_out_of_order",
        ),
        pytest.param(
            removed(f"{K2}.0.jpg"),
            [f"sample {K2}: 0.jpg: listed in json and not in the shard"],
            id="a_picture_removed",
        ),
        pytest.param(
            lambda members: members.insert(2, (f"{K1}.jpg", picture_bytes("jpg", 5))),
            [f"sample {K1}: jpg: in the shard and not listed in json, or there twice"],
            id="a_picture_too_many",
        ),
        pytest.param(
            lambda members: members.insert(2, members[1]),
            [f"sample {K1}: png: in the shard and not listed in json, or there twice"],
            id="a_picture_twice",
        ),
        pytest.param(
            replaced(f"{K1}.png", b"no picture"),
            [f"sample {K1}: png: does not decode as PNG (UnidentifiedImageError)"],
            id="a_picture_replaced_by_something_else",
        ),
        pytest.param(
            replaced(f"{K1}.png", picture_bytes("png", 1, (20, 20))),
            [f"sample {K1}: png: 20 x 20 pixels, json says 12 x 9"],
            id="a_picture_replaced_by_another",
        ),
        pytest.param(
            replaced(f"{K1}.png", picture_bytes("jpg", 1)),
            [f"sample {K1}: png: does not decode as PNG (UnidentifiedImageError)"],
            id="a_jpeg_called_png",
        ),
        pytest.param(
            lambda members: members.append(members.pop(1)),
            [
                f"sample {K1}: png: listed in json and not in the shard",
                f"sample {K1}: again at byte N; its members must lie side by side, once",
                f"sample {K1}: has no json",
                "samples is 5, the manifest says 4",
                f"last_key is {K1}, the manifest says {K4}",
            ],
            id="members_of_a_sample_apart",
        ),
        pytest.param(
            lambda members: members.extend(members[5:6]),
            [
                f"sample {K3}: again at byte N; its members must lie side by side, once",
                "samples is 5, the manifest says 4",
                "tokens is 48, the manifest says 38",
                f"last_key is {K3}, the manifest says {K4}",
            ],
            id="a_key_twice",
        ),
        pytest.param(
            renamed(f"{K1}.png", f"{K1[:8]}.{K1[8:]}.png"),
            [
                f"member '{K1[:8]}.{K1[8:]}.png' at byte N: {NOT_CALLED}",
                f"sample {K1}: png: listed in json and not in the shard",
            ],
            id="a_dot_in_a_key",
        ),
        pytest.param(
            removed(f"{K3}.json"),
            [
                "samples is 3, the manifest says 4",
                "tokens is 28, the manifest says 38",
            ],
            id="a_sample_removed",
        ),
        pytest.param(
            replaced(f"{K3}.json", b'{"sample_id": '),
            [f"sample {K3}: json: Invalid JSON: EOF while parsing a value at line 1 column 14"],
            id="json_that_ends_early",
        ),
        pytest.param(
            json_changed(K3, lambda content: content.pop("license")),
            [f"sample {K3}: json.license: Field required"],
            id="json_without_a_licence",
        ),
        pytest.param(
            json_changed(K3, lambda content: content.update(colour=1)),
            [f"sample {K3}: json.colour: Extra inputs are not permitted"],
            id="json_with_a_key_of_its_own",
        ),
        pytest.param(
            json_changed(K3, lambda content: content.update(tokens="12")),
            [f"sample {K3}: json.tokens: Input should be a valid integer"],
            id="json_with_tokens_as_text",
        ),
        pytest.param(
            json_changed(K3, lambda content: content.update(sample_id=K1)),
            [f"sample {K3}: json.sample_id is another than the key"],
            id="json_of_another_sample",
        ),
        pytest.param(
            json_changed(K3, lambda content: content.update(source="slake")),
            [f"sample {K3}: of another source than the samples before it"],
            id="a_sample_of_another_source",
        ),
        pytest.param(
            json_changed(K3, lambda content: content.update(tokens=11)),
            ["tokens is 39, the manifest says 38"],
            id="tokens_that_do_not_add_up",
        ),
        pytest.param(
            json_changed(K3, lambda content: content["turns"][0].update(text="<image> What is shown?")),
            [f"sample {K3}: 1 <image> in its turns for 0 images"],
            id="a_placeholder_without_a_picture",
        ),
        pytest.param(
            json_changed(K2, lambda content: content["turns"][0].update(text="<image> What is shown?")),
            [f"sample {K2}: 1 <image> in its turns for 2 images"],
            id="a_picture_without_a_placeholder",
        ),
        pytest.param(
            json_changed(K1, lambda content: content["images"][0].update(member="0.png")),
            [
                f"sample {K1}: 0.png: listed in json and not in the shard",
                f"sample {K1}: png: in the shard and not listed in json, or there twice",
                f"sample {K1}: json.images.0.member: expected jpg or png",
            ],
            id="a_single_picture_listed_with_a_number",
        ),
    ],
)
def test_what_a_shard_may_not_hold_is_named(
    shard_folder: ShardFolder, change: Callable[[Members], None], expected: list[str]
) -> None:
    shard_folder.change_members(MIXED, change)
    found = [re.sub(r"at byte \d+", "at byte N", reason) for reason in mixed_problems_of(shard_folder)]
    assert sorted(found) == sorted(expected)


def test_the_place_of_a_member_with_a_wrong_name_is_that_of_its_data(shard_folder: ShardFolder) -> None:
    shard_folder.change_members(MIXED, lambda members: members.append(("scan.png", b"look for these bytes")))
    at = shard_folder.place(MIXED).read_bytes().index(b"look for these bytes")
    assert mixed_problems_of(shard_folder) == [f"member 'scan.png' at byte {at}: {NOT_CALLED}"]


def test_a_sample_in_two_shards_is_found_with_both(shard_folder: ShardFolder) -> None:
    def take_over(members: Members) -> None:
        members[2:] = [(name, data) for name, data in _members(shard_folder, MIXED) if name.startswith((K2, K4))]

    shard_folder.change_members(OTHER, take_over)
    keys = sorted((K2, K4))
    assert (OTHER, f"sample {keys[0]} and 1 more are also in {MIXED}") in problems_of(shard_folder)


def _members(folder: ShardFolder, name: str) -> Members:
    content: list[Members] = []
    folder.change_members(name, lambda members: content.append(list(members)))
    return content[0]


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
    (problem,) = verify_shards(shard_folder.root, 1)
    assert problem == Problem(
        TEXTS,
        "the header at byte 0: not a plain file with fixed mode, owner and time: another program wrote it; "
        "what follows was not checked",
    )


def test_faults_without_end_are_listed_to_a_limit(shard_folder: ShardFolder) -> None:
    def change(members: Members) -> None:
        members.extend((f"{number}.png", b"") for number in range(3000))

    shard_folder.change_members(TEXTS, change)
    problems = problems_of(shard_folder)
    assert len(problems) == 1001
    assert problems[-1] == (TEXTS, "more than 1000 faults: the others are not listed")
