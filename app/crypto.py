"""Secrets at rest: AES-256-GCM under named keys, and keyed hashes that tell "changed" from "same".

``PAAS_SECRET_KEY`` (or the generated file) may hold several keys, newest first, one a line: the first
encrypts, all decrypt, so that a rotation re-encrypts at leisure and then drops the old one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import InvalidInput, PreconditionFailed
from app.settings import Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12  # NIST SP 800-38D's size for random nonces
_TAG_BYTES = 16
SEALED_OVERHEAD = _NONCE_BYTES + _TAG_BYTES
"""How many bytes longer a ciphertext is than what was sealed."""


@dataclass(frozen=True)
class Sealed:
    ciphertext: bytes
    """Nonce, then ciphertext and tag."""
    key_id: str


def _cipher(key: bytes) -> AESGCM:
    """Loaded with the first secret: 7 MB, in processes of which most never see one."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


class SecretBox:
    """Encrypts with the newest key, decrypts with any it holds.

    With a key ``file``, a rotation while the process runs is noticed by the file's time of change.
    """

    def __init__(self, keys: list[bytes], file: Path | None = None) -> None:
        self._file = file
        self._file_time = 0 if file is None else file.stat().st_mtime_ns
        self._hold(keys)

    def _hold(self, keys: list[bytes]) -> None:
        if not keys or any(len(key) != 32 for key in keys):
            raise InvalidInput(
                "A secret key must be 32 bytes, in base64.",
                hint="Make one with: python3 -c 'import base64,os; print(base64.b64encode(os.urandom(32)).decode())'",
            )
        self._keys = {key_id(key): key for key in keys}
        self.current_key_id = key_id(keys[0])

    def refresh(self) -> None:
        """Take up the key file's keys if it changed. Called by every use of the newest key."""
        if self._file is None:
            return
        changed = self._file.stat().st_mtime_ns
        if changed != self._file_time:
            self._hold(parse_keys(self._file.read_text()))
            self._file_time = changed

    def seal(self, plaintext: bytes, *, context: str) -> Sealed:
        """Encrypt; ``context`` (say, the row's id) must be given again to open, so rows cannot be swapped."""
        self.refresh()
        nonce = os.urandom(_NONCE_BYTES)
        cipher = _cipher(self._keys[self.current_key_id])
        return Sealed(
            nonce + cipher.encrypt(nonce, plaintext, context.encode()), self.current_key_id
        )

    def open(self, sealed: Sealed, *, context: str) -> bytes:
        """Raises PreconditionFailed when the key is not held or the bytes are not what was sealed."""
        if sealed.key_id not in self._keys:
            self.refresh()
        key = self._keys.get(sealed.key_id)
        if key is None:
            raise PreconditionFailed(
                f"A stored secret was encrypted with the key {sealed.key_id}, which is not configured.",
                hint="Add that key to PAAS_SECRET_KEY (several keys: one a line, newest first).",
            )
        from cryptography.exceptions import InvalidTag

        nonce, body = sealed.ciphertext[:_NONCE_BYTES], sealed.ciphertext[_NONCE_BYTES:]
        try:
            return _cipher(key).decrypt(nonce, body, context.encode())
        except InvalidTag as error:
            raise PreconditionFailed(
                f"A stored secret ({context}) does not decrypt with its key {sealed.key_id}.",
                hint="The row was altered outside of the platform, or the key is a different one of that name.",
            ) from error

    def seal_mapping(self, values: Mapping[str, str], *, context: str) -> Sealed:
        return self.seal(json.dumps(dict(values), sort_keys=True).encode(), context=context)

    def open_mapping(self, sealed: Sealed, *, context: str) -> dict[str, str]:
        opened: dict[str, str] = json.loads(self.open(sealed, context=context))
        return opened

    def digest(self, value: str, *, context: str) -> str:
        """A keyed hash, so that a low-entropy value cannot be guessed from it. Hex, 32 characters."""
        self.refresh()
        key = self._keys[self.current_key_id]
        return hmac.new(key, f"{context}\0{value}".encode(), hashlib.sha256).hexdigest()[:32]

    def signature(self, message: str) -> str:
        """For URLs that the platform hands out. Stable while any key that made it is held."""
        self.refresh()
        return _sign(self._keys[self.current_key_id], message)

    def verify_signature(self, message: str, signature: str) -> bool:
        self.refresh()
        return any(
            hmac.compare_digest(_sign(key, message), signature) for key in self._keys.values()
        )


def key_id(key: bytes) -> str:
    return hashlib.sha256(b"paas key id\0" + key).hexdigest()[:8]


def _sign(key: bytes, message: str) -> str:
    return hmac.new(key, b"url\0" + message.encode(), hashlib.sha256).hexdigest()


def load_secret_box(settings: Settings) -> SecretBox:
    """The box of the configured keys; the first start without any generates the key file.

    Raises InvalidInput when a key is not base64 of 32 bytes.
    """
    if settings.secret_key:
        return SecretBox(parse_keys(settings.secret_key))
    file = key_file(settings)
    return SecretBox(parse_keys(_read_or_create(file)), file)


def key_file(settings: Settings) -> Path:
    return settings.home_path / "secret.key"


def parse_keys(text: str) -> list[bytes]:
    """Raises InvalidInput when they are not base64."""
    try:
        return [base64.b64decode(line, validate=True) for line in text.split()]
    except ValueError as error:
        raise InvalidInput(
            "PAAS_SECRET_KEY is not base64.", hint="Several keys are separated by white space."
        ) from error


def new_key() -> str:
    """32 random bytes in base64, as settings and key file hold them."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _read_or_create(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text()
    fresh = new_key()
    with os.fdopen(descriptor, "w") as file:
        file.write(fresh + "\n")
    return fresh
