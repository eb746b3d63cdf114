"""`eclor waiting show`: what the API says of the waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

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
