"""``paas completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "fish", "zsh"]))
def completion(shell: str) -> None:
    """Print what makes SHELL complete `paas` commands and options.

    \b
    paas completion bash >> ~/.bashrc
    paas completion zsh  >> ~/.zshrc
    paas completion fish >  ~/.config/fish/completions/paas.fish
    """
    from app.cli.main import cli

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "paas", "_PAAS_COMPLETE").source())
