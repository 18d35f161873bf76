"""``paas init``: a directory and its app; ``paas credential``: what git asks for the token."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import urlsplit

import click

from app.cli import git, hosts, link
from app.cli.client import apps, organizations, projects
from app.cli.failures import ClientFailure
from app.cli.output import say
from app.cli.target import Here, acts_on, token_for
from app.errors import PaasError


@click.command()
@click.argument("path", metavar="ORG/PROJECT/APP", required=False)
@click.option("--create", is_flag=True, help="Make what is not there yet.")
@click.option("--remote", default="paas", show_default=True, help="What the git remote is called.")
@acts_on("org", "project", "app", "env")
def init(here: Here, path: str | None, create: bool, remote: str) -> None:
    """Link this directory to an app, and add its git remote.

    Commands in it are then about that app, and git gets your token from `paas` when it pushes.
    The link is .paas.toml, which holds no secret.

    \b
    paas init acme/storefront/web --create
    git push paas main
    """
    if path is not None:
        parts = path.split("/")
        if len(parts) != 3 or not all(parts):
            raise click.UsageError("Name the app as ORG/PROJECT/APP.")
        here = here.at(*parts)
    here.path()
    if create:
        _create(here)
    url = _remote_url(here)
    folder = Path.cwd()
    clone = git.clone_of(folder)
    wanted = link.Link(here.host, here.organization, here.project, here.app, here.asked_environment)
    file = link.save(clone.top if clone else folder, wanted)
    say(f"Linked {file.parent} to {here.path()}.")
    if clone is None:
        say("This is no git clone. After `git init`, type `paas init` again for the remote.")
        return
    _add_remote(clone, remote, url, here.host)
    say(f"Added the git remote {remote}. Deploy with: git push {remote} main, or: paas deploy")


def _create(here: Here) -> None:
    """What is missing of the organization, the project and the app."""
    owner = organizations.organization_show(here.client, organization=here.organization)
    if owner is None:
        made = organizations.OrganizationCreateInput(slug=here.organization)
        owner = organizations.organization_make(here.client, input=made).organization
        say(f"Created the organization {here.organization}.")
    assert owner is not None
    held = projects.project_show(here.client, organization=here.organization, project=here.project)
    project_id = held.project.id if held and held.project else None
    if project_id is None:
        new = projects.ProjectCreateInput(organization_id=owner.id, slug=here.project)
        created = projects.project_make(here.client, input=new).project
        assert created is not None
        project_id = created.id
        say(f"Created the project {here.path(2)}, with the environment production ← main.")
    if _app(here) is None:
        apps.app_make(here.client, input=apps.AppCreateInput(project_id=project_id, slug=here.app))
        say(f"Created the app {here.path()}.")


def _app(here: Here) -> apps.AppShowProjectApp | None:
    found = apps.app_show(
        here.client, organization=here.organization, project=here.project, app=here.app
    )
    return found.project.app if found and found.project else None


def _remote_url(here: Here) -> str:
    found = _app(here)
    if found is None:
        missing = here.missing(3)
        missing.hint = f"Make it: paas init {here.path()} --create"
        raise missing
    return found.git_remote_url


def _add_remote(clone: git.Repository, remote: str, url: str, host: str) -> None:
    present = clone.tries("remote", "get-url", "--", remote)
    if present is None:
        clone.git("remote", "add", "--", remote, url)
    elif present != url:
        raise ClientFailure(
            f"The git remote {remote} is already {present}.",
            hint="Give ours another name: paas init --remote NAME",
        )
    parts = urlsplit(url)
    key = f"credential.{parts.scheme}://{parts.netloc}.helper"
    clone.git("config", "--local", "--replace-all", key, "")
    clone.git("config", "--local", "--add", key, git.credential_helper(host))


@click.command(hidden=True)
@click.option("--host", required=True)
@click.argument("action")
def credential(host: str, action: str) -> None:
    """What `paas init` tells git to ask for the token; see gitcredentials(7).

    git says on stdin for what it is needed, and gets username and password. Nothing is ever stored or
    erased this way.
    """
    sys.stdin.read()
    if action != "get":
        return
    try:
        token = token_for(hosts.normal(host), hosts.load(), said=True)
    except (PaasError, click.UsageError) as error:
        click.echo(
            f" !  {getattr(error, 'message', error)} {getattr(error, 'hint', None) or ''}", err=True
        )
        click.echo("quit=1")
        return
    click.echo(f"username=paas\npassword={token}")
