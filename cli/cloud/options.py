"""Options of every cloud command, and how a fault is told: one line a fault, never a traceback."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from cloud.settings import Settings

_F = TypeVar("_F", bound=Callable[..., Any])
_T = TypeVar("_T")


class ConfigurationFault(click.ClickException):
    """Every fault of the settings, one a line; exit code 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        click.echo(self.message, err=True)


class Failure(click.ClickException):
    """The thing itself failed; exit code 1."""


def common(command: _F) -> _F:
    """The options of every command of the group."""
    config = click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Settings file.  [default: $ECLOR_CONFIG, else /etc/eclor/cloud.toml if it exists]",
    )
    verbose = click.option("--verbose", is_flag=True, help="Log also what is normal.")
    return config(verbose(command))


JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def settings_of(path: Path | None, *, verbose: bool) -> Settings:
    """Settings and log of a role; every fault at once, exit code 2."""
    from cloud import events
    from cloud.errors import SettingsError
    from cloud.settings import load

    try:
        settings = load(path, environment=os.environ)
    except SettingsError as exc:
        raise ConfigurationFault(str(exc)) from exc
    events.configure(verbose=verbose, environment=os.environ)
    return settings


def attempt(role: Callable[[], _T]) -> _T:
    """Run it; what a user or operator can repair is one line, exit code 1."""
    import psycopg

    from cloud.errors import CloudError
    from cloud.storage.pool import explained

    try:
        return role()
    except CloudError as exc:
        raise Failure(str(exc)) from exc
    except (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege) as exc:
        raise Failure(f"the database refused: {explained(exc)}") from exc
