"""Where Nomad is and what to show it: addresses, tokens and certificates, from the settings."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from app.errors import InvalidInput
from app.settings import Settings


@dataclass(frozen=True)
class Connection:
    address: str
    token: str = ""
    namespace_token: str = ""
    """A management token for creating and deleting namespaces, and for nothing else; may be empty."""
    ca_file: str = ""
    client_cert: str = ""
    client_key: str = ""

    def ssl_context(self) -> ssl.SSLContext | None:
        if not self.address.startswith("https"):
            return None
        context = ssl.create_default_context(cafile=self.ca_file or None)
        if self.client_cert:
            context.load_cert_chain(self.client_cert, self.client_key or None)
        return context


def connection_of(settings: Settings) -> Connection:
    """Raises InvalidInput when an address is missing or a token's file cannot be read."""
    if not settings.nomad_addr:
        raise InvalidInput(
            "No address of Nomad is set.",
            field="nomad_addr",
            hint="Set PAAS_NOMAD_ADDR (or NOMAD_ADDR), such as http://127.0.0.1:4646.",
        )
    return Connection(
        address=settings.nomad_addr.rstrip("/"),
        token=settings.nomad_token or _read(settings.nomad_token_file, "PAAS_NOMAD_TOKEN_FILE"),
        namespace_token=_read(
            settings.nomad_namespace_token_file, "PAAS_NOMAD_NAMESPACE_TOKEN_FILE"
        ),
        ca_file=settings.nomad_ca_file,
        client_cert=settings.nomad_client_cert,
        client_key=settings.nomad_client_key,
    )


def _read(file: str, variable: str) -> str:
    if not file:
        return ""
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise InvalidInput(
            f"{variable}: {file} cannot be read: {error.strerror}",
            hint="It must hold the token's secret id and be readable by the platform's user.",
        ) from error
