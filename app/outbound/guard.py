"""Which addresses the platform may connect to for a user: pure, but for asking the resolver.

A URL that a user gives us is fetched from inside of the operator's network. So its host is resolved here,
each of its addresses is judged, and the connection goes to exactly one that was judged: a name that
answers differently the second time gains nothing. What is refused: everything that is not a public
unicast address, whatever it is wrapped in (IPv4-mapped, 6to4, Teredo, NAT64), and the clouds' metadata
services that have public addresses.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.errors import InvalidInput
from app.settings import Settings

MAX_URL = 2000
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_IPV4_COMPATIBLE = ipaddress.ip_network("::/96")
_REFUSED: tuple[Network, ...] = (
    ipaddress.ip_network("168.63.129.16/32"),  # Azure's metadata and DNS, a public address
    ipaddress.ip_network("192.88.99.0/24"),  # 6to4 relays, RFC 7526
    ipaddress.ip_network("2001:20::/28"),  # ORCHIDv2: no addresses to connect to
)


class AddressRefused(Exception):
    """The host leads to where the platform does not connect for users."""


@dataclass(frozen=True)
class Guard:
    """``allowed``: networks to which it may connect although they are not public."""

    allowed: tuple[Network, ...] = ()

    def permits(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return self._is_allowed(parsed) or all(map(_is_public, _inside(parsed)))

    def is_allowed(self, address: str) -> bool:
        """By the operator's setting, and not for being public."""
        try:
            return self._is_allowed(ipaddress.ip_address(address))
        except ValueError:
            return False

    def _is_allowed(self, address: Address) -> bool:
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self.allowed)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Every address of the host. Raises AddressRefused if one of them is refused, OSError if there
        is none."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for address in addresses:
            if not self.permits(address):
                raise AddressRefused(
                    f"{host} leads to {address}, which is not a public address; the platform's operator"
                    " may allow it by PAAS_OUTBOUND_ALLOWED_NETWORKS"
                )
        return addresses


def _inside(address: Address) -> list[Address]:
    """The address, and each IPv4 address that it stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    found: list[Address | None] = [address.ipv4_mapped, address.sixtofour]
    if address.teredo is not None:
        found += address.teredo
    if address in _NAT64 or address in _IPV4_COMPATIBLE:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    embedded = [one for one in found if one is not None]
    # What is mapped is no address of its own; any other wrapping must be public itself, too.
    return (
        embedded if address.ipv4_mapped is not None or address in _NAT64 else [address, *embedded]
    )


def _is_public(address: Address) -> bool:
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not (isinstance(address, ipaddress.IPv6Address) and address.is_site_local)
        and not any(address.version == net.version and address in net for net in _REFUSED)
    )


def guard_of(settings: Settings) -> Guard:
    """Raises InvalidInput."""
    return Guard(parse_networks(settings.outbound_allowed_networks))


def parse_networks(value: str) -> tuple[Network, ...]:
    """``10.0.0.0/8, fd00::/8``. Raises InvalidInput."""
    try:
        return tuple(
            ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip()
        )
    except ValueError as error:
        raise InvalidInput(
            f"PAAS_OUTBOUND_ALLOWED_NETWORKS does not parse: {error}.",
            hint="Networks such as 10.20.0.0/16, separated by commas.",
        ) from error


def valid_url(value: str, guard: Guard, *, field: str = "url") -> str:
    """An ``https://`` URL with a host and no credentials; ``http://`` only where some network is allowed.

    What the host leads to is judged at each connection, not here.
    """
    problem = _url_problem(value, plain=bool(guard.allowed))
    if problem is not None:
        raise InvalidInput(
            f"The URL {problem}.", field=field, hint="Such as https://example.com/hook."
        )
    return value


def _url_problem(value: str, *, plain: bool) -> str | None:
    if len(value) > MAX_URL:
        return f"is longer than {MAX_URL} characters"
    if any(not "!" <= character <= "~" for character in value) or "\\" in value:
        return "has a character that no URL has; encode it"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return "is malformed"
    if parts.scheme not in ({"https", "http"} if plain else {"https"}):
        return "does not begin with https://"
    if not parts.hostname or port == 0:
        return "names no host"
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        return "has a user name or password in it"
    return "has a fragment (#…)" if parts.fragment else None
