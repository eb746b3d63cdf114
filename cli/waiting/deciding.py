"""`eclor waiting capacity|closing`: bays in use, and hours other than those of the week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from cli.lighting.options import as_json, reaching
from cli.provision.output import print_json, print_table
from cli.waiting.looking import facility_path

if TYPE_CHECKING:
    from cli.provision.session import Session

_TIME = "Time with its zone, as 2026-12-24T12:00:00+01:00."


@click.group()
def capacity() -> None:
    """Say how many bays are in use; the declared number holds again when a change ends."""


@click.group()
def closing() -> None:
    """Close a facility for a time against its week, or open it; the reason is shown to citizens."""


@capacity.command("add")
@reaching
@click.argument("facility")
@click.option("--bays", type=click.IntRange(1, 1_000), required=True, help="In use.")
@click.option("--start", metavar="TIME", help=f"From then on; now if left out. {_TIME}")
@click.option("--until", metavar="TIME", help="Until then; until it is ended if left out.")
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), help="So long, from now on.")
@click.option("--reason", required=True, help="Why, for those who read it later.")
@as_json
def add_capacity(
    *, session: Session, facility: str, bays: int, reason: str, as_json: bool, **when: Any
) -> None:
    """Say how many bays of FACILITY are in use.

    \b
    Example:
      eclor waiting capacity add recyclerie-nord --bays 4 --hours 3 --reason "Quai en travaux"
    """
    body = {"bays": bays, "reason": reason, **_span(**when)}
    made = _post(session, facility, "capacity", body)
    if as_json:
        print_json(made)
    else:
        end = made["until"] or "it is ended"
        click.echo(f"change {made['id']} of {facility}: {bays} bays until {end}")


@closing.command("add")
@reaching
@click.argument("facility")
@click.option("--start", metavar="TIME", help=f"From then on; now if left out. {_TIME}")
@click.option("--until", metavar="TIME", help="Until then.")
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), help="So long, from now on.")
@click.option("--open", "opens", is_flag=True, help="Open it instead, outside its week.")
@click.option("--reason", required=True, help="Shown to citizens.")
@as_json
def add_closing(
    *, session: Session, facility: str, opens: bool, reason: str, as_json: bool, **when: Any
) -> None:
    """Close FACILITY for a time, or open it.

    \b
    Examples:
      eclor waiting closing add recyclerie-nord --hours 2 --reason "Fermé : verglas"
      eclor waiting closing add recyclerie-nord --open --start 2026-12-20T09:00:00+01:00
        --until 2026-12-20T12:00:00+01:00 --reason "Ouverture du dimanche"
    """
    body = {"kind": "open" if opens else "closed", "reason": reason, **_span(**when)}
    if "until" not in body:
        raise click.UsageError("say how long: --until or --hours")
    made = _post(session, facility, "exceptions", body)
    if as_json:
        print_json(made)
    else:
        click.echo(f"exception {made['id']} of {facility}: {made['kind']} until {made['until']}")


@capacity.command("list")
@reaching
@click.argument("facility")
@as_json
def list_capacity(*, session: Session, facility: str, as_json: bool) -> None:
    """List the changes of the bays of FACILITY: of four weeks, of now and to come.

    \b
    Example:
      eclor waiting capacity list recyclerie-nord
    """
    _list(session, facility, "capacity", "bays", as_json=as_json)


@closing.command("list")
@reaching
@click.argument("facility")
@as_json
def list_closings(*, session: Session, facility: str, as_json: bool) -> None:
    """List the exceptions of FACILITY: of four weeks, of now and to come.

    \b
    Example:
      eclor waiting closing list recyclerie-nord
    """
    _list(session, facility, "exceptions", "kind", as_json=as_json)


@capacity.command("end")
@reaching
@click.argument("facility")
@click.argument("number", type=int)
def end_capacity(*, session: Session, facility: str, number: int) -> None:
    """End change NUMBER of FACILITY now.

    \b
    Example:
      eclor waiting capacity end recyclerie-nord 3
    """
    _end(session, f"{facility_path(facility)}/capacity/{number}")
    click.echo(f"change {number} of {facility} has ended")


@closing.command("end")
@reaching
@click.argument("facility")
@click.argument("number", type=int)
def end_closing(*, session: Session, facility: str, number: int) -> None:
    """End exception NUMBER of FACILITY now.

    \b
    Example:
      eclor waiting closing end recyclerie-nord 7
    """
    _end(session, f"{facility_path(facility)}/exceptions/{number}")
    click.echo(f"exception {number} of {facility} has ended")


def _span(*, start: str | None, until: str | None, hours: float | None) -> dict[str, str]:
    """From when until when; what is left out is not sent."""
    if hours is not None and (start is not None or until is not None):
        raise click.UsageError("--hours counts from now: give it alone, or --start and --until")
    if hours is not None:
        until = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
    given = {"start": start, "until": until}
    return {key: value for key, value in given.items() if value is not None}


def _post(session: Session, facility: str, what: str, body: dict[str, Any]) -> dict[str, Any]:
    with session.client() as client:
        return client.post(f"{facility_path(facility)}/{what}", body)


def _list(session: Session, facility: str, what: str, own: str, *, as_json: bool) -> None:
    with session.client() as client:
        items = client.read(f"{facility_path(facility)}/{what}")["items"]
    if as_json:
        print_json(items)
        return
    columns = ("id", own, "start", "until", "reason", "created_by", "ended_by", "active")
    print_table(columns, [[item[column] for column in columns] for item in items])


def _end(session: Session, path: str) -> None:
    with session.client() as client:
        client.delete(path)
