"""Who a sample is: content-derived ids, and keyed names for what identifies a person (docs/privacy.md)."""

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

import blake3

SAMPLE_ID_DIGITS = 32
KEYED_DIGITS = 32
MIN_KEY_BYTES = 16


class MissingIdKeyError(Exception):
    """A source is keyed and no usable site key was given."""


@dataclass(frozen=True)
class Identity:
    """Names things of one source: as they are (`site_key` None), or only as HMAC-SHA256 under a site key."""

    source: str
    site_key: bytes | None = None

    @property
    def keyed(self) -> bool:
        """Whether identifying values are stored only as keyed digests."""
        return self.site_key is not None

    def name(self, kind: str, value: str) -> str:
        """Return `value` as it may and can be stored. `kind` (`key`, `path`, `patient` ...) separates the domains."""
        if self.site_key is None:
            return storable(value)
        return keyed_digest(self.site_key, kind, value)

    def sample_id(self, source_key: str, content: bytes | None) -> str:
        """Return 32 hex digits over source, the raw source key and the content before redaction.

        `content` None is an unreadable record: its id is over source and key alone.
        """
        parts = [self.source.encode(), source_key.encode("utf-8", "surrogatepass")]
        if content is not None:
            parts.append(content)
        message = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
        if self.site_key is None:
            return blake3.blake3(message).hexdigest()[:SAMPLE_ID_DIGITS]
        return hmac.new(self.site_key, b"sample\0" + message, hashlib.sha256).hexdigest()[:SAMPLE_ID_DIGITS]


def storable(name: str) -> str:
    """A name as tables can hold it: as it is, or, of one that is not UTF-8, with its wrong bytes and `%` as `%XX`.

    Python gives a file whose name is not UTF-8 a name with lone surrogates (PEP 383), which is no text.
    """
    if name.isascii():
        return name
    try:
        name.encode()
    except UnicodeEncodeError:
        return "".join(_escaped(character) for character in name)
    return name


def _escaped(character: str) -> str:
    if character != "%" and not "\ud800" <= character <= "\udfff":
        return character
    data = character.encode("utf-8", "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass")
    return "".join(f"%{byte:02X}" for byte in data)


def keyed_digest(site_key: bytes, kind: str, value: str) -> str:
    """HMAC-SHA256 of `value` in the domain `kind`: 128 bits as 32 hex digits.

    The domain is not the source: one patient has one keyed id in every corpus and eval set of a site.
    """
    message = kind.encode() + b"\0" + value.encode("utf-8", "surrogatepass")
    return hmac.new(site_key, message, hashlib.sha256).hexdigest()[:KEYED_DIGITS]


def read_site_key(path: Path) -> bytes:
    """Read the site key: the bytes of the file without surrounding white space.

    Raises:
        MissingIdKeyError: the file cannot be read or holds fewer than 16 bytes.
    """
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise MissingIdKeyError(f"--id-key {path}: cannot be read ({error.strerror})") from error
    if len(key) < MIN_KEY_BYTES:
        raise MissingIdKeyError(f"--id-key {path}: {len(key)} bytes, at least {MIN_KEY_BYTES} are needed")
    return key
