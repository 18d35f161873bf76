"""E-mail addresses: what is accepted as one, and one spelling for each."""

from __future__ import annotations

import re

from app.errors import InvalidInput

MAX_LENGTH = 254
"""RFC 5321 4.5.3.1: what fits in a path."""

_ADDRESS = re.compile(r"[^@\s<>(),;:\\\"\[\]\x00-\x1f]{1,64}@[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")


def valid_email(address: str, *, field: str = "email") -> str:
    """In lower case. Raises InvalidInput for what no mail could reach, or what would end a header's line."""
    lowered = address.strip().lower()
    if len(lowered) > MAX_LENGTH or _ADDRESS.fullmatch(lowered) is None or ".." in lowered:
        raise InvalidInput(
            "This is not an e-mail address.", field=field, hint="Write it as olga@example.com."
        )
    return lowered


def domain_of(address: str) -> str:
    return address.rpartition("@")[2]
