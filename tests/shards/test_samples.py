from typing import Any

import orjson
import pytest

from shards.samples import SampleError, SampleJson, json_bytes, sample_json, shard_sample
from tests.shards.conftest import facts_of, key_of, row_of

KEYS = [
    "sample_id", "source", "source_key", "task", "license", "access", "language", "turns", "question", "options",
    "answer", "groups", "images", "tokens", "parent_id",
]  # fmt: skip


def test_the_json_has_the_keys_of_the_contract_in_their_order() -> None:
    content = sample_json(row_of(1, images=1), 12, facts_of(1, ["png"]))
    assert list(content) == KEYS == list(SampleJson.model_fields)
    assert list(content["images"][0]) == ["member", "image_id", "width", "height", "modality"]
    SampleJson.model_validate_json(json_bytes(content))


def test_values_are_those_of_the_row() -> None:
    row = row_of(3) | {"options": ["yes", "no"], "parent_id": key_of(1)}
    content = sample_json(row, 40, [])
    assert {name: content[name] for name in KEYS if name not in ("images", "tokens")} == {
        name: row[name] for name in KEYS if name not in ("images", "tokens")
    }
    assert (content["images"], content["tokens"]) == ([], 40)


def test_a_picture_is_listed_under_the_suffix_readers_see() -> None:
    one = sample_json(row_of(1, images=1), 1, facts_of(1, ["jpg"]))
    two = sample_json(row_of(1, images=2), 1, facts_of(1, ["jpg", "png"]))
    assert [image["member"] for image in one["images"]] == ["jpg"]
    assert [image["member"] for image in two["images"]] == ["0.jpg", "1.png"]
    assert shard_sample(two, [b"a", b"b"]).members == (("0.jpg", b"a"), ("1.png", b"b"))


def test_missing_lists_of_the_row_are_empty_lists() -> None:
    content = sample_json(row_of(1) | {"images": None, "groups": None}, 1, [])
    assert (content["images"], content["groups"], content["options"]) == ([], [], None)


def test_text_stays_utf8_and_the_bytes_depend_on_the_content_alone() -> None:
    row = row_of(1, text="Läsion ≥ 3 mm\u2028")
    reordered = dict(reversed(row.items()))
    first, second = (json_bytes(sample_json(content, 5, [])) for content in (row, reordered))
    assert first == second
    assert "Läsion ≥ 3 mm\u2028".encode() in first
    assert orjson.loads(first)["answer"] == row["answer"]


@pytest.mark.parametrize(
    ("change", "images", "extensions", "says"),
    [
        ({}, 2, ["png"], "its 2 images are not the pictures given"),
        ({}, 1, ["png", "png"], "its 1 images are not the pictures given"),
        ({"turns": [{"role": "user", "text": "No picture."}]}, 1, ["png"], "0 <image> in its turns for 1 images"),
        (
            {"turns": [{"role": "user", "text": "<image><image>"}]},
            1,
            ["png"],
            "2 <image> in its turns for 1 images",
        ),
        ({}, 1, ["dcm"], "a .dcm picture; render it as .jpg or .png"),
        ({}, 1, ["json"], "a .json picture"),
    ],
)
def test_parts_that_contradict_one_another_are_refused(
    change: dict[str, Any], images: int, extensions: list[str], says: str
) -> None:
    with pytest.raises(SampleError, match=says) as caught:
        sample_json(row_of(9, images) | change, 1, facts_of(9, extensions))
    assert key_of(9) in str(caught.value)


def test_the_bytes_of_every_listed_picture_are_needed() -> None:
    content = sample_json(row_of(1, images=2), 1, facts_of(1, ["png", "png"]))
    with pytest.raises(SampleError, match="2 images are listed, the bytes of 1 were given"):
        shard_sample(content, [b"a"])
