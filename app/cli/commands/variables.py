"""``paas env``: variables of an app in one environment. ``paas scale`` too, which works the same way."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import click

from app.cli.client import instances as api
from app.cli.client.shared import DeploymentRow
from app.cli.failures import ClientFailure
from app.cli.follow import concluded
from app.cli.output import facts, json_option, print_json, table, wait_option
from app.cli.target import Here, acts_on

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

deploy_option = click.option(
    "--deploy/--no-deploy",
    default=True,
    help="Deploy it (the default), or stage it for `paas apply`.",
)


@click.group()
def env() -> None:
    """Variables that the app is started with. For environments, see `paas envs`.

    \b
    paas env set DEBUG=true --env staging
    paas env set API_KEY < key.txt
    paas env import .env
    """


@env.command("list")
@click.option(
    "--values", is_flag=True, help="Print NAME=VALUE lines, which `paas env import` reads."
)
@json_option
@acts_on("org", "project", "app", "env")
def list_variables(here: Here, values: bool, as_json: bool) -> None:
    """By name. Values are shown to whoever may read them, with --values or --json."""
    found = api.variable_list(here.client, id=here.instance().id)
    if found is None:
        raise here.missing(3)
    if as_json:
        print_json(found.env_vars)
        return
    if values:
        if any(each.value is None for each in found.env_vars):
            raise ClientFailure("Your role may not read values.", hint="Leave --values out.")
        for each in found.env_vars:
            click.echo(f"{each.name}={_quoted(each.value or '')}")
        return
    rows = [
        (each.name, "yes" if each.is_build else "no", each.updated_at) for each in found.env_vars
    ]
    table(["NAME", "FOR THE BUILD", "CHANGED"], rows)


def _quoted(value: str) -> str:
    """As dotenv files write it, when it is not plain."""
    if re.fullmatch(r"[A-Za-z0-9_./:@%+,=-]*", value):
        return value
    escaped = (
        value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    )
    return f'"{escaped}"'


@env.command("set")
@click.argument("assignments", nargs=-1, required=True, metavar="NAME=VALUE… | NAME")
@click.option("--file", type=click.File("r"), help="Read NAME's value from it.")
@click.option("--build", "is_build", is_flag=True, default=None, help="The build gets it too.")
@deploy_option
@wait_option
@json_option
@acts_on("org", "project", "app", "env")
def set_variables(
    here: Here,
    assignments: Sequence[str],
    file: IO[str] | None,
    is_build: bool | None,
    deploy: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Set variables, and deploy that: one new release, nothing is built.

    A value on the command line is seen by whoever lists the machine's processes. For a secret name the
    variable alone: its value is asked for, or read from what is piped in or from --file, where one line
    break at its end is left out.

    \b
    paas env set DEBUG=true GREETING="Good morning"
    paas env set API_KEY                  asks for it
    paas env set API_KEY < key.txt
    """
    variables = [
        api.EnvVarInput(name=name, value=value, is_build=is_build)
        for name, value in _assigned(assignments, file)
    ]
    _put(here, variables, deploy=deploy, wait=wait, as_json=as_json)


@env.command("import")
@click.argument("file", type=click.File("r"), metavar="FILE|-")
@deploy_option
@wait_option
@json_option
@acts_on("org", "project", "app", "env")
def import_variables(here: Here, file: IO[str], deploy: bool, wait: bool, as_json: bool) -> None:
    """Set every variable of a .env file at once. Others stay as they are."""
    variables = [api.EnvVarInput(name=name, value=value) for name, value in _parsed(file)]
    if not variables:
        raise click.UsageError(f"{file.name} holds no variables.")
    _put(here, variables, deploy=deploy, wait=wait, as_json=as_json)


def _put(
    here: Here, variables: Sequence[api.EnvVarInput], *, deploy: bool, wait: bool, as_json: bool
) -> None:
    wanted = api.EnvVarsSetInput(vars=variables, deploy=deploy)
    made = api.variables_put(here.client, instance_id=here.instance().id, input=wanted)
    _end(here, made.deployment, deploy=deploy, wait=wait, as_json=as_json)


@env.command("unset")
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@deploy_option
@wait_option
@json_option
@acts_on("org", "project", "app", "env")
def unset_variables(
    here: Here, names: Sequence[str], deploy: bool, wait: bool, as_json: bool
) -> None:
    """Remove variables, and deploy that."""
    made = api.variables_drop(
        here.client, instance_id=here.instance().id, names=names, deploy=deploy
    )
    _end(here, made.deployment, deploy=deploy, wait=wait, as_json=as_json)


@click.command()
@click.option("--replicas", "-r", type=click.IntRange(0), help="How many copies; 0 stops it.")
@click.option(
    "--cpu", type=click.IntRange(1), metavar="MILLIS", help="Thousandths of a core, each."
)
@click.option("--memory", type=click.IntRange(1), metavar="MB", help="Of each copy.")
@deploy_option
@wait_option
@json_option
@acts_on("org", "project", "app", "env")
def scale(
    here: Here,
    replicas: int | None,
    cpu: int | None,
    memory: int | None,
    deploy: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """How many copies run, and what each may use. Without options: show it.

    \b
    paas scale --replicas 3
    paas scale --memory 512 --env staging
    """
    instance = here.instance()
    if replicas is cpu is memory is None:
        found = api.scale_show(here.client, id=instance.id)
        if found is None:
            raise here.missing(3)
        if as_json:
            print_json(found.scale)
        else:
            size = found.scale
            facts(
                [("Replicas", size.replicas), ("CPU", size.cpu_millis), ("Memory", size.memory_mb)]
            )
        return
    wanted = api.ScaleInput(replicas=replicas, cpu_millis=cpu, memory_mb=memory, deploy=deploy)
    made = api.scale_change(here.client, instance_id=instance.id, input=wanted)
    _end(here, made.deployment, deploy=deploy, wait=wait, as_json=as_json)


def _end(
    here: Here, made: DeploymentRow | None, *, deploy: bool, wait: bool, as_json: bool
) -> None:
    if made is None and not deploy and not as_json:
        click.echo("Staged. Deploy it with: paas apply", err=True)
        return
    concluded(here.client, made, wait=wait, as_json=as_json)


def _assigned(assignments: Sequence[str], file: IO[str] | None) -> Iterator[tuple[str, str]]:
    """Raises click.UsageError."""
    bare = [each for each in assignments if "=" not in each]
    if len(bare) > 1 or (file is not None and len(bare) != 1):
        raise click.UsageError("Only one value can be read: name one variable without a value.")
    for each in assignments:
        name, separator, value = each.partition("=")
        if not _NAME.fullmatch(name):
            raise click.UsageError(f"{name!r} cannot be a variable's name.")
        yield name, value if separator else _read(name, file)


def _read(name: str, file: IO[str] | None) -> str:
    if file is None and sys.stdin.isatty():
        return str(click.prompt(name, hide_input=True, err=True))
    try:
        text = (file or sys.stdin).read()
    except UnicodeDecodeError as error:
        raise click.UsageError(f"The value of {name} is no text in UTF-8.") from error
    return text[:-1] if text.endswith("\n") else text


def _parsed(file: IO[str]) -> Iterator[tuple[str, str]]:
    """Of a dotenv file, nothing interpolated. Raises click.UsageError for a line that is none."""
    from dotenv.parser import parse_stream

    for binding in parse_stream(file):
        if binding.error:
            raise click.UsageError(
                f"{Path(file.name).name}, line {binding.original.line}: this is no NAME=VALUE."
            )
        if binding.key is not None and binding.value is not None:
            yield binding.key, binding.value
