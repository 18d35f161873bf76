"""What a command acts on: from flags, then environment variables, then the link of the directory.

A name of the link counts only below what it was linked to: with ``--project other`` its app is not meant.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from app.cli import hosts, link
from app.cli.client.transport import Client
from app.cli.failures import NotSignedIn, OutOfReach

Command = TypeVar("Command", bound=Callable[..., Any])

_LEVELS = ("organization", "project", "app")
_FLAGS = {"organization": "--org", "project": "--project", "app": "--app"}
_VARIABLES = {
    "organization": "PAAS_ORG",
    "project": "PAAS_PROJECT",
    "app": "PAAS_APP",
    "environment": "PAAS_ENV",
}


@dataclass(frozen=True)
class Instance:
    """One app in one environment, as the platform knows it."""

    id: str
    url: str
    environment: str
    git_remote_url: str


@dataclass(frozen=True)
class Here:
    """Who is asked, and about what; an empty name was not said."""

    host: str
    token: str
    names: tuple[str, str, str]
    """Organization, project, app."""
    asked_environment: str = ""

    @functools.cached_property
    def client(self) -> Client:
        return Client(self.host, self.token)

    @property
    def organization(self) -> str:
        return self._name(0)

    @property
    def project(self) -> str:
        return self._name(1)

    @property
    def app(self) -> str:
        return self._name(2)

    def at(self, *names: str) -> Here:
        """The same platform, at another place; ``names``: organization, project, app, as far as needed."""
        return Here(self.host, self.token, (*names, "", "", "")[:3])  # type: ignore[arg-type]

    def path(self, depth: int = 3) -> str:
        """``acme/storefront/web``. Raises click.UsageError when a part of it was not said."""
        return "/".join(self._name(level) for level in range(depth))

    def _name(self, level: int) -> str:
        if not self.names[level]:
            what = _LEVELS[level]
            raise click.UsageError(
                f"Which {what}? Say {_FLAGS[what]}, set {_VARIABLES[what]},"
                " or link this directory to an app: paas init ORG/PROJECT/APP"
            )
        return self.names[level]

    @functools.cached_property
    def environment(self) -> str:
        """The one that was said, or the project's default."""
        if self.asked_environment:
            return self.asked_environment
        from app.cli.client.instances import default_environment

        organization = default_environment(
            self.client, organization=self.organization, project=self.project
        )
        project = organization and organization.project
        if not project:
            raise self.missing(2)
        if project.default_environment is None:
            raise click.UsageError("Which environment? Say --env, or set PAAS_ENV.")
        return project.default_environment.slug

    def instance(self, environment: str | None = None) -> Instance:
        """Raises OutOfReach when there is none."""
        from app.cli.client.instances import instance_find

        wanted = environment or self.environment
        organization = instance_find(
            self.client,
            organization=self.organization,
            project=self.project,
            app=self.app,
            environment=wanted,
        )
        app = organization and organization.project and organization.project.app
        if not app:
            raise self.missing(3)
        if app.instance is None:
            raise OutOfReach(
                f"There is no environment {wanted} in {self.path(2)}.",
                hint=f"See which there are: paas envs list --project {self.path(2)}",
            )
        found = app.instance
        return Instance(found.id, found.url, found.environment.slug, app.git_remote_url)

    def missing(self, depth: int) -> OutOfReach:
        """``acme/storefront/web``, as far as ``depth``, or something above it, is not there."""
        what, path = _LEVELS[depth - 1], self.path(depth)
        above = (
            "" if depth == 1 else f" --{'org' if depth == 2 else 'project'} {self.path(depth - 1)}"
        )
        return OutOfReach(
            f"There is no {what} {path} that you may know of, at {self.host}.",
            hint=f"See which there are: paas {('orgs', 'projects', 'apps')[depth - 1]} list{above}",
        )


def resolve(
    host: str | None,
    organization: str | None,
    project: str | None,
    app: str | None,
    environment: str | None,
) -> Here:
    """Raises click.UsageError or NotSignedIn."""
    linked = link.load(Path.cwd())
    known = hosts.load()
    chosen = hosts.normal(host or linked.host or known.current) if _any(host, linked, known) else ""
    if not chosen:
        raise NotSignedIn("Not signed in to any platform.", hint="Type: paas login HOST")
    names, ours = _names([organization, project, app], linked, chosen)
    return Here(
        host=chosen,
        token=token_for(chosen, known, said=host is not None or not linked.host),
        names=names,
        asked_environment=environment or (linked.environment if ours else ""),
    )


def _any(host: str | None, linked: link.Link, known: hosts.Hosts) -> bool:
    return bool(host or linked.host or known.current)


def token_for(host: str, known: hosts.Hosts, *, said: bool) -> str:
    """``said``: the user chose the host, and not a file that came with a clone: that gets no PAAS_TOKEN.

    Raises NotSignedIn or click.UsageError.
    """
    given = os.environ.get("PAAS_TOKEN", "").strip()
    if given and not said:
        raise click.UsageError(f"PAAS_TOKEN is set: say with PAAS_HOST that it is for {host}.")
    if given:
        return given
    if host not in known.hosts:
        raise NotSignedIn(f"Not signed in to {host}.", hint=f"Type: paas login {host}")
    return known.hosts[host].token


def _names(
    said: list[str | None], linked: link.Link, host: str
) -> tuple[tuple[str, str, str], bool]:
    """Organization, project and app; and whether they are those of the link.

    ``--app acme/storefront/web`` says all three, ``--project acme/storefront`` two.
    """
    for level in (2, 1):
        *above, last = (said[level] or "").split("/")
        if above:
            if len(above) > level:
                raise click.UsageError(f"{said[level]!r} has too many parts.")
            said[level - len(above) : level + 1] = [*above, last]
    ours = not linked.host or hosts.normal(linked.host) == host
    names = []
    for level, what in enumerate(_LEVELS):
        theirs = getattr(linked, what) if ours else ""
        names.append(said[level] or theirs)
        ours = ours and names[level] == theirs
    return (names[0], names[1], names[2]), ours


_OPTIONS = {
    "env": click.option("--env", "at_env", "-e", envvar="PAAS_ENV", metavar="ENV", help="Environment; the project's default."),
    "app": click.option("--app", "at_app", "-a", envvar="PAAS_APP", metavar="APP", help="App, or ORG/PROJECT/APP."),
    "project": click.option("--project", "at_project", "-p", envvar="PAAS_PROJECT", metavar="PROJECT", help="Project, or ORG/PROJECT."),
    "org": click.option("--org", "at_org", "-o", envvar="PAAS_ORG", metavar="ORG", help="Organization."),
    "host": click.option("--host", envvar="PAAS_HOST", metavar="URL", help="The platform; where you signed in last."),
}  # fmt: skip


def acts_on(*levels: str) -> Callable[[Command], Command]:
    """Options for these levels (``org`` … ``env``); the command gets a ``Here`` as its first argument."""

    def decorate(function: Command) -> Command:
        @functools.wraps(function)
        def run(
            *arguments: Any,
            host: str | None,
            at_org: str | None = None,
            at_project: str | None = None,
            at_app: str | None = None,
            at_env: str | None = None,
            **options: Any,
        ) -> Any:
            here = resolve(host, at_org, at_project, at_app, at_env)
            return function(here, *arguments, **options)

        decorated: Any = run
        for name in _OPTIONS:
            if name in {*levels, "host"}:
                decorated = _OPTIONS[name](decorated)
        return decorated  # type: ignore[no-any-return]

    return decorate
