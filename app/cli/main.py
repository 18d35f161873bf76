"""``paas``: the platform's own command. Nothing heavy is imported here; ``--help`` must be instant."""

from __future__ import annotations

import sys

import click

from app.cli.lazy import LazyGroup
from app.errors import PaasError

_COMMANDS = "app.cli.commands"

_SECTIONS = {
    "Deploy and run": {
        "init": (f"{_COMMANDS}.linking:init", "Link this directory to an app; add its git remote."),
        "deploy": (f"{_COMMANDS}.deploying:deploy", "Deploy the files here, or a git ref."),
        "status": (f"{_COMMANDS}.looking:status", "How the app is doing."),
        "logs": (f"{_COMMANDS}.logs:logs", "What the app, or its build, wrote."),
        "open": (f"{_COMMANDS}.looking:open_app", "Open the app in a browser."),
        "env": (f"{_COMMANDS}.variables:env", "Variables: list, set, unset, import."),
        "scale": (f"{_COMMANDS}.variables:scale", "How many copies run, and their size."),
        "plan": (f"{_COMMANDS}.deploying:plan", "What a deployment would change."),
        "apply": (f"{_COMMANDS}.deploying:apply", "Deploy what was staged."),
        "rollback": (f"{_COMMANDS}.deploying:rollback", "Go back to an earlier deployment."),
        "promote": (
            f"{_COMMANDS}.deploying:promote",
            "Deploy what one environment runs to another.",
        ),
        "cancel": (f"{_COMMANDS}.deploying:cancel", "Cancel a deployment."),
        "deployments": (f"{_COMMANDS}.looking:deployments", "What was deployed: list, show."),
    },
    "Organize": {
        "orgs": (f"{_COMMANDS}.organizations:orgs", "Organizations."),
        "projects": (f"{_COMMANDS}.projects:projects", "Projects."),
        "envs": (f"{_COMMANDS}.environments:envs", "Environments, and which branches go there."),
        "apps": (f"{_COMMANDS}.apps:apps", "Apps."),
        "members": (f"{_COMMANDS}.members:members", "Who belongs to an organization."),
    },
    "You": {
        "login": (f"{_COMMANDS}.sign_in:login", "Sign in to a platform."),
        "logout": (f"{_COMMANDS}.sign_in:logout", "Forget a platform's token."),
        "whoami": (f"{_COMMANDS}.sign_in:whoami", "Who you are, and where."),
        "tokens": (f"{_COMMANDS}.tokens:tokens", "API tokens, for CI and scripts."),
        "completion": (f"{_COMMANDS}.completion:completion", "Completion for bash, zsh and fish."),
    },
    "Operate a platform, on its own machine": {
        "up": ("app.cli.up:up", "Start the whole platform on this machine; Ctrl-C stops it."),
        "down": ("app.cli.up:down", "Stop a platform that was started with `paas up`."),
        "doctor": (
            "app.cli.doctor:doctor",
            "Say what is missing on this machine, and what to type.",
        ),
        "admin": ("app.cli.admin:admin", "Users, tokens, purging, key rotation."),
        "engine": ("app.cli.engine:engine", "Find or build Nomad and Consul."),
        "migrate": ("app.cli.processes:migrate", "Bring the database's schema up to date."),
        "serve": ("app.cli.processes:serve", "Run the API process."),
        "worker": ("app.cli.processes:worker", "Run a worker process."),
        "agent": ("app.cli.processes:agent", "Run the embedded engine's agent process."),
        "version": ("app.cli.processes:version", "Print the version."),
    },
}
_HIDDEN = {"credential": (f"{_COMMANDS}.linking:credential", "What git asks for the token.")}

_EPILOG = """\b
The first time:
  paas login https://paas.example.com
  paas init acme/storefront/web --create
  git push paas main

\b
What a command acts on is said by --org, --project, --app, --env and --host, else by PAAS_ORG,
PAAS_PROJECT, PAAS_APP, PAAS_ENV and PAAS_HOST, else by the directory (paas init).
PAAS_TOKEN is the token of PAAS_HOST, for CI. Reading commands take --json.

\b
Exit codes: 0 done · 1 failed or refused · 2 usage · 3 not signed in · 4 not found or not allowed ·
5 the platform does not answer · 130 interrupted
"""

cli = LazyGroup(
    sections=_SECTIONS,
    hidden=_HIDDEN,
    name="paas",
    help="Push a git branch, get a running, routed application on your own machines.",
    epilog=_EPILOG,
)


def main(arguments: list[str] | None = None) -> None:
    """The console script. A failure with a code of ours is two lines and its exit code, not a traceback."""
    try:
        cli.main(arguments, prog_name="paas", standalone_mode=False)
    except PaasError as error:
        _complain(error.message, error.hint)
        sys.exit(getattr(error, "exit_code", 1))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.Abort as abort:
        sys.exit(130 if isinstance(abort.__cause__, KeyboardInterrupt) else 1)


def _complain(message: str, hint: str | None) -> None:
    click.echo(f" !  {message}", err=True)
    for line in (hint or "").splitlines():
        click.echo(f"    {line}", err=True)


if __name__ == "__main__":
    main()
