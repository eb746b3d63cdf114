"""`eclor export readings`: rows of a range as CSV or Arrow."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.export.saving import output as output_option
from cli.export.saving import save
from cli.export.span import span, with_zone
from cli.lighting.options import reaching
from cli.provision.session import RemoteName, UsageFault
from protocols.quantities import Kind

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from cli.provision.session import Session

FORMATS = ("csv", "arrow")


@click.command()
@click.argument("kind", type=click.Choice([kind.label for kind in Kind]))
@span
@click.option(
    "--resolution",
    type=click.Choice(["auto", "raw", "hour", "day"]),
    default="auto",
    show_default=True,
    help="What a row is; auto: readings up to 2 days, hours up to 62, days beyond.",
)
@click.option("--territory", type=RemoteName("territories"), help="Only this territory.")
@click.option("--gateway", type=RemoteName("gateways"), help="Only this gateway.")
@click.option("--device", multiple=True, help="Only this device of it; may be repeated.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="[default: by the suffix of the file, else csv]",
)
@output_option
@reaching
def readings(
    *,
    session: Session,
    kind: str,
    start: datetime,
    until: datetime | None,
    zone: ZoneInfo,
    resolution: str,
    territory: str | None,
    gateway: str | None,
    device: tuple[str, ...],
    form: str | None,
    output: Path | None,
) -> None:
    """Write readings of KIND, or their hours or days, as one file of any length.

    CSV has a head line and times in UTC; an Arrow stream (.arrow) is read with its types by pandas,
    Polars, DuckDB and R, which also make Parquet of it. Readings of every gateway are given by the
    month at most.

    \b
    Examples:
      eclor export readings light --from 2026-01-01 --to 2026-02-01 --resolution hour -o lamps.csv
      eclor export readings feeder --gateway cab-centre-1 --from 2026-01-31T18:00 -o feeder.arrow
    """
    form = form or _by_suffix(output)
    if form == "arrow" and output is None and sys.stdout.isatty():
        raise UsageFault("an Arrow stream is nothing for a terminal: name a file with -o")
    asked = {
        "kind": kind,
        "from": with_zone(start, zone),
        "to": with_zone(until or datetime.now(UTC), zone),
        "resolution": resolution,
        "format": form,
        "territory": territory,
        "gateway": gateway,
        "device": device,
    }
    with session.client() as client, client.download("/export/readings", asked) as answer:
        row = {"raw": "a reading", "hour": "an hour", "day": "a civil day"}
        click.echo(f"each row is {row[answer.headers['Eclor-Resolution']]}", err=True)
        save(answer.iter_bytes(), output)


def _by_suffix(output: Path | None) -> str:
    if output is None or output.suffix == ".csv":
        return "csv"
    if output.suffix in (".arrow", ".arrows"):
        return "arrow"
    raise UsageFault(f"{output}: what is it to hold? Name it .csv or .arrow, or say --format")
