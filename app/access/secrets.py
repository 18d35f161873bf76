"""Secrets that the platform makes and hands out once: tokens, sessions, links.

Each has 256 random bits, so that one round of SHA-256 is enough to keep it: there is nothing to guess, and
a slow hash would only be paid on every request. Passwords, which people choose, are in
``app/users/passwords.py``.
"""

from __future__ import annotations

import hashlib
import secrets

MAX_LENGTH = 200
"""Longer than any that was ever handed out: what is longer need not be hashed."""


def new_secret(prefix: str) -> str:
    return prefix + secrets.token_urlsafe(32)


def hash_of(secret: str) -> bytes:
    return hashlib.sha256(secret[: MAX_LENGTH + 1].encode("utf-8", "surrogatepass")).digest()
