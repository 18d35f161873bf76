"""Commands that are imported when they are run: ``paas --help`` loads click and nothing of the platform."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import click
from click.shell_completion import CompletionItem

Commands = Mapping[str, tuple[str, str]]
"""Name → (``module:attribute``, the one line that ``--help`` shows)."""


class LazyGroup(click.Group):
    """``sections``: title → the commands that ``--help`` shows below it. ``hidden`` ones it does not show."""

    def __init__(
        self,
        *,
        sections: Mapping[str, Commands],
        hidden: Commands,
        name: str,
        help: str,
        epilog: str,
    ) -> None:
        super().__init__(name=name, help=help, epilog=epilog)
        self.sections = sections
        self._shown = {name: known for part in sections.values() for name, known in part.items()}
        self._lazy = {**self._shown, **hidden}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._shown)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._lazy:
            return None
        module, _, attribute = self._lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([(name, line) for name, (_, line) in commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Without importing a command for its help."""
        names = [name for name in self._shown if name.startswith(incomplete)]
        items = [CompletionItem(name, help=self._shown[name][1]) for name in names]
        return items or click.Command.shell_complete(self, ctx, incomplete)
