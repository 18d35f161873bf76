"""The platform's settings: the only place that reads the environment (``PAAS_*``).

Every field is documented in ``docs/settings.md``; a test fails when one is missing there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from app.errors import InvalidInput


def _default_home() -> str:
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return str(Path(base) / "paas")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Field ``wildcard_base`` is read from ``PAAS_WILDCARD_BASE``, and so on for each."""

    home: str = msgspec.field(default_factory=_default_home)
    database_url: str = ""
    """``postgresql://user:password@host:port/name``; empty means the embedded server under ``home``."""
    wildcard_base: str = "apps.localhost"
    api_host: str = "127.0.0.1"
    api_port: int = 7070
    api_max_body_mb: int = 4
    """Largest request body of GraphQL and REST; a git push has ``push_max_mb``."""
    ingress_host: str = "127.0.0.1"
    ingress_port: int = 7080
    ingress_api_port: int = 7081
    agent_port: int = 7082
    """Loopback port on which the embedded engine's agent serves Traefik's configuration."""
    postgres_port: int = 7432
    public_url: str = ""
    """Where git clients and people reach the API; empty means ``http://{api_host}:{api_port}``."""
    internal_url: str = ""
    """Where engine nodes reach the API (slug downloads); empty means ``public_url``."""
    scheduler: Literal["embedded", "nomad", "auto"] = "auto"
    nomad_addr: str = ""
    nomad_token: str = ""
    nomad_token_file: str = ""
    nomad_slug_driver: Literal["exec", "raw_exec", "docker"] = "exec"
    consul_addr: str = ""
    consul_token: str = ""
    registry: str = ""
    """``host:port`` of the image registry; required to run Dockerfile apps on Nomad."""
    secret_key: str = ""
    """Base64 of 32 bytes; empty means the generated file ``{home}/secret.key`` (mode 0600)."""
    build_timeout_seconds: int = 900
    build_max_source_mb: int = 512
    build_max_source_files: int = 50_000
    build_max_slug_mb: int = 1024
    build_max_log_lines: int = 20_000
    build_concurrency: int = 2
    push_max_mb: int = 1024
    rollout_timeout_seconds: int = 300
    lease_seconds: int = 15
    log_level: str = "INFO"
    fault_kill: str = ""

    @property
    def home_path(self) -> Path:
        return Path(self.home).expanduser().absolute()

    @property
    def external_url(self) -> str:
        return (self.public_url or f"http://{self.api_host}:{self.api_port}").rstrip("/")

    @property
    def node_url(self) -> str:
        return (self.internal_url or self.external_url).rstrip("/")


_UNPREFIXED = {
    "nomad_addr": "NOMAD_ADDR",
    "nomad_token": "NOMAD_TOKEN",
    "consul_addr": "CONSUL_HTTP_ADDR",
    "consul_token": "CONSUL_HTTP_TOKEN",
}
"""Settings that fall back to the name the engines' own tools use."""


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from ``environment`` (default: the process's).

    Raises InvalidInput naming the variable when a value does not parse.
    """
    source = os.environ if environment is None else environment
    values: dict[str, str] = {}
    for name in Settings.__struct_fields__:
        variable = f"PAAS_{name.upper()}"
        value = source.get(variable) or source.get(_UNPREFIXED.get(name, ""), "")
        if value:
            values[name] = value
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            f"A setting does not parse: {error}",
            hint="The path in the message names the field; its variable is PAAS_ and the name in capitals.",
        ) from error
