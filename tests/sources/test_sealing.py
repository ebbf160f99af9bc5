from dataclasses import replace

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from sources.identity import Identity
from sources.sealing import KEY_BYTES, Seal

KEYED = Seal(Identity("ward", b"a site key of a test"))
PUBLIC = Seal(Identity("ward"))
ROW = b'{"report": "Of DOE JANE."}'


@given(st.text(), st.binary())
def test_what_was_sealed_is_unsealed_as_it_was(value: str, row: bytes) -> None:
    for seal in (KEYED, PUBLIC):
        key = seal.key(value)
        assert len(key) == KEY_BYTES
        assert seal.unseal(key, seal.seal(key, row)) == row


@given(st.text(), st.text())
def test_values_have_the_same_hash_where_they_are_equal_and_only_there(one: str, other: str) -> None:
    assert (KEYED.key(one) == KEYED.key(other)) == (one == other)


def test_a_keyed_source_shows_neither_value_nor_row_and_a_public_one_its_rows() -> None:
    key = KEYED.key("ACC1")
    assert key != PUBLIC.key("ACC1")
    assert b"DOE" not in KEYED.seal(key, ROW)
    assert PUBLIC.seal(PUBLIC.key("ACC1"), ROW) == ROW


def test_the_same_row_of_the_same_value_is_sealed_alike_and_of_another_value_otherwise() -> None:
    one, other = KEYED.key("ACC1"), KEYED.key("ACC2")
    assert KEYED.seal(one, ROW) == KEYED.seal(one, ROW)
    assert KEYED.seal(one, ROW) != KEYED.seal(other, ROW)


@pytest.mark.parametrize("change", [{"source": "other"}, {"site_key": b"another key of a test"}])
def test_another_source_or_site_key_hashes_otherwise_and_opens_nothing(change: dict[str, object]) -> None:
    stranger = Seal(replace(KEYED.identity, **change))
    key = KEYED.key("ACC1")
    assert stranger.key("ACC1") != key
    with pytest.raises(InvalidTag):
        stranger.unseal(key, KEYED.seal(key, ROW))


def test_a_row_opens_under_its_own_value_only() -> None:
    with pytest.raises(InvalidTag):
        KEYED.unseal(KEYED.key("ACC2"), KEYED.seal(KEYED.key("ACC1"), ROW))
