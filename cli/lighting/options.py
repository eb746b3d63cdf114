"""What every command of `eclor lighting` that asks the API takes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.api_options import api_options

if TYPE_CHECKING:
    from cloud.registry.client import RegistryClient

_F = TypeVar("_F", bound=Callable[..., Any])

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Failure(click.ClickException):
    """The thing itself failed; exit code 1."""


def reaching(command: _F) -> Callable[..., Any]:
    """Options that say where the API is; the command gets a `session`."""

    @api_options
    @functools.wraps(command)
    def run(*, api_url: str, api_key_file: Path | None, **given: Any) -> Any:
        from cli.provision.session import Session

        return command(session=Session(api_url, api_key_file), **given)

    return run


def named(client: RegistryClient, name: str) -> list[str]:
    """The groups that `name` stands for: itself, or with a `*` in it all that it matches, as
    `pays-haut.*`."""
    if "*" not in name:
        return [name]
    pattern = name if "." in name else f"*.{name}"
    full = [f"{one['territory']}.{one['id']}" for one in client.read("/lighting/groups")["items"]]
    found = [one for one in full if fnmatchcase(one, pattern)]
    if not found:
        raise Failure(f"no lighting group is called {name}; there are {', '.join(full) or 'none'}")
    return found
