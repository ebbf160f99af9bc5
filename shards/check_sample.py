"""Checks one sample of a shard: its JSON, its pictures, and that they speak of one another."""

import io
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from PIL import Image
from pydantic import ValidationError

from shards.names import JSON_SUFFIX, PICTURE_FORMATS, picture_suffix
from shards.samples import SampleJson, count_placeholders
from shards.tar_reader import Member, MemberFile
from sources.schema import IMAGE_PLACEHOLDER

MAX_LOADED_BYTES = 256 * 2**20
"""Larger members are not loaded. No JSON is: a record has at most 64 MiB, of which a character may be written as six
and a text twice. A larger picture is decoded from the file as far as its pixels go."""
MAX_PIXEL_BYTES, MAX_TAGS_BYTES = 8, 256 * 2**20  # RGBA of 16 bits, not compressed
MAX_MEMBERS = 10_000  # of one sample; what a hostile archive has beyond is not remembered
_MAX_JSON_FAULTS = 5
WINDOW_BYTES = 2**18


class PictureError(Exception):
    """A picture does not decode, or is not what its name says."""


@dataclass(frozen=True)
class PictureRules:
    """What is looked at in a picture: with `decode` every pixel, else its header. Above `max_pixels` none."""

    decode: bool
    max_pixels: int


@dataclass
class SampleCheck:
    """What is known of one sample while its members pass; holds none of their bytes."""

    key: str
    rules: PictureRules
    suffixes: list[str] = field(default_factory=list)
    content: SampleJson | None = None
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    crowded: bool = False

    def add(self, suffix: str, member: Member, file: BinaryIO) -> None:
        """Take the next member of the sample; `file` is the archive, of which a picture that is not loaded is read.

        Raises:
            OSError: the archive cannot be read now, which says nothing of the picture.
        """
        if len(self.suffixes) == MAX_MEMBERS:
            self.crowded = True
            return
        self.suffixes.append(suffix)
        if suffix == JSON_SUFFIX and member.data is None:
            self.faults.append(f"{suffix}: {member.size} bytes; the largest record makes far less")
        elif suffix == JSON_SUFFIX:
            self._read_json(member.data or b"")
        else:
            try:
                self.sizes[suffix] = _size_of(member, file, suffix.rpartition(".")[2], self.rules)
            except PictureError as error:
                self.faults.append(f"{suffix}: {error}")

    def finish(self) -> list[str]:
        """Return all that is wrong with the sample, after its last member."""
        if self.crowded:
            self.faults.append(f"more than {MAX_MEMBERS} members; the others were not checked")
        if JSON_SUFFIX not in self.suffixes:
            self.faults.append("has no json")
        if self.content is not None:
            self.faults += _faults_of_members(self.suffixes, self.content)
            self.faults += _faults_of_content(self.key, self.content)
            self.faults += _faults_of_sizes(self.sizes, self.content)
        return [f"sample {self.key}: {fault}" for fault in self.faults]

    def _read_json(self, data: bytes) -> None:
        try:
            self.content = SampleJson.model_validate_json(data)
        except ValidationError as error:
            for fault in error.errors(include_input=False, include_url=False)[:_MAX_JSON_FAULTS]:
                where = ".".join(["json", *(str(part) for part in fault["loc"])])
                self.faults.append(f"{where}: {fault['msg']}")


def _faults_of_members(suffixes: list[str], content: SampleJson) -> Iterator[str]:
    expected = [JSON_SUFFIX, *(image.member for image in content.images)]
    if suffixes == expected:
        return
    found, listed = Counter(suffixes), Counter(expected)
    for suffix in (listed - found).elements():
        yield f"{suffix}: listed in json and not in the shard"
    for suffix in (found - listed).elements():
        yield f"{suffix}: in the shard and not listed in json, or there twice"
    if found == listed:
        yield f"its members are in the order {', '.join(suffixes)}; expected {', '.join(expected)}"


def _faults_of_content(key: str, content: SampleJson) -> Iterator[str]:
    if content.sample_id != key:
        yield "json.sample_id is another than the key"
    placeholders = count_placeholders([turn.text for turn in content.turns])
    if placeholders != len(content.images):
        yield f"{placeholders} {IMAGE_PLACEHOLDER} in its turns for {len(content.images)} images"
    for position, image in enumerate(content.images):
        extension = image.member.rpartition(".")[2]
        expected = picture_suffix(position, len(content.images), extension)
        if extension not in PICTURE_FORMATS or image.member != expected:
            kinds = " or ".join(picture_suffix(position, len(content.images), name) for name in PICTURE_FORMATS)
            yield f"json.images.{position}.member: expected {kinds}"


def _faults_of_sizes(sizes: dict[str, tuple[int, int]], content: SampleJson) -> Iterator[str]:
    for image in content.images:
        size = sizes.get(image.member)
        # A picture that EXIF turns may be listed by its sides before or after the turn.
        if size is not None and sorted(size) != sorted((image.width, image.height)):
            yield f"{image.member}: {size[0]} x {size[1]} pixels, json says {image.width} x {image.height}"


def _size_of(member: Member, file: BinaryIO, extension: str, rules: PictureRules) -> tuple[int, int]:
    if member.data is not None:
        return picture_size(io.BytesIO(member.data), extension, rules)
    part = MemberFile(file, member, rules.max_pixels * MAX_PIXEL_BYTES + MAX_TAGS_BYTES)
    try:
        return picture_size(io.BufferedReader(part, WINDOW_BYTES), extension, rules)
    except PictureError:
        if part.failure is not None:
            raise part.failure from None
        raise


def picture_size(picture: BinaryIO, extension: str, rules: PictureRules) -> tuple[int, int]:
    """Return width and height of a picture, decoded as the rules say.

    Raises:
        PictureError: it does not decode, has too many pixels, or is not of the type its extension says.
    """
    formats = PICTURE_FORMATS[extension]
    try:
        with _no_limit_of_pillow(), Image.open(picture, formats=formats) as image:
            small_enough = image.width * image.height <= rules.max_pixels
            if rules.decode and small_enough:
                image.load()
            size = image.size
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged bytes
        what = "decode" if rules.decode else "open"
        raise PictureError(f"does not {what} as {formats[0]} ({type(error).__name__})") from error
    if not small_enough:
        raise PictureError(f"{size[0]} x {size[1]} pixels, more than {rules.max_pixels}: not decoded")
    return size


@contextmanager
def _no_limit_of_pillow() -> Iterator[None]:
    """Pillow's limit on pixels is a global of its own; ours is checked before anything is decoded."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit
