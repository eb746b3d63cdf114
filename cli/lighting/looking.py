"""`eclor lighting groups|plan|plans|programs|explain|energy|faults`: what the API says."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import click

from cli.lighting.options import as_json, reaching
from cli.provision.output import print_json, print_record, print_table

if TYPE_CHECKING:
    from cli.provision.session import Session

LANGUAGES = ("fr", "en", "de")


@click.command()
@reaching
@as_json
def groups(*, session: Session, as_json: bool) -> None:
    """List the lighting groups with their present level and power.

    \b
    Example:
      eclor lighting groups
    """
    found = _read(session, "/lighting/groups")
    columns = ("territory", "id", "name", "lamps", "reporting", "failed", "level_pct", "power_w")
    _show_table(found, columns, as_json=as_json)


@click.command()
@reaching
@as_json
def plans(*, session: Session, as_json: bool) -> None:
    """List the plans of all gateways, and whether they hold there.

    held, waits for its time, refused, or unconfirmed: the gateway says nothing of it yet.

    \b
    Example:
      eclor lighting plans
    """
    columns = ("territory", "gateway", "plan_id", "issued_at", "standing", "said_at", "refused")
    _show_table(_read(session, "/lighting/plans"), columns, as_json=as_json)


@click.command()
@reaching
@click.argument("group")
@as_json
def plan(*, session: Session, group: str, as_json: bool) -> None:
    """Show the plan of GROUP, change by change.

    It is the one last issued; held_at says whether the gateway has it.

    \b
    Example:
      eclor lighting plan rue-haute
    """
    found = _read(session, f"{_path(group)}/plan")
    if as_json:
        print_json(found)
        return
    print_record({key: value for key, value in found.items() if key not in ("slots", "fallback")})
    print_table(("at", "level_pct"), [(slot["at"], slot["level_pct"]) for slot in found["slots"]])


@click.command()
@reaching
@click.argument("group")
@as_json
def programs(*, session: Session, group: str, as_json: bool) -> None:
    """Show the plan of GROUP, night by night.

    With orders by hand, and what holds now and why. --json prints it in the words of TALQ 2.7:
    calendar, control programs, override commands.

    \b
    Example:
      eclor lighting programs rue-haute
    """
    found = _read(session, f"{_path(group)}/programs")
    if as_json:
        print_json(found)
        return
    courses = {one["id"]: _course(one) for one in found["controlPrograms"]}
    for rule in found["calendar"]["rules"]:
        until = "" if rule["endDate"] == rule["startDate"] else f" to {rule['endDate']}"
        click.echo(f"{rule['startDate']}{until}  {courses[rule['program']]}")
    default = found["calendar"]["defaultProgram"]
    click.echo(f"without a plan  {courses[default]}")
    for order in found["overrideCommands"]:
        target = order["targetCommand"]
        span = f"{target['start']} to {target['expiration']}"
        click.echo(f"by hand  {span}  {target['state']['value']} %  {target['cmsRefId']}")
    now = found["inForce"]
    click.echo(f"now  {now['state']['value']} %, reason: {now['reason']}")


def _course(program: dict[str, Any]) -> str:
    """The levels of a day, as `16:38 100 %, 22:00 75 %, 08:02 off`."""
    (first, *more) = program["fixedTimeControls"]
    sun = next((a for a in program["activePeriods"] if a.get("sunsetOffset") is not None), None)
    if sun is not None:
        level = first["command"]["state"]["value"]
        dusk, dawn = sun["sunsetOffset"], sun["sunriseOffset"]
        return f"sunset {dusk:+d} min to sunrise {dawn:+d} min {level} %"
    controls = more if first["command"]["state"]["value"] == 0 else [first, *more]
    return (
        ", ".join(
            f"{control['startTime'][:5]} {_said(control['command']['state']['value'])}"
            for control in controls
        )
        or "off"
    )


def _said(level_pct: int) -> str:
    return f"{level_pct} %" if level_pct else "off"


@click.command()
@reaching
@click.argument("group")
@click.option("--at", metavar="TIME", help="One instant with its zone, as 2026-11-25T22:00:00Z.")
@click.option("--lang", type=click.Choice(LANGUAGES), default="en", show_default=True)
@as_json
def explain(*, session: Session, group: str, at: str | None, lang: str, as_json: bool) -> None:
    """Say why GROUP has the levels of the plan in force.

    \b
    Example:
      eclor lighting explain rue-haute --at 2026-11-25T22:00:00Z
    """
    query = {"lang": lang} | ({"at": at} if at else {})
    found = _read(session, f"{_path(group)}/explanation?{urlencode(query)}")
    if as_json:
        print_json(found)
        return
    for item in found["items"]:
        day = datetime.fromisoformat(item["start"]).date()
        click.echo(f"{day}  {item['sentence']}")


@click.command()
@reaching
@click.argument("group")
@click.option("--nights", type=click.IntRange(1, 62), default=7, show_default=True)
@as_json
def energy(*, session: Session, group: str, nights: int, as_json: bool) -> None:
    """Show the last nights of GROUP against its declared baseline.

    \b
    Example:
      eclor lighting energy rue-haute --nights 30
    """
    found = _read(session, f"{_path(group)}/energy?nights={nights}")
    if as_json:
        print_json(found)
        return
    columns = ("night", "meter", "measured_wh", "baseline_wh", "saving_pct", "coverage_pct")
    click.echo(f"baseline: {found['baseline']['name']}")
    print_table(columns, [[night[c] for c in columns] for night in found["nights"]])


@click.command()
@reaching
@click.option("--all", "every", is_flag=True, help="Also those cleared in the last four weeks.")
@as_json
def faults(*, session: Session, every: bool, as_json: bool) -> None:
    """List the faults of lamps and cabinets that last.

    \b
    Example:
      eclor lighting faults --all
    """
    found = _read(session, f"/lighting/faults?open={str(not every).lower()}")
    columns = ("territory", "group", "device", "kind", "noticed_at", "cleared_at")
    _show_table(found, columns, as_json=as_json)


def _show_table(found: dict[str, Any], columns: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        print_json(found["items"])
    else:
        print_table(columns, [[item[column] for column in columns] for item in found["items"]])


def _read(session: Session, path: str) -> dict[str, Any]:
    with session.client() as client:
        return client.read(path)


def _path(group: str) -> str:
    return f"/lighting/groups/{quote(group, safe='')}"
