"""Identifiers: a prefix that names the kind, then 26 characters that sort by creation time.

A prefixed id can be pasted anywhere and still says what it is; the time order keeps B-trees dense.
The 128 bits are a UUIDv7 layout (RFC 9562): 48 bits of milliseconds, then randomness.
"""

from __future__ import annotations

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base32, lower case


def new_id(prefix: str) -> str:
    """A fresh id such as ``app_01k9x2…``: 26 base32 digits after the prefix."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    digits = []
    for _ in range(26):
        value, digit = divmod(value, 32)
        digits.append(_ALPHABET[digit])
    return f"{prefix}_{''.join(reversed(digits))}"


def prefix_of(identifier: str) -> str:
    """The kind of an id: ``prefix_of("app_01k…") == "app"``; empty when there is none."""
    prefix, separator, _ = identifier.partition("_")
    return prefix if separator else ""
