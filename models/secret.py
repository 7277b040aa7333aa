"""Encrypts secrets in the database with AES-256-GCM, bound to their row and column."""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from errors import ConfigurationError, SealError

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_SECRET: Final = re.compile(r"\b((?:sk|rk|pk)_(?:test|live)_|whsec_|flx_(?:test|live)_)[A-Za-z0-9_*+/=-]+")


def generate_key() -> str:
    """Make an encryption key: base64 of 32 random bytes."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


@dataclass(frozen=True)
class Keyring:
    """The configured encryption keys by id; the first encrypts, all decrypt."""

    keys: Mapping[str, bytes] = field(repr=False)
    primary_id: str

    @classmethod
    def parse(cls, encoded: Sequence[str]) -> "Keyring":
        """Read a keyring from base64 texts.

        Raises:
            ConfigurationError: There is none, or one isn't base64 of 32 bytes.
        """
        if not encoded:
            raise ConfigurationError('FLUXRATE_ENCRYPTION_KEYS is missing: generate one with "fluxrate generate-key".')
        keys = [_decode(position, text) for position, text in enumerate(encoded, start=1)]
        by_id = {key_id(key): key for key in keys}
        return cls(keys=by_id, primary_id=key_id(keys[0]))

    def seal(self, plaintext: str, bound_to: str) -> str:
        """Encrypt with the first key, whose id is the beginning of the result. Decrypting needs the same `bound_to`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        ciphertext = AESGCM(self.keys[self.primary_id]).encrypt(nonce, plaintext.encode(), bound_to.encode())
        return f"{self.primary_id}:{base64.b64encode(nonce + ciphertext).decode()}"

    def open(self, sealed: str, bound_to: str) -> str:
        """Decrypt a secret that was encrypted for the same row and column.

        Raises:
            SealError: Its key isn't configured, or the row was tampered with.
        """
        sealed_by = sealing_key_id(sealed)
        key = self.keys.get(sealed_by)
        if key is None:
            raise SealError(
                f"The encryption key {sealed_by} is not among FLUXRATE_ENCRYPTION_KEYS: add it back,"
                ' then run "fluxrate rotate-encryption-key" before removing it.'
            )
        try:
            raw = base64.b64decode(sealed.partition(":")[2], validate=True)
            return AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], bound_to.encode()).decode()
        except (InvalidTag, ValueError):
            raise SealError(
                f"A stored secret ({bound_to}) can't be decrypted with its encryption key: something other than"
                " Fluxrate changed the row. Restore it from a backup, or enter the secret again."
            ) from None

    def derive(self, purpose: str) -> list[str]:
        """Derive a secret text from each key, the first key's first.

        The same purpose gives the same texts; without a key nobody can guess them.
        """
        ordered = [self.primary_id, *(known for known in self.keys if known != self.primary_id)]
        return [hmac.new(self.keys[known], purpose.encode(), hashlib.sha256).hexdigest() for known in ordered]


def sealing_key_id(sealed: str) -> str:
    """Return the id of the key that encrypted a secret."""
    return sealed.partition(":")[0]


def key_id(key: bytes) -> str:
    """Compute a key's id, which does not reveal the key."""
    return hashlib.sha256(b"fluxrate encryption key id" + key).hexdigest()[:12]


def _decode(position: int, text: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            f"Key {position} of FLUXRATE_ENCRYPTION_KEYS is not base64 of 32 bytes:"
            ' generate one with "fluxrate generate-key".'
        )
    return key


def without_secrets(text: str) -> str:
    """Shorten all keys and secrets in a text to their kind: sk_test_…"""
    return _SECRET.sub(r"\1…", text)
