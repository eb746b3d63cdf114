"""`eclor verify`: does everything that the gateways made durable have a place?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from cli.api_options import api_options
from cli.provision.session import RemoteName, Session

_COLUMNS = (
    "day",
    "batches",
    "produced",
    "stored",
    "repeated",
    "quarantined",
    "pending",
    "dropped",
    "lost",
)


@click.command(name="verify")
@click.option(
    "--gateway", type=RemoteName("gateways"), help="Only this one.  [default: all the key may see]"
)
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    help="First day to look at, civil.  [default: the beginning]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the accounts as JSON.")
@api_options
def verify(
    *, gateway: str | None, since: Any, as_json: bool, api_url: str, api_key_file: Path | None
) -> None:
    """Check the ledger of the gateways, day by day; exit 1 if rows are lost or counted twice.

    Every row that a gateway made durable is stored, in quarantine, on its way, or declared lost:
    produced = stored + repeated + quarantined + pending + dropped. The key needs the scope `read`.

    Example: eclor verify --gateway cab-centre-1 --since 2026-01-01
    """
    from cli.provision.output import print_json

    day = None if since is None else since.date().isoformat()
    accounts = list(_accounts(Session(api_url, api_key_file), gateway, day))
    if as_json:
        print_json(accounts)
    else:
        _show(accounts)
    if not all(account["balanced"] for account in accounts):
        raise click.exceptions.Exit(1)


def _accounts(session: Session, gateway: str | None, since: str | None) -> Iterator[dict[str, Any]]:
    query = "" if since is None else f"?since={since}"
    with session.client() as client:
        names = [gateway] if gateway else [found["id"] for found in client.pages("/gateways")]
        for name in names:
            yield client.read(f"/gateways/{name}/ledger/days{query}")


def _show(accounts: Sequence[dict[str, Any]]) -> None:
    from cli.provision.output import print_table

    rows = [
        [account["gateway"], *(day[column] for column in _COLUMNS)]
        for account in accounts
        for day in account["days"]
    ]
    print_table(("gateway", *_COLUMNS), rows)
    for account in accounts:
        if unknown := account["losses_of_unknown_size"]:
            click.echo(f"{account['gateway']}: {unknown} declared losses of unknown size", err=True)
        for finding in account["findings"]:
            click.echo(f"{account['gateway']}: {finding}", err=True)
    wrong = sum(not account["balanced"] for account in accounts)
    pending = sum(day["pending"] for account in accounts for day in account["days"])
    told = f"{wrong} of {len(accounts)} gateways do not balance" if wrong else "everything balances"
    click.echo(f"{told}; {pending} rows are still on their way", err=True)
