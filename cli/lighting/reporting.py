"""`eclor lighting report`: what was saved, and against whom."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import click

from cli.lighting.options import Failure, as_json, reaching

if TYPE_CHECKING:
    from cli.provision.session import Session


@click.command()
@reaching
@click.option("--nights", type=click.IntRange(1, 366), default=7, show_default=True)
@click.option("--territory", help="Only this territory.")
@click.option("--eur-per-kwh", type=click.FloatRange(0, 10), help="Price of energy.")
@click.option("--gco2-per-kwh", type=click.FloatRange(0, 2000), help="Carbon of energy.")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the page to this file."
)
@click.option(
    "--lang",
    type=click.Choice(["fr", "en", "de"]),
    default="fr",
    show_default=True,
    help="Of the page.",
)
@as_json
def report(
    *,
    session: Session,
    nights: int,
    territory: str | None,
    eur_per_kwh: float | None,
    gco2_per_kwh: float | None,
    html: Path | None,
    lang: str,
    as_json: bool,
) -> None:
    """Say what was saved, beside the name of every baseline.

    Over the last whole nights, with 90 % intervals and the light that the roads were given.

    \b
    Examples:
      eclor lighting report --nights 30 --html bilan.html
      eclor lighting report --json
    """
    asked = {
        "nights": nights,
        "territory": territory,
        "eur_per_kwh": eur_per_kwh,
        "gco2_per_kwh": gco2_per_kwh,
    }
    with session.client() as client:
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        found = client.read(f"/lighting/report?{query}")
    if html is not None:
        from cloud.lighting.report_page import page

        try:
            html.write_text(page(found, lang), encoding="utf-8")
        except OSError as exc:
            raise Failure(f"{html}: {exc.strerror}; name a file that can be written") from exc
    click.echo(json.dumps(found, ensure_ascii=False) if as_json else _summary(found))


def _summary(found: Mapping[str, Any]) -> str:
    """One line a baseline and group."""
    lines = [f"nights of {found['first_evening']} to {found['last_evening']}"]
    for group in found["groups"]:
        lines.append(f"{group['name']}: {group['measured_kwh']} kWh, {group['nights']} nights")
        lines += _light(group["light"]) if group["nights"] else []
        lines += [
            f"  {s['saving_pct']:5.1f} % ({s['low_pct']:.1f} to {s['high_pct']:.1f}) saved against "
            f"{s['baseline']} {s['name']}"
            for s in group["savings"]
        ]
    lines += [
        f"{t['groups']} groups: {t['saving_pct']:.1f} % ({t['low_pct']:.1f} to "
        f"{t['high_pct']:.1f}) saved against {t['baseline']} {t['name']}"
        for t in found["totals"]
    ]
    return "\n".join(lines)


def _light(light: Mapping[str, Any]) -> list[str]:
    """Hours at each class, and the minutes under the one that the counts asked for."""
    words = (
        ("hours_normal", "normal class"),
        ("hours_one_lower", "one lower"),
        ("hours_two_lower", "two lower"),
        ("hours_below", "under the lowest"),
        ("hours_extinguished", "off by decision"),
        ("hours_off", "off without one"),
    )
    hours = ", ".join(f"{light[key]:g} h {word}" for key, word in words if light[key])
    under = ", ".join(
        f"{minutes:g} min by {depth}" for depth, minutes in light["under_class_minutes"].items()
    )
    return [
        f"  light: {hours or 'no level is known'}",
        f"  under class: {under or '0 min'}, of {light['judged_h']:g} h judged",
    ]
