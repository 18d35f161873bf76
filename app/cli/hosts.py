"""Platforms that somebody is signed in to: ``$XDG_CONFIG_HOME/paas/hosts.json``, readable by its owner alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec
from msgspec import Struct

from app.cli.failures import ClientFailure


class Host(Struct, omit_defaults=True):
    token: str
    user: str = ""


class Hosts(Struct):
    """``current`` is used where no host is said."""

    current: str = ""
    hosts: dict[str, Host] = {}


def path(environment: Mapping[str, str] = os.environ) -> Path:
    base = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "paas" / "hosts.json"


def load() -> Hosts:
    """Raises ClientFailure when the file is there and cannot be used."""
    file = path()
    try:
        return msgspec.json.decode(file.read_bytes(), type=Hosts)
    except FileNotFoundError:
        return Hosts()
    except (OSError, msgspec.MsgspecError) as error:
        raise ClientFailure(
            f"{file} cannot be used: {error}", hint="Repair it, or remove it and sign in anew."
        ) from error


def save(hosts: Hosts) -> None:
    """At no moment readable by anybody else, and never half-written."""
    file = path()
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(msgspec.json.format(msgspec.json.encode(hosts)) + b"\n")
        partial.rename(file)
    except OSError as error:
        raise ClientFailure(f"{file} cannot be written: {error.strerror}.") from error


def normal(address: str) -> str:
    """``paas.example.com/`` as ``https://paas.example.com``. Raises click.UsageError for what is no address."""
    whole = address if "://" in address else f"{_scheme(address)}://{address}"
    parts = urlsplit(whole)
    try:
        port = parts.port
    except ValueError:
        port = -1
    plain = not (parts.username or parts.password or parts.query or parts.fragment)
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1 or not plain:
        raise click.UsageError(
            f"{address!r} is no address of a platform: write https://HOST[:PORT]."
        )
    shown = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = {"http": 80, "https": 443}[parts.scheme]
    place = shown if port in {None, default} else f"{shown}:{port}"
    return f"{parts.scheme}://{place}{parts.path.rstrip('/')}"


def _scheme(address: str) -> str:
    name = urlsplit(f"//{address}").hostname or ""
    return (
        "http"
        if name in {"localhost", "127.0.0.1", "::1"} or name.endswith(".localhost")
        else "https"
    )
