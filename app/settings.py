"""The platform's settings: the only place that reads the environment (``PAAS_*``).

Every field is documented in ``docs/settings.md``; a test fails when one is missing there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
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
    nomad_port: int = 4646
    """Of the Nomad that ``paas up --engine nomad`` starts; the two after it are for its own talk."""
    consul_port: int = 8500
    """Of the Consul that it starts, and likewise the two after it."""
    registry_port: int = 7083
    """Of the image registry that it starts."""
    nomad_addr: str = ""
    nomad_token: str = ""
    nomad_token_file: str = ""
    nomad_namespace_token_file: str = ""
    """File with a management token used to create and delete namespaces and for nothing else; without it
    an operator makes the namespace of each organization."""
    nomad_ca_file: str = ""
    nomad_client_cert: str = ""
    nomad_client_key: str = ""
    nomad_alloc_id: str = ""
    """Set by Nomad where the platform is its job: Nomad registers the API in Consul then, else it does."""
    nomad_slug_driver: Literal["exec", "raw_exec", "docker"] = "exec"
    nomad_slug_image: str = ""
    """Image that slugs run in when ``nomad_slug_driver`` is ``docker``."""
    nomad_slug_volume: str = ""
    """Host volume of Nomad's nodes with the languages' runtimes, mounted at ``/usr`` where the driver is
    ``exec``; without it slugs see the nodes' ``chroot_env`` and start slower."""
    consul_addr: str = ""
    consul_token: str = ""
    traefik_api: str = ""
    """``http://host:port`` of Traefik's API: asked whether a release is routed, where it is set."""
    traefik_metrics: str = ""
    """``http://host:port/metrics`` of every Traefik, separated by commas; by default of the one whose API
    is known."""
    metrics_period_seconds: int = 60
    metrics_keep_hours: int = 26
    """What instances used and served can be looked up for so long."""
    metrics_token: str = ""
    """Prometheus reads ``/metrics`` with this as its bearer token; without it the page does not exist."""
    otlp_endpoint: str = ""
    """``http://host:4318`` of an OpenTelemetry collector: traces go there, when it is set."""
    registry: str = ""
    """``host:port`` of the image registry; required to run Dockerfile apps on Nomad."""
    session_idle_hours: int = 7 * 24
    """A browser that was not used for so long is signed out."""
    session_max_hours: int = 30 * 24
    """So long after it signed in, a browser must do so again, however busy it was."""
    invitation_hours: int = 7 * 24
    """How long an invitation's link, and one to set a password, is good for."""
    oidc_issuer: str = ""
    """``https://…`` of the OpenID provider that people may sign in with; empty: passwords only."""
    oidc_client_id: str = ""
    oidc_client_secret: str = ""
    oidc_client_secret_file: str = ""
    oidc_name: str = "single sign-on"
    """What people call the provider."""
    oidc_email_domains: str = ""
    """Whoever the provider says has a verified address in one of these domains (separated by commas) may
    sign up without an invitation; empty: nobody."""
    smtp_url: str = ""
    """``smtp://user:password@host:587`` (STARTTLS where offered; ``?tls=required`` insists) or
    ``smtps://…:465``; empty: invitations are shown as links, and not sent."""
    smtp_from: str = ""
    """The sender of what is sent; required with ``smtp_url``."""
    trusted_proxies: str = ""
    """Addresses or networks, separated by commas, whose ``X-Forwarded-For`` and ``-Proto`` are believed."""
    rate_limit_token: str = "3000/minute"
    """Requests with one token or session; GraphQL and REST and git together. ``off`` for no limit."""
    rate_limit_address: str = "6000/minute"
    """Requests from one address (an IPv6 network of 64 bits), whoever sends them."""
    rate_limit_failures: str = "30/minute"
    """Credentials that were no good, from one address; those that have worked before go on working."""
    rate_limit_sign_in: str = "10/minute"
    """Passwords and one-time links tried from one address; on one account ten times as many."""
    outbound_allowed_networks: str = ""
    """Networks, separated by commas, that users' webhooks and remotes may lead to although they are not
    public: an internal git server, say. Empty: none."""
    secret_key: str = ""
    """Base64 of 32 bytes; empty means the generated file ``{home}/secret.key`` (mode 0600)."""
    build_timeout_seconds: int = 900
    build_max_source_mb: int = 512
    build_max_source_files: int = 50_000
    build_max_slug_mb: int = 1024
    build_max_image_mb: int = 4096
    """Of a built image, its base included."""
    build_keep: int = 5
    """So many of an instance's last releases keep their slug or image, so that a rollback builds nothing."""
    build_max_cache_mb: int = 10_240
    """Of packed dependencies; those not used for longest go first."""
    build_max_log_lines: int = 20_000
    build_concurrency: int = 2
    log_keep_hours: int = 168
    """So long an app's log lines are kept."""
    log_keep_mb: int = 100
    """Of each app in each environment; the oldest lines go first."""
    push_max_mb: int = 1024
    rollout_timeout_seconds: int = 300
    lease_seconds: int = 15
    ready_file: str = ""
    """Touched by a worker when it has begun to look for work."""
    events_keep_days: int = 30
    live_connections: int = 5000
    """WebSockets and event streams that one API process holds open at most."""
    live_connections_per_address: int = 1000
    live_connections_per_token: int = 200
    log_level: str = "INFO"
    fault_kill: str = ""

    @property
    def home_path(self) -> Path:
        return Path(self.home).expanduser().absolute()

    @property
    def external_url(self) -> str:
        return (self.public_url or f"http://{self.api_host}:{self.api_port}").rstrip("/")

    def app_url(self, hostname: str) -> str:
        """Where people reach an app: plain HTTP through the router."""
        port = "" if self.ingress_port == 80 else f":{self.ingress_port}"
        return f"http://{hostname}{port}"

    def git_url(self, organization: str, project: str, app: str) -> str:
        """The app's one git remote."""
        return f"{self.external_url}/git/{organization}/{project}/{app}.git"

    @property
    def node_url(self) -> str:
        return (self.internal_url or self.external_url).rstrip("/")


def inherited_environment(names: Iterable[str]) -> dict[str, str]:
    """Those of our own variables that a child process may see."""
    return {name: os.environ[name] for name in names if name in os.environ}


_UNPREFIXED = {
    "nomad_addr": "NOMAD_ADDR",
    "nomad_token": "NOMAD_TOKEN",
    "nomad_alloc_id": "NOMAD_ALLOC_ID",
    "nomad_ca_file": "NOMAD_CACERT",
    "nomad_client_cert": "NOMAD_CLIENT_CERT",
    "nomad_client_key": "NOMAD_CLIENT_KEY",
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
