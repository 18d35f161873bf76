"""Rate limits: of a token or session, of an address, of credentials that are no good, of passwords tried.

The middleware counts before anybody is looked up, so that a flood costs neither a query nor a hash. Counters
are in this process's memory: one counted in Postgres would be a write, which costs as much as most requests.
With several API processes each admits as much as one; ``docs/decisions/rate-limits-in-memory.md``.
"""

from __future__ import annotations

import ipaddress
import json
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import limits
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.authenticate import Credential, address_of, credential_of, headers_of
from app.errors import InvalidInput, RateLimited, Unauthenticated
from app.settings import Settings

SCOPE_KEY = "paas.rate"
"""Under which a request's ``Standing`` is in its scope."""

_EXEMPT = ("/healthz", "/readyz", "/artifacts/", "/metrics")
"""What machines ask on their own, and which has its own permission or tells nothing."""
_KEPT = 20_000
"""Keys that are remembered of each kind, some 200 bytes each."""
_ANSWERS = frozenset({"http.response.start", "websocket.http.response.start"})
_UNAUTHENTICATED_CLOSES = frozenset({4401, 4403})


class Counters(Storage):
    """Windows in a dictionary, forgotten when they have ended.

    The library's own ``MemoryStorage`` starts a thread every 10 ms of traffic that walks all keys.
    """

    STORAGE_SCHEME = ["paas-memory"]

    def __init__(self) -> None:
        super().__init__()
        self._windows: dict[str, tuple[float, int]] = {}
        """Key → when it ends (Unix time), and how many there were."""
        self._tidy_at = 2 * _KEPT

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        now = time.time()
        end, count = self._windows.get(key, (0.0, 0))
        if end <= now:
            end, count = now + expiry, 0
            if len(self._windows) >= self._tidy_at:
                self._tidy(now)
        self._windows[key] = (end, count + amount)
        return count + amount

    def _tidy(self, now: float) -> None:
        self._windows = {key: found for key, found in self._windows.items() if found[0] > now}
        self._tidy_at = 2 * max(_KEPT, len(self._windows))

    def get(self, key: str) -> int:
        end, count = self._windows.get(key, (0.0, 0))
        return count if end > time.time() else 0

    def get_expiry(self, key: str) -> float:
        return self._windows.get(key, (time.time(), 0))[0]

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        count = len(self._windows)
        self._windows.clear()
        return count

    def clear(self, key: str) -> None:
        self._windows.pop(key, None)


class Remembered:
    """The last so many keys, oldest out."""

    def __init__(self) -> None:
        self._keys: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def add(self, key: str) -> bool:
        """Whether it is new."""
        if key in self._keys:
            return False
        self._keys[key] = None
        if len(self._keys) > _KEPT:
            self._keys.popitem(last=False)
        return True

    def discard(self, key: str) -> None:
        self._keys.pop(key, None)


@dataclass(frozen=True)
class Rate:
    """One limit as it stands for one key."""

    limit: int
    remaining: int
    resets_at: float
    """Unix time."""


class RateLimits:
    """All counters of a process. Raises InvalidInput for a setting that is no limit."""

    def __init__(self, settings: Settings) -> None:
        self._limiter = FixedWindowRateLimiter(Counters())
        self._token = _parsed(settings.rate_limit_token, "PAAS_RATE_LIMIT_TOKEN")
        self._address = _parsed(settings.rate_limit_address, "PAAS_RATE_LIMIT_ADDRESS")
        self._failures = _parsed(settings.rate_limit_failures, "PAAS_RATE_LIMIT_FAILURES")
        self._sign_in = _parsed(settings.rate_limit_sign_in, "PAAS_RATE_LIMIT_SIGN_IN")
        self._account = None if self._sign_in is None else _times(self._sign_in, 10)
        self._good, self._bad = Remembered(), Remembered()

    def admit(self, address: str, credential: str | None) -> None:
        """Count one request. Raises RateLimited. ``credential`` is ``key_of`` what was shown."""
        self._hit(self._address, "address", address, "requests from one address")
        if credential is not None:
            if credential not in self._good:
                self.refuse_guessing(address)
            self._hit(self._token, "token", credential, "requests with one token")

    def refuse_guessing(self, address: str) -> None:
        """Raises RateLimited once an address has shown too many credentials that nobody has."""
        item = self._failures
        if item is not None and not self._limiter.test(item, "failures", address):
            what = "unknown credentials from one address"
            raise self._refusal(item, "failures", address, what)

    def charge(self, credential: str | None, address: str, cost: int) -> None:
        """Count a request's further cost, which is known only once it was read. Never refuses."""
        if cost > 0 and self._token is not None and credential is not None:
            self._limiter.hit(self._token, "token", credential, cost=cost)
        elif cost > 0 and self._address is not None and credential is None:
            self._limiter.hit(self._address, "address", address, cost=cost)

    def told(self, address: str, credential: str, *, good: bool) -> None:
        """Whether the platform knew a credential. One that is wrong counts once, however often it comes."""
        if good:
            self._good.add(credential)
            return
        self._good.discard(credential)
        if self._bad.add(credential) and self._failures is not None:
            self._limiter.hit(self._failures, "failures", address)

    def attempt(self, address: str, account: str | None = None) -> None:
        """Count a password or one-time link that is tried. Raises RateLimited.

        On one account, from wherever: ten times as many. That lets a stranger keep its owner from signing
        in anew for a while, but not from what is signed in; without it guessing has no end.
        """
        self._hit(self._sign_in, "sign-in", address, "attempts from one address")
        if account is not None:
            self._hit(self._account, "account", key_of(account.strip().lower()), "attempts on it")

    def rate(self, address: str, credential: str | None) -> Rate | None:
        """Of the token or session; without one, of the address. None when there is no such limit."""
        item, name, key = (
            (self._address, "address", address)
            if credential is None
            else (self._token, "token", credential)
        )
        if item is None:
            return None
        reset_time, remaining = self._limiter.get_window_stats(item, name, key)
        return Rate(item.amount, max(0, remaining), reset_time)

    def _hit(self, item: limits.RateLimitItem | None, name: str, key: str, what: str) -> None:
        if item is not None and not self._limiter.hit(item, name, key):
            raise self._refusal(item, name, key, what)

    def _refusal(self, item: limits.RateLimitItem, name: str, key: str, what: str) -> RateLimited:
        reset_time, _ = self._limiter.get_window_stats(item, name, key)
        seconds = max(1, math.ceil(reset_time - time.time()))
        return RateLimited(
            f"Too many requests: the limit is {item.amount} {what} in {_length(item)}.",
            hint=f"Try again in {seconds} s.",
            retry_after_seconds=seconds,
        )


@dataclass(frozen=True)
class Standing:
    """A request's place among the limits."""

    limits: RateLimits
    address: str
    credential: str | None

    def attempt(self, account: str | None = None) -> None:
        """Raises RateLimited."""
        self.limits.attempt(self.address, account)

    def charge(self, cost: int) -> None:
        self.limits.charge(self.credential, self.address, cost)

    @property
    def rate(self) -> Rate | None:
        return self.limits.rate(self.address, self.credential)


def standing_of(scope: Mapping[str, object]) -> Standing | None:
    """None for an application that runs without the middleware, as parts of it do in tests."""
    found = scope.get(SCOPE_KEY)
    return found if isinstance(found, Standing) else None


class RateLimitMiddleware:
    """Around the whole application. Every request's ``Standing`` is in its scope."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._limits = RateLimits(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"].startswith(_EXEMPT):
            await self._app(scope, receive, send)
            return
        address = network_of(address_of(scope))
        shown = self._shown(scope)
        try:
            self._limits.admit(address, shown)
            if shown is None and scope["type"] == "websocket":
                self._limits.refuse_guessing(address)
        except RateLimited as error:
            await _refuse(scope, receive, send, error)
            return
        scope[SCOPE_KEY] = Standing(self._limits, address, shown)
        await self._app(scope, receive, self._heard(send, address, shown))

    def _shown(self, scope: Scope) -> str | None:
        basic = scope["path"].startswith("/git/")
        try:
            credential = credential_of(headers_of(scope), self._settings, basic=basic)
        except Unauthenticated:
            return None
        return None if credential is None else key_of_credential(credential)

    def _heard(self, send: Send, address: str, shown: str | None) -> Send:
        """``send``, noting whether the answer says that the credential is no good.

        A WebSocket may show one in its first message: then each that is refused counts.
        """

        async def heard(message: Message) -> None:
            kind = message["type"]
            if kind == "websocket.close" and message.get("code") in _UNAUTHENTICATED_CLOSES:
                self._limits.told(address, shown or secrets.token_hex(12), good=False)
            elif shown is not None and kind in _ANSWERS:
                self._limits.told(address, shown, good=message["status"] != 401)
            await send(message)

        return heard


def key_of_credential(credential: Credential) -> str:
    return key_of(credential.secret)


def key_of(secret: str) -> str:
    """So that no secret stays in memory for being counted."""
    return blake2b(secret.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """What counts as one address: of IPv6 the 64 bits that a single customer is given at least."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def _parsed(setting: str, variable: str) -> limits.RateLimitItem | None:
    if setting.strip().lower() == "off":
        return None
    try:
        return limits.parse(setting)
    except ValueError as error:
        raise InvalidInput(
            f"{variable} is {setting!r}, which is no rate limit.",
            hint="Write it as 600/minute or 5000/hour; or off.",
        ) from error


def _times(item: limits.RateLimitItem, factor: int) -> limits.RateLimitItem:
    return type(item)(item.amount * factor, item.multiples)


def _length(item: limits.RateLimitItem) -> str:
    unit = item.GRANULARITY.name
    return f"a {unit}" if item.multiples == 1 else f"{item.multiples} {unit}s"


async def _refuse(scope: Scope, receive: Receive, send: Send, error: RateLimited) -> None:
    """429 in the shape that this part of the API answers with."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1013, "reason": error.message[:120]})
        return
    kind, body = _body(scope["path"], error)
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", str(error.retry_after_seconds).encode()),
    ]
    await send({"type": "http.response.start", "status": error.http_status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _body(path: str, error: RateLimited) -> tuple[bytes, bytes]:
    if path.startswith("/git/"):
        return b"text/plain; charset=utf-8", f"{error.message}\n{error.hint}\n".encode()
    if path.startswith("/graphql"):
        extensions = {"code": error.code, "hint": error.hint}
        answer: dict[str, object] = {
            "errors": [{"message": error.message, "extensions": extensions}]
        }
    else:
        detail = {"code": error.code, "message": error.message, "field": None, "hint": error.hint}
        answer = {"error": detail}
    return b"application/json", json.dumps(answer).encode()
