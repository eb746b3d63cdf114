"""`eclor lighting`: what lighting saves, and the keys that sign its plans."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import click

if TYPE_CHECKING:
    from cloud.lighting.signing import PlanSigner


class Failure(click.ClickException):
    """The thing itself failed; exit code 1."""


_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("lighting")
def lighting() -> None:
    """Savings of lighting, and the keys that sign its plans."""


@lighting.command()
@click.option(
    "--api-url",
    envvar="ECLOR_API_URL",
    default="http://127.0.0.1:8000",
    show_default=True,
    help="Where the API is.  [env: ECLOR_API_URL]",
)
@click.option(
    "--api-key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with the key; without it the environment: ECLOR_API_KEY.",
)
@click.option("--nights", type=click.IntRange(1, 62), default=7, show_default=True)
@click.option("--territory", help="Only this territory.")
@click.option("--eur-per-kwh", type=click.FloatRange(0, 10), help="Price of energy.")
@click.option("--gco2-per-kwh", type=click.FloatRange(0, 2000), help="Carbon of energy.")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the page to this file."
)
@_JSON
def report(
    *,
    api_url: str,
    api_key_file: Path | None,
    nights: int,
    territory: str | None,
    eur_per_kwh: float | None,
    gco2_per_kwh: float | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """What was saved over the last whole nights, beside the name of every baseline.

    \b
    Examples:
      eclor lighting report --nights 30 --html bilan.html
      eclor lighting report --json
    """
    from cli.provision.session import Session

    asked = {
        "nights": nights,
        "territory": territory,
        "eur_per_kwh": eur_per_kwh,
        "gco2_per_kwh": gco2_per_kwh,
    }
    with Session(api_url, api_key_file).client() as client:
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        found = client.read(f"/lighting/report?{query}")
    if html is not None:
        from cloud.lighting.report_page import page

        try:
            html.write_text(page(found), encoding="utf-8")
        except OSError as exc:
            raise Failure(f"{html}: {exc.strerror}; name a file that can be written") from exc
    click.echo(json.dumps(found, ensure_ascii=False) if as_json else _summary(found))


def _summary(found: Mapping[str, Any]) -> str:
    """One line a baseline and group."""
    lines = [f"nights of {found['first_evening']} to {found['last_evening']}"]
    for group in found["groups"]:
        lines.append(f"{group['name']}: {group['measured_kwh']} kWh, {group['nights']} nights")
        lines += [
            f"  {s['saving_pct']:5.1f} % ({s['low_pct']:.1f} to {s['high_pct']:.1f}) saved against "
            f"{s['baseline']} {s['name']}"
            for s in group["savings"]
        ]
    lines += [
        f"{t['groups']} groups: {t['saving_pct']:.1f} % saved against {t['baseline']} {t['name']}"
        for t in found["totals"]
    ]
    return "\n".join(lines)


@lighting.group()
def key() -> None:
    """Keys that sign lighting plans: Ed25519, in plain files.

    The private key stays with the jobs role (`jobs.plan_key_file`), the public one goes into the
    settings of every gateway (`lighting.plan_key`).
    """


@key.command("create")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_JSON
def create_key(*, file: Path, as_json: bool) -> None:
    """Make a private key in FILE and print the public one.

    \b
    Example:
      eclor lighting key create /etc/eclor/plan.key
    """
    from cloud.lighting import signing

    _show_key(lambda: signing.create(file), file, as_json=as_json)


@key.command("show")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_JSON
def show_key(*, file: Path, as_json: bool) -> None:
    """Print the public key that belongs to the private key in FILE.

    \b
    Example:
      eclor lighting key show /etc/eclor/plan.key
    """
    from cloud.lighting import signing

    _show_key(lambda: signing.load(file), file, as_json=as_json)


def _show_key(made: Callable[[], PlanSigner], file: Path, *, as_json: bool) -> None:
    from cloud.errors import CloudError

    try:
        public = made().public_key
    except CloudError as exc:
        raise Failure(str(exc)) from exc
    if as_json:
        click.echo(json.dumps({"file": str(file), "plan_key": public}))
    else:
        click.echo(f'plan_key = "{public}"')
