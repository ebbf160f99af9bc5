"""How shards, samples and members are called: one rule, for the writer, the readers and the verifier.

Every WebDataset reader takes the text before the first dot of a name as the sample's key, so a dot inside a
key splits a sample in two (webdataset#237), and `ShardWriter` cuts long keys without a word (webdataset#428).
A key here is the sample id: 32 lower-case hex digits, nothing else.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sources.identity import SAMPLE_ID_DIGITS

JSON_SUFFIX = "json"
PICTURE_FORMATS = {"jpg": ("JPEG", "MPO"), "png": ("PNG",)}
"""Extension -> the formats, as Pillow names them, its pictures may have.

These two every trainer decodes; any other picture is rendered before it is written.
MPO is what Pillow calls a JPEG with a second picture behind the first, as some cameras write it.
"""

_KEY = re.compile(rf"[0-9a-f]{{{SAMPLE_ID_DIGITS}}}")
_MEMBER = re.compile(
    rf"({_KEY.pattern})\.({JSON_SUFFIX}|(?:(?:0|[1-9][0-9]{{0,5}})\.)?(?:{'|'.join(PICTURE_FORMATS)}))"
)
_MEMBERS = re.compile(rf"(?:\n{_MEMBER.pattern})*+")
_SHARD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.tar")
VALIDATION = "validation"
_OURS = re.compile(rf"(?:({VALIDATION})-)?([a-z]+)-([a-z0-9_]+)-(\d{{6,}})\.tar")


def is_key(text: str) -> bool:
    """Whether `text` may be the key of a sample."""
    return _KEY.fullmatch(text) is not None


def is_shard_name(text: str) -> bool:
    """Whether `text` may name a shard: a plain file name that ends in `.tar`, never a path."""
    return _SHARD.fullmatch(text) is not None


@dataclass(frozen=True)
class ShardName:
    """The parts of a shard's name; `validation` says that its samples are held out."""

    stage: str
    source: str
    number: int
    validation: bool = False


def shard_name(stage: str, source: str, number: int, *, validation: bool = False) -> str:
    """`{stage}-{source}-000000.tar`, for training; held-out samples lie in `validation-{stage}-{source}-000000.tar`.

    What looks for a stage's training shards by their names (`mid-*.tar`) finds no held-out one.

    Raises:
        ValueError: stage or source hold something that is no part of a plain file name.
    """
    name = f"{stage}-{source}-{number:06d}.tar"
    if validation:
        name = f"{VALIDATION}-{name}"
    if not is_shard_name(name):
        raise ValueError(f"{name!r} is no name for a shard: use letters, digits, '.', '_' and '-' in source names")
    return name


def parse_shard_name(name: str) -> ShardName | None:
    """The parts of a name that `shard_name` made, or None."""
    match = _OURS.fullmatch(name)
    return ShardName(match[2], match[3], int(match[4]), match[1] is not None) if match else None


def is_held_out(name: str) -> bool:
    """Whether a name that `shard_name` made is one of held-out samples."""
    parsed = parse_shard_name(name)
    return parsed is not None and parsed.validation


def picture_suffix(position: int, count: int, extension: str) -> str:
    """What follows `{key}.` in the name of picture `position` of `count`: `png`; of several `0.png`."""
    return extension if count == 1 else f"{position}.{extension}"


def are_members(names: Sequence[str]) -> bool:
    """Whether members of a shard may be called so, all of them."""
    joined = "\n".join(["", *names])
    return _MEMBERS.fullmatch(joined) is not None and joined.count("\n") == len(names)  # none of them holds one


def split_member(name: str) -> tuple[str, str] | None:
    """Key and suffix of a member's name, or None where the name breaks the rule."""
    match = _MEMBER.fullmatch(name)
    return (match[1], match[2]) if match else None
