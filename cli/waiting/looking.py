"""`eclor waiting show|forecast|accuracy|model`: what the API says of the waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import click

from cli.lighting.options import as_json, reaching
from cli.provision.output import print_json, print_record, print_table

if TYPE_CHECKING:
    from cli.provision.session import Session


@click.command()
@reaching
@click.argument("facility", required=False)
@as_json
def show(*, session: Session, facility: str | None, as_json: bool) -> None:
    """Show the wait at FACILITY now, or at every one.

    \b
    Examples:
      eclor waiting show
      eclor waiting show recyclerie-nord --json
    """
    if facility is not None:
        found = _read(session, f"{facility_path(facility)}/wait")
        print_json(found) if as_json else print_record(_flat(found))
        return
    items = _read(session, "/waits")["items"]
    if as_json:
        print_json(items)
        return
    columns = ("territory", "id", "status", "p50", "p80", "p95", "basis", "situation", "age_s")
    print_table(columns, [[_flat(item)[column] for column in columns] for item in items])


@click.command()
@reaching
@click.argument("facility")
@click.option("--hours", type=click.IntRange(1, 168), help="So far; today if left out.")
@click.option("--step", type=click.Choice(["15", "30", "60"]), default="15", show_default=True)
@as_json
def forecast(
    *, session: Session, facility: str, hours: int | None, step: str, as_json: bool
) -> None:
    """Show the waits to come at FACILITY, slot by slot, and the best times.

    \b
    Example:
      eclor waiting forecast recyclerie-nord --step 30
    """
    query = {"step": step}
    if hours is not None:
        query["to"] = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
    found = _read(session, f"{facility_path(facility)}/wait/forecast?{urlencode(query)}")
    if as_json:
        print_json(found)
        return
    columns = ("t", "p50", "p80", "p95", "p_admitted", "level", "live")
    print_table(columns, [[item[column] for column in columns] for item in found["items"]])
    click.echo(f"best: {', '.join(found['best_slots']) or '-'}")


@click.command()
@reaching
@click.argument("facility")
@click.option("--days", type=click.IntRange(1, 366), default=28, show_default=True)
@as_json
def accuracy(*, session: Session, facility: str, days: int, as_json: bool) -> None:
    """Show how good the waits were that were shown at FACILITY.

    \b
    Example:
      eclor waiting accuracy recyclerie-nord --days 90
    """
    found = _read(session, f"{facility_path(facility)}/wait/accuracy?days={days}")
    if as_json:
        print_json(found)
        return
    if found["total"] is None:
        click.echo(f"nothing was scored from {found['first']} to {found['last']}")
        return
    columns = ("situation", "n", "mae_min", "crps_min", "p80_exceeded_pct", "coverage_pct")
    every = [{"situation": "all", **found["total"]}, *found["by_situation"]]
    print_table(columns, [[one[column] for column in columns] for one in every])


@click.command()
@reaching
@click.argument("facility")
@click.option("--history", type=click.IntRange(1, 100), default=1, show_default=True)
@as_json
def model(*, session: Session, facility: str, history: int, as_json: bool) -> None:
    """Show what was learned of FACILITY: bays, service time, errors of its detectors.

    \b
    Example:
      eclor waiting model recyclerie-nord --history 10
    """
    items = _read(session, f"{facility_path(facility)}/wait/model?limit={history}")["items"]
    if as_json:
        print_json(items)
        return
    columns = ("learned_at", "openings", "bays", "mean_service_s", "detectors")
    print_table(columns, [[item[column] for column in columns] for item in items])


def facility_path(facility: str) -> str:
    """Where the API has a facility."""
    return f"/facilities/{quote(facility, safe='')}"


def _flat(item: dict[str, Any]) -> dict[str, Any]:
    """The quantiles of the wait, in minutes, beside the rest; None where nothing is known."""
    minutes = item["wait_minutes"] or {}
    plain = {key: value for key, value in item.items() if not isinstance(value, dict)}
    plain.pop("wait_minutes", None)
    return {**plain, **{name: minutes.get(name) for name in ("p50", "p80", "p95")}}


def _read(session: Session, path: str) -> dict[str, Any]:
    with session.client() as client:
        return client.read(path)
