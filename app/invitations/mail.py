"""Invitations by mail, where ``PAAS_SMTP_URL`` is set: the link goes to the invited address, too.

What cannot be sent fails nothing: whoever invites has the link, and is told that it was not sent.
"""

from __future__ import annotations

import asyncio
import logging
import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from urllib.parse import parse_qs, unquote, urlsplit

from sqlalchemy import event

from app.access.actor import Actor
from app.db import WriteSession
from app.errors import InvalidInput
from app.models import Invitation, Organization, Project
from app.settings import Settings

logger = logging.getLogger(__name__)

_SECONDS = 20
_TEXT = """{inviter} invites you to be {role} of {place}, on the platform at {url}.

Accept it here, once, before {expires}:

{link}

If you do not know what this is about, you need not do anything.
"""


@dataclass(frozen=True)
class Letter:
    to: str
    subject: str
    text: str
    link: str


def link_of(settings: Settings, secret: str) -> str:
    """The secret is behind the ``#``, so that no log of a server or proxy ever has it."""
    return f"{settings.external_url}/auth/#invitation={secret}"


def letter_of(
    settings: Settings,
    actor: Actor,
    organization: Organization,
    project: Project | None,
    invitation: Invitation,
    secret: str,
) -> Letter:
    place = organization.slug if project is None else f"{organization.slug}/{project.slug}"
    link = link_of(settings, secret)
    text = _TEXT.format(
        inviter=actor.name,
        role=invitation.role.value,
        place=place,
        url=settings.external_url,
        expires=f"{invitation.expires_at:%Y-%m-%d %H:%M} UTC",
        link=link,
    )
    return Letter(invitation.email, f"Invitation to {place}", text, link)


_sending: set[asyncio.Task[bool]] = set()
"""Tasks that nobody awaits; without being held they might be collected."""


def send_after_commit(session: WriteSession, settings: Settings, letter: Letter) -> None:
    """Where nobody waits for what becomes of it. Never sent for a transaction that is rolled back."""

    def send_now(_: object) -> None:
        task = asyncio.create_task(send(settings, letter))
        _sending.add(task)
        task.add_done_callback(_sending.discard)

    if settings.smtp_url:
        event.listen(session.sync_session, "after_commit", send_now, once=True)


async def send(settings: Settings, letter: Letter) -> bool:
    """Whether a mail server took it. What went wrong is in the log, without the link."""
    if not settings.smtp_url:
        return False
    try:
        await asyncio.to_thread(_send, settings, letter)
    except (OSError, smtplib.SMTPException, InvalidInput) as error:
        logger.error("An invitation to %s was not sent: %s", letter.to, error)
        return False
    return True


def _send(settings: Settings, letter: Letter) -> None:
    """Blocks. Raises OSError or SMTPException; InvalidInput for a setting that cannot be."""
    server = urlsplit(settings.smtp_url)
    if server.scheme not in {"smtp", "smtps"} or not server.hostname or not settings.smtp_from:
        raise InvalidInput("PAAS_SMTP_URL is no smtp:// URL, or PAAS_SMTP_FROM is not set.")
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = (
        settings.smtp_from,
        letter.to,
        letter.subject,
    )
    message.set_content(letter.text)
    context = ssl.create_default_context()
    if server.scheme == "smtps":
        client: smtplib.SMTP = smtplib.SMTP_SSL(
            server.hostname, server.port or 465, timeout=_SECONDS, context=context
        )
    else:
        client = smtplib.SMTP(server.hostname, server.port or 587, timeout=_SECONDS)
    with client:
        client.ehlo()
        must = parse_qs(server.query).get("tls") == ["required"]
        if server.scheme == "smtp" and (must or client.has_extn("starttls")):
            client.starttls(context=context)
        if server.username:
            client.login(unquote(server.username), unquote(server.password or ""))
        client.send_message(message)
