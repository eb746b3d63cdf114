"""Where the API is and which key is shown to it: the options of every command that asks it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])


def api_options(command: _F) -> _F:
    """`--api-url` and `--api-key-file`; the key itself is never an argument."""
    url = click.option(
        "--api-url",
        envvar="ECLOR_API_URL",
        default="http://127.0.0.1:8000",
        show_default=True,
        help="Where the API is.  [env: ECLOR_API_URL]",
    )
    key_file = click.option(
        "--api-key-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File with the key; without it the environment: ECLOR_API_KEY.",
    )
    return url(key_file(command))
