from fnmatch import fnmatch

import pytest
from webdataset.tariterators import base_plus_ext

from shards.names import (
    ShardName,
    is_held_out,
    is_key,
    is_shard_name,
    parse_shard_name,
    picture_suffix,
    shard_name,
    split_member,
)
from tests.shards.conftest import key_of

KEY = key_of(1)


@pytest.mark.parametrize("suffix", ["json", "png", "jpg", "0.png", "12.jpg"])
def test_a_member_splits_where_webdataset_splits_it(suffix: str) -> None:
    assert split_member(f"{KEY}.{suffix}") == (KEY, suffix) == base_plus_ext(f"{KEY}.{suffix}")


@pytest.mark.parametrize(
    "name",
    [
        "1.2.840.10008.png",
        f"{KEY[:16]}.{KEY[16:]}.png",
        f"{KEY}0.png",
        f"{KEY[:-1]}.png",
        f"{KEY.upper()}.png",
        f"{KEY}",
        f"{KEY}.",
        f"{KEY}.tiff",
        f"{KEY}.00.png",
        f"{KEY}.0.1.png",
        f"{KEY}.0.json",
        f"{KEY}.png\n",
        f"folder/{KEY}.png",
        f"../{KEY}.png",
        "",
    ],
)
def test_a_name_outside_the_rule_does_not_split(name: str) -> None:
    assert split_member(name) is None


def test_a_key_is_thirty_two_lower_case_hex_digits() -> None:
    assert is_key(KEY)
    assert not any(is_key(text) for text in (KEY + "0", KEY[1:], KEY.upper(), KEY[:-1] + "g", KEY + "\n"))


def test_pictures_are_numbered_only_where_there_are_several() -> None:
    assert picture_suffix(0, 1, "png") == "png"
    assert [picture_suffix(position, 2, "jpg") for position in (0, 1)] == ["0.jpg", "1.jpg"]


def test_shards_sort_in_the_order_of_their_numbers() -> None:
    assert shard_name("mid", "vqa_rad", 7) == "mid-vqa_rad-000007.tar"


@pytest.mark.parametrize("source", ["../up", "a/b", "a b", "ä"])
def test_a_source_that_is_no_file_name_names_no_shard(source: str) -> None:
    with pytest.raises(ValueError, match="no name for a shard"):
        shard_name("mid", source, 0)


@pytest.mark.parametrize("name", ["a.tar.gz", "/a.tar", "a/b.tar", "..tar", ".a.tar", "a.tar\n", "a\\b.tar", ""])
def test_only_a_plain_tar_name_is_a_shard_name(name: str) -> None:
    assert not is_shard_name(name)


def test_names_of_shards_are_told_apart_and_held_out_ones_match_no_pattern_of_a_stage() -> None:
    for validation in (False, True):
        name = shard_name("mid", "vqa_rad", 7, validation=validation)
        assert is_shard_name(name)
        assert parse_shard_name(name) == ShardName("mid", "vqa_rad", 7, validation)
        assert is_held_out(name) == validation
        assert fnmatch(name, "mid-*.tar") != validation
    assert parse_shard_name("other.tar") is None
    assert not is_held_out("validation.tar")
