"""`eclor lighting key`: the keys that sign plans."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.lighting.options import Failure, as_json

if TYPE_CHECKING:
    from cloud.lighting.signing import PlanSigner


@click.group()
def key() -> None:
    """Keys that sign lighting plans: Ed25519, in plain files.

    The private key stays with the jobs role (`jobs.plan_key_file`), the public one goes into the
    settings of every gateway (`lighting.plan_key`).
    """


@key.command("create")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@as_json
def create_key(*, file: Path, as_json: bool) -> None:
    """Make a private key in FILE and print the public one.

    \b
    Example:
      eclor lighting key create /etc/eclor/plan.key
    """
    from cloud.lighting import signing

    _show_key(lambda: signing.create(file), file, as_json=as_json)


@key.command("show")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@as_json
def show_key(*, file: Path, as_json: bool) -> None:
    """Print the public key that belongs to the private key in FILE.

    \b
    Example:
      eclor lighting key show /etc/eclor/plan.key
    """
    from cloud.lighting import signing

    _show_key(lambda: signing.load(file), file, as_json=as_json)


def _show_key(made: Callable[[], PlanSigner], file: Path, *, as_json: bool) -> None:
    from cloud.errors import CloudError

    try:
        public = made().public_key
    except CloudError as exc:
        raise Failure(str(exc)) from exc
    if as_json:
        click.echo(json.dumps({"file": str(file), "plan_key": public}))
    else:
        click.echo(f'plan_key = "{public}"')
