"""`eclor provision`: keep the registry through the API."""

from pathlib import Path

import click

from cli.api_options import api_options
from cli.provision.documents import export, import_file, render_config
from cli.provision.objects import GROUPS
from cli.provision.session import Session

__all__ = ["provision"]


@click.group(name="provision")
@api_options
@click.pass_context
def provision(ctx: click.Context, api_url: str, api_key_file: Path | None) -> None:
    """Keep territories, sites, gateways, devices, lighting groups and facilities.

    The key needs the scope `provision`. It is never an argument: others on the machine can read
    those.

    Example: eclor provision import territory.toml --dry-run
    """
    ctx.obj = Session(api_url, api_key_file)


for _group in GROUPS:
    provision.add_command(_group)
provision.add_command(import_file)
provision.add_command(export)
provision.add_command(render_config)
