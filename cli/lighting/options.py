"""What every command of `eclor lighting` that asks the API takes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from cli.api_options import api_options

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
