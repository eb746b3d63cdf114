"""`eclor lighting override`: an order for a time, which always ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from cli.lighting.options import as_json, named, reaching
from cli.provision.output import print_json, print_table

if TYPE_CHECKING:
    from cli.provision.session import Session

_MAX_H = 7 * 24


@click.group()
def override() -> None:
    """Order a level for a time, which always ends.

    The plan holds again when it does, within seven days.
    """


@override.command()
@reaching
@click.argument("group")
@click.option("--level", "level_pct", type=click.FloatRange(0, 100), required=True, help="In %.")
@click.option(
    "--hours",
    type=click.FloatRange(min=0, min_open=True, max=_MAX_H),
    required=True,
    help="So long.",
)
@click.option("--reason", required=True, help="Why, for those who read it later.")
@click.option(
    "--priority", type=click.IntRange(0, 9), default=5, show_default=True, help="9: an emergency."
)
@as_json
def add(
    *,
    session: Session,
    group: str,
    level_pct: float,
    hours: float,
    reason: str,
    priority: int,
    as_json: bool,
) -> None:
    """Have GROUP shine at a level for some hours; with a * in it all groups that it matches.

    \b
    Examples:
      eclor lighting override add rue-haute --level 100 --hours 3 --reason "Feu d'artifice"
      eclor lighting override add 'pays-haut.*' --level 100 --hours 1 --reason secours --priority 9
    """
    until = datetime.now(UTC) + timedelta(hours=hours)
    order = {"level_pct": level_pct, "until": until.isoformat(), "priority": priority}
    with session.client() as client:
        made = [
            (name, client.post(_path(name), {**order, "reason": reason}))
            for name in named(client, group)
        ]
    if as_json:
        print_json([{"group": name, **one} for name, one in made])
        return
    for name, one in made:
        click.echo(f"override {one['id']} of {name}: {level_pct:g} % until {one['until']}")


@override.command("list")
@reaching
@click.argument("group")
@as_json
def list_(*, session: Session, group: str, as_json: bool) -> None:
    """List the overrides of GROUP: of the last week, of now and to come.

    \b
    Example:
      eclor lighting override list rue-haute
    """
    with session.client() as client:
        items = [
            {"group": name, **item}
            for name in named(client, group)
            for item in client.read(_path(name))["items"]
        ]
    if as_json:
        print_json(items)
        return
    columns = ["group", "id", "start", "until", "level_pct", "priority", "reason", "created_by"]
    columns += ["ended_by", "active"]
    print_table(columns, [[item[column] for column in columns] for item in items])


@override.command()
@reaching
@click.argument("group")
@click.argument("number", type=int)
def end(*, session: Session, group: str, number: int) -> None:
    """End override NUMBER of GROUP now.

    \b
    Example:
      eclor lighting override end rue-haute 12
    """
    with session.client() as client:
        client.delete(f"{_path(group)}/{number}")
    click.echo(f"override {number} of {group} has ended")


def _path(group: str) -> str:
    return f"/lighting/groups/{quote(group, safe='')}/overrides"
