"""Signed statements: what was signed comes back, anything else is refused, and `openssl` agrees."""

import base64
import shutil
import subprocess
from pathlib import Path

import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from pipelines.audit.signing import (
    SignatureError,
    opened_envelope,
    pre_authentication,
    private_key,
    public_key,
    signed,
)
from pipelines.errors import UsageError

PAYLOAD = b'{"_type": "https://in-toto.io/Statement/v1"}'
KEYS = {"ed25519": ed25519.Ed25519PrivateKey.generate, "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1())}  # fmt: skip


def pem(key: object, password: bytes | None = None) -> bytes:
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, lock)  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("kind", KEYS)
def test_what_was_signed_comes_back_and_only_from_its_key(kind: str) -> None:
    key, other = private_key(pem(KEYS[kind]())), private_key(pem(KEYS[kind]()))
    envelope = signed(PAYLOAD, key)
    assert opened_envelope(envelope, key.public_key()) == PAYLOAD
    with pytest.raises(SignatureError, match="not one of this key"):
        opened_envelope(envelope, other.public_key())


@pytest.mark.parametrize("field", ["payload", "payloadType", "sig"])
def test_an_envelope_that_was_changed_is_refused(field: str) -> None:
    key = private_key(pem(ed25519.Ed25519PrivateKey.generate()))
    envelope = orjson.loads(signed(PAYLOAD, key))
    forged = base64.b64encode(PAYLOAD.replace(b"v1", b"v2")).decode()
    if field == "sig":
        envelope["signatures"][0]["sig"] = base64.b64encode(bytes(64)).decode()
    else:
        envelope[field] = forged
    with pytest.raises(SignatureError):
        opened_envelope(orjson.dumps(envelope), key.public_key())


@pytest.mark.parametrize("envelope", [b"", b"[]", b"{}", b'{"payload": "%%"}', b"\xff"])
def test_what_is_no_envelope_is_refused(envelope: bytes) -> None:
    with pytest.raises(SignatureError):
        opened_envelope(envelope, ed25519.Ed25519PrivateKey.generate().public_key())


@pytest.mark.parametrize(("data", "said"), [
    (b"no key", "not a private key"),
    (pem(ed25519.Ed25519PrivateKey.generate(), b"word"), "encrypted"),
    (pem(rsa.generate_private_key(65537, 2048)), "another kind"),
])  # fmt: skip
def test_keys_that_cannot_sign_are_refused_with_what_to_do(data: bytes, said: str) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        private_key(data)
    assert raised.value.hint


def test_openssl_verifies_the_signature(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on this machine")
    plain = ec.generate_private_key(ec.SECP256R1())
    envelope = orjson.loads(signed(PAYLOAD, plain))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = plain.public_key().public_bytes(serialization.Encoding.PEM, form)
    assert public_key(public).public_numbers() == plain.public_key().public_numbers()  # type: ignore[union-attr]
    (tmp_path / "public.pem").write_bytes(public)
    (tmp_path / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    (tmp_path / "message").write_bytes(pre_authentication(envelope["payloadType"], PAYLOAD))
    command = ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "sig", "message"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert b"Verified OK" in done.stdout


def test_the_bytes_that_are_signed_are_those_of_the_dsse_specification() -> None:
    assert pre_authentication("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
