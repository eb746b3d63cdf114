"""Where an export goes: a file that appears when it is complete, or standard output."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, TypeVar

import click

from cli.provision.session import UsageFault

_F = TypeVar("_F", bound=Callable[..., Any])


def output(command: _F) -> _F:
    """The option `-o FILE`."""
    option = click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File to write, replaced once the new one is complete.  [default: standard output]",
    )
    return option(command)


def save(pieces: Iterable[bytes], output: Path | None) -> None:
    """Write `pieces` as they come, with a count on a terminal's standard error."""
    if output is None:
        _write(pieces, sys.stdout.buffer)
        return
    part = output.with_name(output.name + ".part")
    try:
        with part.open("wb") as file:
            size = _write(pieces, file)
        part.replace(output)
    except OSError as exc:
        raise UsageFault(f"{output} cannot be written: {exc.strerror or exc}") from exc
    finally:
        part.unlink(missing_ok=True)
    click.echo(f"{output}: {size:,} bytes", err=True)


def _write(pieces: Iterable[bytes], file: IO[bytes]) -> int:
    """How many bytes were written."""
    size = 0
    with click.progressbar(
        pieces,
        label="receiving",
        file=sys.stderr,
        hidden=not sys.stderr.isatty() or file.isatty(),
        item_show_func=lambda _: f"{size / 1e6:.1f} MB",
    ) as shown:
        for piece in shown:
            size += file.write(piece)
    return size
