"""``paas login``, ``logout``, ``whoami``."""

from __future__ import annotations

import sys

import click

from app.cli import hosts
from app.cli.client.transport import Client
from app.cli.client.viewer import WhoAmI, who_am_i
from app.cli.failures import NotSignedIn
from app.cli.output import facts, json_option, print_json, say
from app.cli.target import Here, acts_on

_LOCAL = "http://127.0.0.1:7070"


@click.command()
@click.argument("host", required=False, envvar="PAAS_HOST")
@click.option(
    "--browser", "way", flag_value="browser", help="In the browser; the default on a terminal."
)
@click.option(
    "--token", "way", flag_value="token", help="With an API token; the default in a pipe."
)
def login(host: str | None, way: str | None) -> None:
    """Sign in to a platform, in the browser or with an API token.

    The browser gives this machine a token of its own, for 180 days. Another token is asked for, or read
    from what is piped in: `paas tokens create` makes one, `paas up` wrote the first one to a file. It is
    kept in ~/.config/paas/hosts.json, which only you can read.

    \b
    paas login https://paas.example.com
    paas login --token
    paas login http://127.0.0.1:7070 < ~/.local/share/paas/admin.token
    """
    known = hosts.load()
    chosen = hosts.normal(host or known.current or _LOCAL)
    if chosen.startswith("http://") and not _is_this_machine(chosen):
        say(f"{chosen} is not encrypted: whoever is on the way can read your token.")
    token = _token(chosen, way or ("browser" if sys.stdin.isatty() else "token"))
    viewer = _viewer(chosen, token)
    name = viewer.user.name if viewer.user is not None else ""
    known.hosts[chosen] = hosts.Host(token=token, user=name)
    known.current = chosen
    hosts.save(known)
    say(f"Signed in to {chosen} as {name}.")


def _is_this_machine(host: str) -> bool:
    from urllib.parse import urlsplit

    name = urlsplit(host).hostname or ""
    return name in {"localhost", "127.0.0.1", "::1"} or name.endswith(".localhost")


def _token(host: str, way: str) -> str:
    if way == "browser":
        from app.cli.browser import token_from_browser

        return token_from_browser(host)
    if sys.stdin.isatty():
        return str(click.prompt(f"API token for {host}", hide_input=True, err=True)).strip()
    return sys.stdin.read(4096).strip()


def _viewer(host: str, token: str) -> WhoAmI:
    """Raises NotSignedIn for a token that is no good."""
    if not token or not token.isprintable() or not token.isascii():
        raise NotSignedIn("That is no API token.", hint=f"Pipe it in: paas login {host} < FILE")
    viewer = who_am_i(Client(host, token))
    if viewer is None:
        raise NotSignedIn(f"{host} does not know this token.")
    return viewer


@click.command()
@click.option(
    "--host", envvar="PAAS_HOST", metavar="URL", help="Where; the one you signed in to last."
)
def logout(host: str | None) -> None:
    """Forget the token of a platform. `paas tokens revoke` also ends it there."""
    known = hosts.load()
    chosen = hosts.normal(host) if host else known.current
    if known.hosts.pop(chosen, None) is None:
        say("You are not signed in.")
        return
    if known.current == chosen:
        known.current = next(iter(known.hosts), "")
    hosts.save(known)
    say(f"Signed out of {chosen}.")


@click.command()
@json_option
@acts_on()
def whoami(here: Here, as_json: bool) -> None:
    """Who you are, for which platform, and by which token."""
    viewer = _viewer(here.host, here.token)
    if as_json:
        print_json({"host": here.host, "user": viewer.user, "token": viewer.token})
        return
    user, token = viewer.user, viewer.token
    facts(
        [
            ("Host", here.host),
            ("User", user.name if user else None),
            ("Operator", bool(user and user.is_admin)),
            ("Token", token.name if token else None),
            ("Expires", (token.expires_at if token else None) or "never"),
        ]
    )
