"""Passwords: argon2id with RFC 9106's second recommended parameters (3 passes over 64 MiB).

Hashing takes some 100 ms of a processor and its 64 MiB, so that it runs in threads, few at a time: a flood
of guesses waits in line instead of taking the machine. A check takes as long for a user that does not
exist, or has no password, as for a wrong one.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from app.errors import InvalidInput

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MIN_LENGTH = 12
MAX_LENGTH = 500
_AT_ONCE = 2

T = TypeVar("T")


@dataclass(frozen=True)
class Checked:
    matches: bool
    rehashed: str | None = None
    """To be kept instead: the stored hash has older parameters."""


def valid_password(password: str, *, field: str = "password") -> str:
    """As it is hashed: the same characters, however a keyboard composes them. Raises InvalidInput."""
    composed = unicodedata.normalize("NFKC", password)
    if not MIN_LENGTH <= len(composed) <= MAX_LENGTH:
        raise InvalidInput(
            f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters, and this one has {len(composed)}.",
            field=field,
            hint="A few unrelated words are easy to remember and hard to guess.",
        )
    if len(set(composed)) < 5:
        raise InvalidInput("This password repeats a few characters only.", field=field)
    return composed


async def hashed(password: str) -> str:
    """Of an accepted password. To be stored as it is: it names its own parameters."""
    return await _in_thread(lambda: _hasher().hash(_bytes(password)))


async def check(stored: str | None, password: str) -> Checked:
    """``stored`` is None where there is nothing to compare with; that takes as long."""
    given = _bytes(unicodedata.normalize("NFKC", password[: MAX_LENGTH + 1]))
    return await _in_thread(lambda: _check(stored, given))


def _check(stored: str | None, given: bytes) -> Checked:
    from argon2.exceptions import InvalidHashError, VerificationError

    hasher, nobodys = _hasher(), _nobodys()
    try:
        hasher.verify(stored or nobodys, given)
    except (VerificationError, InvalidHashError):
        return Checked(False)
    if stored is None:
        return Checked(False)
    return Checked(True, hasher.hash(given) if hasher.check_needs_rehash(stored) else None)


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher
    from argon2.profiles import RFC_9106_LOW_MEMORY

    return PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


@cache
def _nobodys() -> str:
    """A hash that no password is asked for; made once, as slowly as any."""
    return _hasher().hash("")


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="password")


async def _in_thread(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_threads(), work)
