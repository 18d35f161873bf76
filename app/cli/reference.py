"""``python -m app.cli.reference``: write ``docs/cli.md`` from the commands, or with ``--check`` compare."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from inspect import cleandoc
from pathlib import Path

import click

from app.cli.failures import EXIT_CODES
from app.cli.main import cli

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
_EVERYWHERE = ("at_org", "at_project", "at_app", "at_env", "host", "as_json", "wait")

_INTRODUCTION = """\
# The command line

`paas` is a client of the [GraphQL API](api.md): whatever it does, a program can do. This page is made from the
commands (`make cli-docs`); `paas COMMAND --help` says the same.

    paas login https://paas.example.com
    paas init acme/storefront/web --create      # links the directory, adds the git remote
    git push paas main                          # or: paas deploy, with what is not committed
    paas logs -f
    paas env set API_KEY < key.txt
    paas rollback

**What a command acts on** is said by flags, else by variables, else by `.paas.toml` of the directory or one above it
in the clone. A name of that file counts only below what it was linked to: with `--project other`, its app is not meant.

| | flag | variable |
|---|---|---|
| platform | `--host` | `PAAS_HOST`; else the one signed in to last |
| organization | `--org`, `-o` | `PAAS_ORG` |
| project | `--project`, `-p`; also `ORG/PROJECT` | `PAAS_PROJECT` |
| app | `--app`, `-a`; also `ORG/PROJECT/APP` | `PAAS_APP` |
| environment | `--env`, `-e` | `PAAS_ENV`; else the project's default |

**Tokens.** `paas login` gets one in the browser, or takes one (`--token`, or piped in). They are kept in
`$XDG_CONFIG_HOME/paas/hosts.json`, which only you can read; git asks `paas` for them. `PAAS_TOKEN` is the token of
`PAAS_HOST`, and wins ([CI](ci.md)). It is not sent to a platform that only a `.paas.toml` names.

**Output.** Results go to stdout; progress and remarks to stderr. On a terminal there are tables, colours (`NO_COLOR`
turns them off) and a spinner; in a pipe the rows alone, with tabs between columns. `--json` prints the fields of the
GraphQL schema. Commands that deploy wait until it has ended (`--wait`); `--no-wait` only queues. Ctrl-C stops the
watching, never the deployment.

**Exit codes.**
"""


def page() -> str:
    context = click.Context(cli, info_name="paas")
    parts = [_INTRODUCTION, "| code | |\n|---|---|"]
    parts[-1] += "".join(f"\n| {code} | {meaning} |" for code, meaning in EXIT_CODES)
    for title, commands in cli.sections.items():
        parts.append(f"## {title}")
        for name in commands:
            found = cli.get_command(context, name)
            assert found is not None
            parts.extend(_command(click.Context(found, parent=context, info_name=name)))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _command(context: click.Context) -> Iterator[str]:
    command = context.command
    yield f"### `{context.command_path}{_arguments(context)}`"
    yield from _prose(command.help or "")
    options = [
        each for each in command.params if isinstance(each, click.Option) and not each.hidden
    ]
    own = [each for each in options if each.name not in _EVERYWHERE]
    if own:
        yield "\n".join(_option(each, context) for each in own)
    usual = [each.opts[0] for each in options if each.name in _EVERYWHERE]
    if usual:
        yield "Also " + ", ".join(f"`{name}`" for name in usual) + "."
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from _command(click.Context(found, parent=context, info_name=name))


def _arguments(context: click.Context) -> str:
    if isinstance(context.command, click.Group):
        return " …"
    named = [each for each in context.command.params if isinstance(each, click.Argument)]
    return "".join(f" {each.make_metavar(context)}" for each in named)


def _prose(text: str) -> Iterator[str]:
    """Paragraphs; what click is told not to fill is code."""
    for paragraph in cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b\n"):
            yield "\n".join(f"    {line}" for line in paragraph[2:].splitlines())
        else:
            yield paragraph


def _option(option: click.Option, context: click.Context) -> str:
    names = ", ".join(option.opts) + "".join(f" / {name}" for name in option.secondary_opts)
    value = "" if option.is_flag else f" {option.make_metavar(context)}"
    return f"- `{names}{value}`: {option.help or ''}".rstrip()


def main(arguments: Sequence[str]) -> int:
    if list(arguments) == ["--check"]:
        if PAGE.exists() and PAGE.read_text() == page():
            return 0
        sys.stderr.write("docs/cli.md is not what the commands say. Type: make cli-docs\n")
        return 1
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
