import os
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.identity import Identity, keyed_digest, storable


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        (b"caf\xe9.png", "caf%E9.png"),
        (b"50%/caf\xe9.png", "50%25/caf%E9.png"),
        ("café 50%.png".encode(), "café 50%.png"),
        (b"\xed\xa0\x80", "%ED%A0%80"),
    ],
)
def test_a_name_that_is_not_utf8_is_stored_as_text(name: bytes, stored: str) -> None:
    raw = os.fsdecode(name)
    assert storable(raw) == stored
    assert Identity("s").name("path", raw) == stored
    assert Identity("s", b"k" * 16).name("path", raw) == keyed_digest(b"k" * 16, "path", raw)


@given(st.binary())
def test_every_name_is_stored_as_utf8(name: bytes) -> None:
    stored = storable(os.fsdecode(name))
    stored.encode()
    if stored != os.fsdecode(name):
        assert unquote_to_bytes(stored) == name
