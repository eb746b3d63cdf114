"""What every command of `eclor lighting` that asks the API takes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Failure(click.ClickException):
    """The thing itself failed; exit code 1."""


def reaching(command: _F) -> Callable[..., Any]:
    """Options that say where the API is; the command gets a `session`."""

    @click.option(
        "--api-url",
        envvar="ECLOR_API_URL",
        default="http://127.0.0.1:8000",
        show_default=True,
        help="Where the API is.  [env: ECLOR_API_URL]",
    )
    @click.option(
        "--api-key-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File with the key; without it the environment: ECLOR_API_KEY.",
    )
    @functools.wraps(command)
    def run(*, api_url: str, api_key_file: Path | None, **given: Any) -> Any:
        from cli.provision.session import Session

        return command(session=Session(api_url, api_key_file), **given)

    return run
