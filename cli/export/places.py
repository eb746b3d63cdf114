"""`eclor export sites|devices`: places, for a map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.export.saving import output as output_option
from cli.export.saving import save
from cli.lighting.options import reaching
from cli.provision.session import RemoteName

if TYPE_CHECKING:
    from cli.provision.session import Session

_TERRITORY = click.option(
    "--territory", type=RemoteName("territories"), help="Only this territory."
)


@click.command()
@_TERRITORY
@output_option
@reaching
def sites(*, session: Session, output: Path | None, territory: str | None) -> None:
    """Write cabinets and recycling centres as GeoJSON, which QGIS and every web map reads.

    \b
    Example:
      eclor export sites -o sites.geojson
    """
    _save(session, "/sites.geojson", {"territory": territory}, output)


@click.command()
@click.option(
    "--kind",
    type=click.Choice(["light", "feeder", "passage", "ambient", "sample"]),
    help="Only this kind, each with its newest row (samples without).",
)
@_TERRITORY
@click.option("--gateway", type=RemoteName("gateways"), help="Only this gateway.")
@output_option
@reaching
def devices(*, session: Session, output: Path | None, **asked: str | None) -> None:
    """Write devices as GeoJSON, at the place of their site.

    \b
    Example:
      eclor export devices --kind light --territory pays-haut -o lamps.geojson
    """
    _save(session, "/devices.geojson", asked, output)


def _save(session: Session, path: str, asked: dict[str, str | None], output: Path | None) -> None:
    with session.client() as client, client.download(path, asked) as answer:
        save(answer.iter_bytes(), output)
