"""The cookies of a browser, and what a request that carries one must show besides.

A cookie is sent by the browser whoever made it send the request, so that a request with one is taken only
from our own pages: see ``refuse_foreign``. Same-site is not enough: apps of strangers run on names below
the platform's, and count as the same site.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from urllib.parse import urlsplit

from app.errors import Forbidden
from app.settings import Settings

CSRF_HEADER = "x-csrf-token"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class CrossOrigin(Forbidden):
    """A browser was made to send this by a page that is not ours."""


def is_secure(settings: Settings) -> bool:
    return settings.external_url.startswith("https://")


def cookie_name(settings: Settings, name: str = "session") -> str:
    """``__Host-``: no other name below the same domain can set it, and it never leaves HTTPS."""
    return f"__Host-paas_{name}" if is_secure(settings) else f"paas_{name}"


def read(settings: Settings, header: str, name: str = "session") -> str | None:
    """The cookie's value out of a ``Cookie`` header; None when it is not there, twice or unreadable."""
    wanted = cookie_name(settings, name)
    if wanted not in header:
        return None
    found = [
        value.strip()
        for key, _, value in (part.partition("=") for part in header.split(";"))
        if key.strip() == wanted
    ]
    return found[0] if len(found) == 1 and found[0] else None


def set_cookie(settings: Settings, value: str, *, seconds: int, name: str = "session") -> str:
    """A ``Set-Cookie`` header. An empty value with no time to live takes it away."""
    secure = "; Secure" if is_secure(settings) else ""
    return (
        f"{cookie_name(settings, name)}={value}; Max-Age={seconds}; Path=/"
        f"; HttpOnly; SameSite=Lax{secure}"
    )


def forget_cookie(settings: Settings, name: str = "session") -> str:
    return set_cookie(settings, "", seconds=0, name=name)


def csrf_token(secret: str) -> str:
    """Of the session's secret: needs no store, and only who was told it, or has the cookie, knows it."""
    digest = hmac.new(secret.encode(), b"paas csrf", hashlib.sha256).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def origin_of(url: str) -> str:
    """``https://paas.example.com``, as browsers write it: without a default port, in lower case."""
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    host = (parts.hostname or "").lower()
    if ":" in host:
        host = f"[{host}]"
    port = "" if parts.port in {None, default} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def refuse_foreign(settings: Settings, headers: Mapping[str, str], *, changes: bool) -> None:
    """Raises CrossOrigin for a request that a page of another origin made a browser send.

    ``Sec-Fetch-Site`` is the browser's own word, and no script can set it. Where it is missing (plain HTTP
    on a real name, older browsers) ``Origin`` must be ours; only a reading request may come without both,
    since its answer cannot be read from elsewhere. To open a WebSocket counts as a change: it can be read.
    ``headers`` by lower-case name.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    ours = origin_of(settings.external_url)
    if site is None:
        fine = origin == ours or (origin is None and not changes)
    else:
        followed_a_link = site == "none" or headers.get("sec-fetch-mode") == "navigate"
        fine = site == "same-origin" or (followed_a_link and not changes)
    if not fine:
        raise CrossOrigin(
            "This request came from a page of another origin, or does not say from where.",
            hint=f"Use the platform at {ours}, or send an API token instead of a cookie.",
        )


def refuse_forged(secret: str, headers: Mapping[str, str]) -> None:
    """Raises CrossOrigin unless the header that only our own pages can set is there, and this session's."""
    given = headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(given.encode(), csrf_token(secret).encode()):
        raise CrossOrigin(
            "A request with a cookie also needs the header X-CSRF-Token.",
            hint="GET /auth/session answers with this session's `csrfToken`.",
        )


def changes_something(method: str) -> bool:
    return method not in _SAFE_METHODS
