"""Signing in with an OpenID provider: authorization code, PKCE, state and nonce, by authlib.

This is the adapter: authlib's and its HTTP client's exceptions end here. What an answer means for our
users is decided in ``app/users/identities.py``. authlib is imported when somebody signs in that way first.
"""

from __future__ import annotations

import hmac
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.errors import ExternalFailure, InvalidInput, Unauthenticated
from app.settings import Settings
from app.users.emails import valid_email

logger = logging.getLogger(__name__)

_SCOPES = "openid email profile"
_TIMEOUT_SECONDS = 10
_METADATA_SECONDS = 3600
_LEEWAY_SECONDS = 60
_MAX_ISSUER, _MAX_SUBJECT = 500, 255
_ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Of ID tokens: signatures only that nobody but the provider can make."""


@dataclass(frozen=True)
class Attempt:
    """What the browser that was sent away has to come back with. Kept sealed in its cookie."""

    url: str
    state: str
    nonce: str
    code_verifier: str


@dataclass(frozen=True)
class Claims:
    """What the provider says of a person, its signature checked."""

    issuer: str
    subject: str
    email: str | None
    """Only if the provider says that it is verified."""
    name: str | None


class Provider:
    """The configured one. Keeps its metadata and keys for an hour."""

    def __init__(self, settings: Settings) -> None:
        """Raises InvalidInput for settings that cannot be."""
        self.issuer = settings.oidc_issuer
        parts = urlsplit(self.issuer)
        loopback = parts.hostname in {"localhost", "127.0.0.1", "::1"}
        if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
            raise InvalidInput("PAAS_OIDC_ISSUER must begin with https://.")
        if not settings.oidc_client_id:
            raise InvalidInput("PAAS_OIDC_ISSUER is set, and PAAS_OIDC_CLIENT_ID is not.")
        self._settings = settings
        self._redirect_uri = f"{settings.external_url}/auth/oidc/callback"
        self._client: Any = None
        self._client_until = 0.0

    async def begin(self) -> Attempt:
        """Raises ExternalFailure when the provider does not answer, or is not who it should be."""
        client = await self._ready()
        made = client.create_authorization_url
        found = await self._asked(made(self._redirect_uri))
        return Attempt(found["url"], found["state"], found["nonce"], found["code_verifier"])

    async def complete(self, query: dict[str, str], attempt: Attempt) -> Claims:
        """Raises Unauthenticated when the answer is not one to this attempt, or the person was refused."""
        if not hmac.compare_digest(query.get("state", "").encode(), attempt.state.encode()):
            raise _refused("The answer does not belong to this browser's attempt to sign in.")
        if query.get("iss", self.issuer) != self.issuer:
            raise _refused("The answer comes from another provider than was asked.")
        if "error" in query or "code" not in query:
            raise _refused("The provider did not sign you in.")
        client = await self._ready()
        token = await self._asked(
            client.fetch_access_token(
                redirect_uri=self._redirect_uri,
                code=query["code"],
                state=attempt.state,
                code_verifier=attempt.code_verifier,
            )
        )
        if "id_token" not in token:
            raise _refused("The provider's answer has no ID token.")
        parsed = client.parse_id_token(token, nonce=attempt.nonce, leeway=_LEEWAY_SECONDS)
        claims = dict(await self._asked(parsed))
        return self._read(await self._with_profile(client, token, claims))

    async def _with_profile(
        self, client: Any, token: Any, claims: dict[str, Any]
    ) -> dict[str, Any]:
        """Providers may tell e-mail and name at their userinfo endpoint only."""
        metadata = await client.load_server_metadata()
        if "email" in claims or "userinfo_endpoint" not in metadata:
            return claims
        profile = dict(await self._asked(client.userinfo(token=token)))
        if profile.get("sub") != claims["sub"]:
            raise _refused("The provider speaks of two different people.")
        return {**profile, **claims}

    def _read(self, claims: dict[str, Any]) -> Claims:
        subject = str(claims["sub"])
        if not 0 < len(subject) <= _MAX_SUBJECT or "\0" in subject:
            raise _refused("The provider's answer has no usable subject.")
        email, name = claims.get("email"), claims.get("preferred_username") or claims.get("name")
        return Claims(
            issuer=self.issuer,
            subject=subject,
            email=_verified(email) if claims.get("email_verified") is True else None,
            name=name if isinstance(name, str) else None,
        )

    async def _ready(self) -> Any:
        if self._client is not None and time.monotonic() < self._client_until:
            return self._client
        client = _client(self._settings)
        metadata = await self._asked(client.load_server_metadata())
        if metadata.get("issuer") != self.issuer:
            raise ExternalFailure(
                f"The OpenID provider calls itself {metadata.get('issuer')!r}.",
                hint="Set PAAS_OIDC_ISSUER to exactly that, if it is right.",
            )
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        metadata["id_token_signing_alg_values_supported"] = sorted(_ALGORITHMS & set(offered))
        self._client, self._client_until = client, time.monotonic() + _METADATA_SECONDS
        return client

    async def _asked(self, asking: Any) -> Any:
        """The provider's answer. Raises ExternalFailure or Unauthenticated for whatever was wrong with it."""
        import httpx2
        from authlib.common.errors import AuthlibBaseError
        from joserfc.errors import JoseError

        try:
            return await asking
        except (AuthlibBaseError, JoseError) as error:
            logger.warning("The OpenID provider's answer was refused: %s", error)
            raise _refused("The provider's answer is not valid, or was used already.") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, KeyError, RuntimeError) as error:
            logger.warning("The OpenID provider did not answer as it should: %r", error)
            raise ExternalFailure(
                "The OpenID provider did not answer as it should.",
                hint="Try again in a moment, or sign in with a password.",
            ) from error


def _client(settings: Settings) -> Any:
    from authlib.integrations.starlette_client import StarletteOAuth2App

    return StarletteOAuth2App(
        None,
        name="oidc",
        client_id=settings.oidc_client_id,
        client_secret=_secret(settings) or None,
        server_metadata_url=f"{settings.oidc_issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={
            "scope": _SCOPES,
            "code_challenge_method": "S256",
            "timeout": _TIMEOUT_SECONDS,
        },
    )


def _secret(settings: Settings) -> str:
    """Raises InvalidInput when the file cannot be read."""
    if not settings.oidc_client_secret_file:
        return settings.oidc_client_secret
    try:
        return Path(settings.oidc_client_secret_file).read_text().strip()
    except OSError as error:
        raise InvalidInput(
            f"PAAS_OIDC_CLIENT_SECRET_FILE cannot be read: {error.strerror}."
        ) from error


def _verified(email: object) -> str | None:
    try:
        return valid_email(str(email))
    except InvalidInput:
        return None


def _refused(what: str) -> Unauthenticated:
    return Unauthenticated(what, hint="Begin again at /auth/oidc/start.")
