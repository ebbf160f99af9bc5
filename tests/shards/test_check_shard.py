import dataclasses
import re
import tracemalloc
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from shards.check_sample import PictureRules
from shards.check_shard import MAX_FAULTS, ShardJob, ShardReport, check_shard
from shards.manifest import ShardEntry, read_manifest
from shards.samples import ShardSample, json_bytes
from shards.writer import write_shard
from sources.storage import LocalFolder
from tests.shards.conftest import MIXED, TEXTS, ShardFolder, key_of, picture_bytes, sample_of

K1, K2, K3, K4 = (key_of(number) for number in (1, 2, 3, 4))
Members = list[tuple[str, bytes]]


def check(folder: ShardFolder, name: str) -> ShardReport:
    (entry,) = (entry for entry in read_manifest(LocalFolder(folder.root)).shards if entry.name == name)
    return check_shard(ShardJob(LocalFolder(folder.root), entry, PictureRules(decode=True, max_pixels=10**6)))


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
            replaced(f"{K3}.json", b'{"turns": ' + b"[" * 100_000),
            [f"sample {K3}: json: Invalid JSON: recursion limit exceeded at line 1 column 211"],
            id="json_nested_without_end",
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
    found = [re.sub(r"at byte \d+", "at byte N", fault) for fault in check(shard_folder, MIXED).faults]
    assert sorted(found) == sorted(expected)


def test_the_place_of_a_member_with_a_wrong_name_is_that_of_its_data(shard_folder: ShardFolder) -> None:
    shard_folder.change_members(MIXED, lambda members: members.append(("scan.png", b"look for these bytes")))
    at = shard_folder.place(MIXED).read_bytes().index(b"look for these bytes")
    assert list(check(shard_folder, MIXED).faults) == [f"member 'scan.png' at byte {at}: {NOT_CALLED}"]


def test_faults_without_end_are_listed_to_a_limit(shard_folder: ShardFolder) -> None:
    def change(members: Members) -> None:
        members.extend((f"{number}.png", b"") for number in range(3000))

    shard_folder.change_members(TEXTS, change)
    faults = check(shard_folder, TEXTS).faults
    assert len(faults) == MAX_FAULTS + 1
    assert faults[-1] == "more than 1000 faults: the others are not listed"


def test_a_report_holds_the_digest_and_the_keys_of_the_shard(shard_folder: ShardFolder) -> None:
    report = check(shard_folder, MIXED)
    assert report == ShardReport(
        (),
        shard_folder.manifest()["shards"][0]["sha256"],
        b"".join(bytes.fromhex(key) for key in sorted((K1, K2, K3, K4))),
        places=report.places,
    )
    assert len(report.places) == 32


def test_memory_is_that_of_a_member_however_large_the_shard(shard_folder: ShardFolder) -> None:
    sample = sample_of(10)

    def change(members: Members) -> None:
        content = orjson.dumps(sample.json)
        members[:] = [
            member
            for number in range(30)
            for member in ((f"{key_of(number)}.json", content), (f"{key_of(number)}.png", bytes(4 * 2**20)))
        ]

    shard_folder.change_members(TEXTS, change)
    tracemalloc.start()
    faults = check(shard_folder, TEXTS).faults
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert f"sample {key_of(29)}: png: does not decode as PNG (UnidentifiedImageError)" in faults
    assert peak < 12 * 2**20


def test_a_picture_too_large_to_be_loaded_is_decoded_from_the_file(shard_folder: ShardFolder) -> None:
    sample = sample_of(1, "png")
    picture = sample.members[0][1] + bytes(16 * 2**20)  # which no decoder reads
    samples = [ShardSample(sample.key, sample.json, (("png", picture),)), sample_of(2, "jpg")]
    with shard_folder.place(MIXED).open("wb") as file:
        entry = ShardEntry(name=MIXED, **dataclasses.asdict(write_shard(file, samples)))
    rules = PictureRules(decode=True, max_pixels=10**6)
    job = ShardJob(LocalFolder(shard_folder.root), entry, rules, max_loaded_bytes=2**10)
    tracemalloc.start()
    report = check_shard(job)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (report.faults, report.sha256, len(report.keys)) == ((), entry.sha256, 32)
    assert peak < 4 * 2**20
    bomb = dataclasses.replace(job, rules=PictureRules(decode=True, max_pixels=107))
    assert f"sample {K1}: png: 12 x 9 pixels, more than 107: not decoded" in check_shard(bomb).faults
    data = bytearray(shard_folder.place(MIXED).read_bytes())
    data[data.index(b"IDAT") + 8] ^= 1
    shard_folder.place(MIXED).write_bytes(data)
    digest, fault = check_shard(job).faults
    assert digest.startswith("sha256 is ")
    assert fault.startswith(f"sample {K1}: png: does not decode as PNG")


def test_a_json_too_large_to_be_loaded_is_a_fault(shard_folder: ShardFolder) -> None:
    (entry,) = (entry for entry in read_manifest(LocalFolder(shard_folder.root)).shards if entry.name == MIXED)
    job = ShardJob(LocalFolder(shard_folder.root), entry, PictureRules(True, 10**6), max_loaded_bytes=100)
    size = len(json_bytes(sample_of(1, "png").json))
    assert f"sample {K1}: json: {size} bytes; the largest record makes far less" in check_shard(job).faults


def test_a_shard_that_is_not_there_is_the_only_fault(shard_folder: ShardFolder) -> None:
    name = shard_folder.place(MIXED)
    name.rename(shard_folder.root / "elsewhere")
    assert check(shard_folder, MIXED) == ShardReport(("missing, or not a regular file in this folder",))
