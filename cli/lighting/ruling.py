"""`eclor lighting rule`: what the council has decided, as data with who, when and by which act."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from cli.lighting.options import as_json, named, reaching
from cli.provision.output import print_json, print_table

if TYPE_CHECKING:
    from cli.provision.session import Session
    from cloud.registry.client import RegistryClient

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DATE = click.DateTime(["%Y-%m-%d"])
_TIME = click.DateTime(["%H:%M"])


class Weekdays(click.ParamType[list[int]]):
    """`mon,tue`, or a range as `mon-thu`; Monday is 0."""

    name = "days"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[int]:
        if isinstance(value, list):
            return value
        found: set[int] = set()
        for part in str(value).lower().split(","):
            first, _, last = part.strip().partition("-")
            if first not in DAYS or (last or first) not in DAYS:
                self.fail(f"{part!r} is no day; write {', '.join(DAYS)} or a range as mon-thu")
            begin, end = DAYS.index(first), DAYS.index(last or first)
            found |= {(begin + k) % 7 for k in range((end - begin) % 7 + 1)}
        return sorted(found)


@click.group()
def rule() -> None:
    """Keep what the council decides.

    extinction: lamps are off between two times of the clock. exception: no extinction in this time.
    event: the normal class all the time, and no extinction. Events win over exceptions, exceptions
    over extinction. A change reaches the gateways within seconds.
    """


@rule.command()
@reaching
@click.argument("group")
@click.argument("kind", type=click.Choice(["extinction", "exception", "event"]))
@click.option(
    "--from", "start", type=_TIME, required=True, metavar="HH:MM", help="Time of the clock."
)
@click.option(
    "--to",
    "end",
    type=_TIME,
    required=True,
    metavar="HH:MM",
    help="Time of the clock; if not later, the next day's.",
)
@click.option(
    "--days", type=Weekdays(), default=None, help="Evenings it holds on, as mon-thu,sun; all."
)
@click.option(
    "--first-day", type=_DATE, required=True, metavar="DATE", help="First evening, as 2026-01-01."
)
@click.option(
    "--last-day", type=_DATE, metavar="DATE", help="Last evening; without it the rule has no end."
)
@click.option("--decided-by", required=True, help="Who decided.")
@click.option("--decided-on", type=_DATE, required=True, metavar="DATE", help="When.")
@click.option("--reference", required=True, help="By which act, as its number.")
@as_json
def add(
    *,
    session: Session,
    group: str,
    kind: str,
    start: datetime,
    end: datetime,
    days: list[int] | None,
    first_day: datetime,
    last_day: datetime | None,
    decided_by: str,
    decided_on: datetime,
    reference: str,
    as_json: bool,
) -> None:
    """Keep a decision for GROUP; with a * in it for all groups that it matches.

    \b
    Examples:
      eclor lighting rule add 'pays-haut.*' extinction --from 23:30 --to 05:00 --days sun-thu
        --first-day 2026-01-01 --decided-by "Conseil municipal" --decided-on 2025-12-15
        --reference "Arrêté municipal 2025-118"
      eclor lighting rule add rue-haute event --from 18:00 --to 02:00 --first-day 2026-07-13
        --last-day 2026-07-13 --decided-by Maire --decided-on 2026-06-30 --reference "Fête 2026"
    """
    decision = {
        "kind": kind,
        "start": f"{start:%H:%M}",
        "end": f"{end:%H:%M}",
        "weekdays": list(range(7)) if days is None else days,
        "first_day": f"{first_day:%Y-%m-%d}",
        "last_day": None if last_day is None else f"{last_day:%Y-%m-%d}",
        "decided_by": decided_by,
        "decided_on": f"{decided_on:%Y-%m-%d}",
        "reference": reference,
    }
    with session.client() as client:
        made = [(name, client.post(_path(name), decision)) for name in named(client, group)]
    if as_json:
        print_json([{"group": name, **rule} for name, rule in made])
        return
    for name, rule in made:
        click.echo(f"rule {rule['id']} of {name}: {kind} {_hours(rule)}, {reference}")


@rule.command("list")
@reaching
@click.argument("group")
@click.option("--all", "every", is_flag=True, help="Also those that were ended.")
@as_json
def list_(*, session: Session, group: str, every: bool, as_json: bool) -> None:
    """List the rules of GROUP (a * in it: of all that it matches), with who decided and when.

    \b
    Example:
      eclor lighting rule list rue-haute --all
    """
    query = f"?all={str(every).lower()}"
    with session.client() as client:
        items = [
            {"group": name, **item}
            for name in named(client, group)
            for item in client.read(_path(name) + query)["items"]
        ]
    if as_json:
        print_json(items)
        return
    columns = ["group", "id", "kind", "hours", "days", "first_day", "last_day", "decided_by"]
    columns += ["decided_on", "reference", *(["ended_at"] if every else [])]
    print_table(columns, [[_cell(item, column) for column in columns] for item in items])


@rule.command()
@reaching
@click.argument("group")
@click.argument("number", type=int, required=False)
@click.option("--reference", help="Every rule of this act, instead of a number.")
def end(*, session: Session, group: str, number: int | None, reference: str | None) -> None:
    """Take rule NUMBER of GROUP out of force, or all of an act; they are kept as evidence.

    \b
    Examples:
      eclor lighting rule end rue-haute 3
      eclor lighting rule end 'pays-haut.*' --reference "Arrêté municipal 2025-118"
    """
    if (number is None) == (reference is None):
        raise click.UsageError("give either the NUMBER of a rule or --reference")
    with session.client() as client:
        for name in named(client, group):
            for one in [number] if number is not None else _of_act(client, name, reference):
                client.delete(f"{_path(name)}/{one}")
                click.echo(f"rule {one} of {name} is out of force")


def _of_act(client: RegistryClient, group: str, reference: str | None) -> list[int]:
    items = client.read(_path(group))["items"]
    return [item["id"] for item in items if item["reference"] == reference]


def _cell(item: Mapping[str, Any], column: str) -> object:
    match column:
        case "hours":
            return _hours(item)
        case "days":
            days = item["weekdays"]
            return "all" if len(days) == len(DAYS) else ",".join(DAYS[day] for day in days)
    return item[column]


def _hours(item: Mapping[str, Any]) -> str:
    return f"{item['start'][:5]}-{item['end'][:5]}"


def _path(group: str) -> str:
    return f"/lighting/groups/{quote(group, safe='')}/rules"
