"""How the rows of a joined table travel through a run: found by hashes, and sealed where the source is keyed."""

import hmac
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import blake3

from sources.identity import Identity

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

KEY_BYTES = 16


@dataclass(frozen=True)
class Seal:
    """Names values by hashes and seals bytes, for one source.

    Of a public source: BLAKE3, and the bytes as they are. Of a keyed one: BLAKE3 keyed and AES-SIV (RFC 5297),
    both under keys derived from the site key, so that neither a value nor a row can be read or guessed without
    it. AES-SIV needs no nonce: the same row is sealed to the same bytes, whoever does it.
    """

    identity: Identity

    def key(self, value: str) -> bytes:
        """The hash of a value, 16 bytes: equal for equal values of this source."""
        data = value.encode("utf-8", "surrogatepass")
        if self._hash_key is None:
            return blake3.blake3(data).digest(KEY_BYTES)
        return blake3.blake3(data, key=self._hash_key).digest(KEY_BYTES)

    def seal(self, key: bytes, row: bytes) -> bytes:
        """The row of the value that `key` is the hash of, as it may be stored."""
        if self._cipher is None:
            return row
        return self._cipher.encrypt(row, [self.identity.source.encode(), key])

    def unseal(self, key: bytes, sealed: bytes) -> bytes:
        """What `seal` was given.

        Raises:
            cryptography.exceptions.InvalidTag: it was sealed with another site key, for another source or value.
        """
        if self._cipher is None:
            return sealed
        return self._cipher.decrypt(sealed, [self.identity.source.encode(), key])

    @cached_property
    def _hash_key(self) -> bytes | None:
        return self._derived("join key", "sha256")

    @cached_property
    def _cipher(self) -> "AESSIV | None":
        key = self._derived("join row", "sha512")
        if key is None:
            return None
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        return AESSIV(key)

    def _derived(self, label: str, digest: Literal["sha256", "sha512"]) -> bytes | None:
        """A key of the source for one purpose, HMAC of both under the site key; None for public sources."""
        site_key = self.identity.site_key
        if site_key is None:
            return None
        return hmac.new(site_key, f"{label}\0{self.identity.source}".encode(), digest).digest()

    def __reduce__(self) -> tuple[type["Seal"], tuple[Identity]]:
        return type(self), (self.identity,)
