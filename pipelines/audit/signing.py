"""Signing: a statement in a DSSE envelope, by an Ed25519 or ECDSA key, and its verification."""

import base64
import binascii
from hashlib import sha256
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pipelines.errors import CurateError, UsageError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey
PublicKey = Ed25519PublicKey | EllipticCurvePublicKey
_FORM = "give a PEM file with an Ed25519 or ECDSA key: `openssl genpkey -algorithm ed25519`"


class SignatureError(CurateError):
    """An envelope is not signed by the key, or is none."""


def private_key(pem: bytes) -> PrivateKey:
    """The key in a PEM file without a passphrase.

    Raises:
        UsageError: it is none, is encrypted, or is of another kind.
    """
    try:
        key = serialization.load_pem_private_key(pem, None)
    except TypeError:
        raise UsageError("--sign: the key is encrypted", "decrypt it: `openssl pkey -in KEY -out PLAIN`") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError("--sign: not a private key in PEM", _FORM) from None
    if not isinstance(key, PrivateKey):
        raise UsageError("--sign: a key of another kind than Ed25519 and ECDSA", _FORM)
    return key


def public_key(pem: bytes) -> PublicKey:
    """The public key in a PEM file.

    Raises:
        UsageError: it is none, or is of another kind.
    """
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError("--key: not a public key in PEM", "`openssl pkey -in KEY -pubout` writes it") from None
    if not isinstance(key, PublicKey):
        raise UsageError("--key: a key of another kind than Ed25519 and ECDSA", _FORM)
    return key


def signed(payload: bytes, key: PrivateKey) -> bytes:
    """A DSSE envelope around the payload, as JSON. `keyid` is SHA-256 of the public key (DER)."""
    message = pre_authentication(PAYLOAD_TYPE, payload)
    envelope = {
        "payload": base64.b64encode(payload).decode("ascii"),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [
            {"keyid": key_id(key.public_key()), "sig": base64.b64encode(_signature(key, message)).decode("ascii")}
        ],
    }
    return orjson.dumps(envelope, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def opened_envelope(envelope: bytes, key: PublicKey) -> bytes:
    """The payload of an envelope that the key signed.

    Raises:
        SignatureError: it is no envelope of ours, or the key signed something else or nothing.
    """
    try:
        document = orjson.loads(envelope)
        payload = base64.b64decode(document["payload"], validate=True)
        kind = document["payloadType"]
        signatures = [base64.b64decode(one["sig"], validate=True) for one in document["signatures"]]
    except (orjson.JSONDecodeError, binascii.Error, KeyError, TypeError, ValueError):
        raise SignatureError("not a DSSE envelope", "audit again with --sign") from None
    if kind != PAYLOAD_TYPE:
        raise SignatureError("an envelope around something else than a statement", "audit again with --sign")
    message = pre_authentication(kind, payload)
    if not any(_holds(key, signature, message) for signature in signatures):
        raise SignatureError(
            "the signature is not one of this key", "the statement was changed, or another key signed it"
        )
    return payload


def key_id(key: PublicKey) -> str:
    """SHA-256 of the public key (DER), in hex."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return sha256(key.public_bytes(serialization.Encoding.DER, form)).hexdigest()


def pre_authentication(kind: str, payload: bytes) -> bytes:
    """What is signed (DSSE v1, PAE): the type and the payload, each with its length."""
    return b" ".join((b"DSSEv1", str(len(kind)).encode(), kind.encode(), str(len(payload)).encode(), payload))


def _signature(key: PrivateKey, message: bytes) -> bytes:
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(message)
    return key.sign(message, ECDSA(hashes.SHA256()))


def _holds(key: Any, signature: bytes, message: bytes) -> bool:
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, message)
        else:
            key.verify(signature, message, ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
