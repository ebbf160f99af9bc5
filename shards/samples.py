"""One sample as a shard holds it: `{key}.json` and its pictures (docs/run_directory.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from shards.names import PICTURE_FORMATS, picture_suffix
from sources.schema import ACCESS, IMAGE_PLACEHOLDER, MODALITIES, TASKS

FIXED_JSON_BYTES = 512
"""Names of the keys, ids, token count and punctuation of a sample's JSON, generously."""
TURN_JSON_BYTES = 32
IMAGE_JSON_BYTES = 192
ESCAPED = r"[\x00-\x1f\"\\\x7f]"


class SampleError(ValueError):
    """A sample cannot be written as it is: its parts contradict one another. The message names the sample."""


@dataclass(frozen=True)
class PictureFacts:
    """What a shard says of one picture; `extension` is that of the bytes that will be written."""

    image_id: str
    width: int
    height: int
    modality: str
    extension: str


@dataclass(frozen=True)
class ShardSample:
    """A sample ready to be written: the content of `{key}.json`, and suffix and bytes of every other member."""

    key: str
    json: dict[str, Any]
    members: tuple[tuple[str, bytes], ...]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _one_of(allowed: tuple[str, ...]) -> AfterValidator:
    def check(value: str) -> str:
        if value not in allowed:
            raise ValueError(f"not one of {', '.join(allowed)}")
        return value

    return AfterValidator(check)


class Turn(_Strict):
    """One turn of a conversation."""

    role: str
    text: str


class Group(_Strict):
    """An identity that samples share beyond content."""

    kind: str
    id: str


class ImageEntry(_Strict):
    """One picture of a sample. `member` is what follows `{key}.` in its name, as readers of shards spell it."""

    member: str
    image_id: str
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    modality: Annotated[str, _one_of(MODALITIES)]


class SampleJson(_Strict):
    """The contract of `{key}.json`: exactly these keys, in this order, every one present."""

    sample_id: str
    source: str
    source_key: str
    task: Annotated[str, _one_of(TASKS)]
    license: str
    access: Annotated[str, _one_of(ACCESS)]
    language: str | None
    turns: Annotated[list[Turn], Field(min_length=1)]
    question: str | None
    options: list[str] | None
    answer: str | None
    groups: list[Group]
    images: list[ImageEntry]
    tokens: Annotated[int, Field(ge=0)]
    parent_id: str | None


def sample_json(row: Mapping[str, Any], tokens: int, pictures: Sequence[PictureFacts]) -> dict[str, Any]:
    """Return the content of `{key}.json` for a row of the samples table, keys in the order of `SampleJson`.

    `pictures` belong to the row's `images`, in order.

    Raises:
        SampleError: pictures, images of the row and `<image>` placeholders differ in number, or a picture is of a
            type that trainers do not read.
    """
    _check_pictures(row, pictures)
    return {
        "sample_id": row["sample_id"],
        "source": row["source"],
        "source_key": row["source_key"],
        "task": row["task"],
        "license": row["license"],
        "access": row["access"],
        "language": row["language"],
        "turns": [{"role": turn["role"], "text": turn["text"]} for turn in row["turns"]],
        "question": row["question"],
        "options": row["options"],
        "answer": row["answer"],
        "groups": [{"kind": group["kind"], "id": group["id"]} for group in row["groups"] or ()],
        "images": [
            {
                "member": picture_suffix(position, len(pictures), picture.extension),
                "image_id": picture.image_id,
                "width": picture.width,
                "height": picture.height,
                "modality": picture.modality,
            }
            for position, picture in enumerate(pictures)
        ],
        "tokens": tokens,
        "parent_id": row["parent_id"],
    }


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """Return UTF-8 JSON without white space, keys in the order given: one content, one sequence of bytes."""
    return orjson.dumps(content)


def json_bounds(samples: pa.Table) -> list[int]:
    """Bytes that `{key}.json` of each row takes at most, told from the columns without making any JSON.

    Names of keys and the like are counted generously, and a character that JSON escapes as six.
    """
    total = np.full(samples.num_rows, FIXED_JSON_BYTES, np.int64)
    for name in ("source", "source_key", "license", "language", "question", "answer"):
        total += _escaped_bytes(samples[name].combine_chunks())
    for name, fields, fixed in (
        ("turns", ("role", "text"), TURN_JSON_BYTES),
        ("options", (), TURN_JSON_BYTES),
        ("groups", ("kind", "id"), TURN_JSON_BYTES),
        ("images", (), IMAGE_JSON_BYTES),
    ):
        column = samples[name].combine_chunks()
        items = pc.list_flatten(column)
        texts = [items.field(field) for field in fields] or ([items] if name == "options" else [])
        sizes = sum((_escaped_bytes(text) for text in texts), start=np.full(len(items), fixed, np.int64))
        ends = np.cumsum(pc.fill_null(pc.list_value_length(column), 0).to_numpy())
        total += np.diff(np.concatenate([[0], np.cumsum(sizes)])[ends], prepend=0)
    bounds: list[int] = total.tolist()
    return bounds


def _escaped_bytes(texts: pa.Array) -> NDArray[np.int64]:
    size = pc.add(pc.binary_length(texts), pc.multiply(pc.count_substring_regex(texts, ESCAPED), 5))
    counted: NDArray[np.int64] = pc.fill_null(size, 0).to_numpy().astype(np.int64)
    return counted


def shard_sample(content: dict[str, Any], data: Sequence[bytes]) -> ShardSample:
    """Return the sample of a `{key}.json` content and the bytes of its pictures, in order.

    Raises:
        SampleError: there are more or fewer pictures than the content lists.
    """
    key, images = content["sample_id"], content["images"]
    if len(data) != len(images):
        raise SampleError(f"sample {key}: {len(images)} images are listed, the bytes of {len(data)} were given")
    members = tuple((image["member"], picture) for image, picture in zip(images, data, strict=True))
    return ShardSample(key, content, members)


def count_placeholders(texts: Sequence[str]) -> int:
    """Return how many pictures these turns speak of."""
    return sum(text.count(IMAGE_PLACEHOLDER) for text in texts)


def _check_pictures(row: Mapping[str, Any], pictures: Sequence[PictureFacts]) -> None:
    listed = [image["image_id"] for image in row["images"] or ()]
    if listed != [picture.image_id for picture in pictures]:
        raise SampleError(f"sample {row['sample_id']}: its {len(listed)} images are not the pictures given")
    placeholders = count_placeholders([turn["text"] for turn in row["turns"]])
    if placeholders != len(listed):
        raise SampleError(
            f"sample {row['sample_id']}: {placeholders} {IMAGE_PLACEHOLDER} in its turns for {len(listed)} images"
        )
    for picture in pictures:
        if picture.extension not in PICTURE_FORMATS:
            known = " or .".join(PICTURE_FORMATS)
            raise SampleError(f"sample {row['sample_id']}: a .{picture.extension} picture; render it as .{known}")
