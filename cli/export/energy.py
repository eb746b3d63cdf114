"""`eclor export energy`: energy by civil day, for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.export.saving import output as output_option
from cli.export.saving import save
from cli.export.span import Day
from cli.lighting.options import reaching
from cli.provision.session import RemoteName

if TYPE_CHECKING:
    from cli.provision.session import Session

COLUMNS = (
    "territory",
    "name",
    "day",
    "energy_wh",
    "counted",
    "devices",
    "coverage_pct",
    "resets",
)


@click.command()
@click.option(
    "--by",
    type=click.Choice(["group", "gateway", "site", "territory"]),
    default="group",
    show_default=True,
    help="Whose energy is summed up.",
)
@click.option("--from", "start", type=Day(), required=True, help="First day.")
@click.option("--to", "until", type=Day(), required=True, help="Day after the last.")
@click.option(
    "--meter",
    type=click.Choice(["lamps", "feeder"]),
    default="lamps",
    show_default=True,
    help="Counters in the lamps, or those of the cabinets' meters.",
)
@click.option("--territory", type=RemoteName("territories"), help="Only this territory.")
@click.option("--name", help="Only this group, gateway, site or territory.")
@output_option
@reaching
def energy(
    *, session: Session, start: date, until: date, output: Path | None, **asked: str | None
) -> None:
    """Write energy by civil day as CSV: a row a day and group, gateway, site or territory.

    A day is that of the territory's clock. `coverage_pct` says how much of the devices' time the
    sum stands for.

    \b
    Examples:
      eclor export energy --from 2026-01-01 --to 2027-01-01 -o groups.csv
      eclor export energy --by site --meter feeder --from 2026-01-01 --to 2026-02-01
    """
    given = {"from": start.isoformat(), "to": until.isoformat()} | asked
    with session.client() as client:
        save(_as_csv(client.pages("/energy", **given)), output)


def _as_csv(items: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    yield _line(COLUMNS)
    for item in items:
        yield _line([item[column] for column in COLUMNS])


def _line(cells: Sequence[object]) -> bytes:
    """RFC 4180; an empty field is a null."""
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()
