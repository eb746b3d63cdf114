"""Progress on standard error, so that standard output stays what the command prints."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def bar(label: str, length: float, *, hidden: bool = False) -> Iterator[Callable[[float], None]]:
    """A bar of `length`; call what it gives with each step. Invisible without a terminal."""
    steps = 1_000
    with click.progressbar(
        length=steps,
        label=label,
        file=sys.stderr,
        hidden=hidden or not sys.stderr.isatty(),
        show_pos=False,
    ) as shown:
        done = 0.0

        def advance(step: float) -> None:
            nonlocal done
            done = min(length, done + step)
            shown.update(int(steps * done / length) - shown.pos)

        yield advance
