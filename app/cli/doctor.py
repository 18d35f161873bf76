"""``paas doctor``: what this machine has and lacks, and what to type about it. Changes nothing."""

from __future__ import annotations

import sys

import click

from app.cli.checks import CHECKS
from app.settings import load_settings

_MARKS = {"ok": "ok", "missing": " !", "optional": " -"}


@click.command()
def doctor() -> None:
    """Say what is missing on this machine, and what to type. Ends with 1 when something needed is."""
    settings = load_settings()
    findings = [finding for check in CHECKS for finding in check(settings)]
    for finding in findings:
        click.echo(f"{_MARKS[finding.level]}  {finding.text}")
        if finding.remedy:
            click.echo(f"      {finding.remedy}")
    missing = sum(finding.level == "missing" for finding in findings)
    click.echo()
    if missing:
        click.echo(f"{missing} needed, and missing: the lines marked ! say what to type.")
        sys.exit(1)
    click.echo("All that `paas up` needs is here.")
