"""`eclor provision territory|site|gateway|device|group|facility add|list|show|remove`."""

import json
from collections.abc import Sequence
from typing import Any

import click

from cli.provision.output import print_json, print_record, print_table
from cli.provision.session import RemoteName, Session, UsageFault, name_of

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_REPLACE = click.option("--replace", is_flag=True, help="Change it if it exists already.")
_NAME = click.option("--name", required=True, help="Name for people.")

COLUMNS = {
    "territories": ("id", "name", "time_zone"),
    "sites": ("territory", "id", "kind", "latitude", "longitude", "name"),
    "gateways": ("id", "territory", "site", "uplink"),
    "devices": ("gateway", "id", "kind", "bus", "unit", "index", "profile"),
    "groups": ("territory", "id", "gateway", "lamps", "rated_power_w", "baseline_power_w", "name"),
    "facilities": ("territory", "site", "id", "bays", "name"),
}
"""What a listing shows; `show` and --json have everything."""


def _with_reading_commands(group: click.Group, section: str, example: str) -> click.Group:
    """Add list, show and remove, which are alike for every section."""

    @group.command("list")
    @click.option("--territory", help="Only this territory.")
    @_JSON
    @click.pass_obj
    def list_records(session: Session, *, territory: str | None, as_json: bool) -> None:
        with session.client() as client:
            params = {} if section in ("territories", "facilities") else {"territory": territory}
            records = list(client.pages(f"/{section}", **params))
        if territory is not None:
            owner = "id" if section == "territories" else "territory"
            records = [r for r in records if owner not in r or r[owner] == territory]
        if as_json:
            print_json(records)
        else:
            columns = COLUMNS[section]
            print_table(columns, ([_shown(r, column) for column in columns] for r in records))

    @group.command("show")
    @click.argument("name", type=RemoteName(section))
    @_JSON
    @click.pass_obj
    def show(session: Session, name: str, *, as_json: bool) -> None:
        from cloud.registry.client import path_of

        with session.client() as client:
            record = client.read(path_of(section, name))
        if as_json:
            print_json(record)
        else:
            print_record(record)

    @group.command("remove")
    @click.argument("name", type=RemoteName(section))
    @click.pass_obj
    def remove(session: Session, name: str) -> None:
        from cloud.registry.client import path_of

        with session.client() as client:
            client.delete(path_of(section, name))
        click.echo(f"{name} removed")

    word = group.name
    list_records.help = f"List every {word}.\n\nExample: eclor provision {word} list"
    show.help = f"Show one {word}.\n\nExample: eclor provision {word} show {example}"
    remove.help = (
        f"Delete a {word} that nothing needs.\n\nExample: eclor provision {word} remove {example}"
    )
    return group


def _shown(record: dict[str, Any], column: str) -> object:
    match column:
        case "uplink":
            uplink = record.get("uplink")
            return f"{uplink['host']}:{uplink['port']}" if uplink else None
        case "lamps":
            return len(record["devices"])
    return record.get(column)


def _add(session: Session, section: str, record: dict[str, Any], *, replace: bool) -> None:
    """Make one object; keys at None are left to their defaults."""
    from cloud.registry.client import path_of

    given = {key: value for key, value in record.items() if value is not None}
    name = name_of(section, given)
    with session.client() as client:
        client.put(path_of(section, name), given, replace=replace)
    click.echo(f"{name} {'written' if replace else 'added'}")


def _parts(name: str, form: str) -> list[str]:
    """The parts of a name as `form` has them, TERRITORY/SITE."""
    parts = name.split("/")
    if len(parts) != form.count("/") + 1 or not all(parts):
        raise UsageFault(f"{name!r} is not of the form {form}")
    return parts


def _host_port(text: str) -> dict[str, Any]:
    """`host` or `host:port`."""
    host, _, port = text.partition(":")
    if not port:
        return {"host": host}
    if not port.isdigit():
        raise UsageFault(f"{text!r} is not of the form HOST or HOST:PORT")
    return {"host": host, "port": int(port)}


@click.group()
def territory() -> None:
    """Territories: an authority's area and its time zone."""


@territory.command("add")
@click.argument("territory_id", metavar="TERRITORY")
@_NAME
@click.option("--time-zone", default="Europe/Paris", show_default=True, help="IANA name.")
@_REPLACE
@click.pass_obj
def add_territory(
    session: Session, territory_id: str, *, name: str, time_zone: str, replace: bool
) -> None:
    """Add a territory.

    Example: eclor provision territory add pays-haut --name "Pays-Haut"
    """
    record = {"id": territory_id, "name": name, "time_zone": time_zone}
    _add(session, "territories", record, replace=replace)


@click.group()
def site() -> None:
    """Sites: a cabinet's area, a recycling centre, a road."""


@site.command("add")
@click.argument("site_name", metavar="TERRITORY/SITE")
@_NAME
@click.option("--kind", required=True, type=click.Choice(["cabinet", "recycling_centre", "road"]))
@click.option("--latitude", required=True, type=float, help="Degrees, WGS 84.")
@click.option("--longitude", required=True, type=float, help="Degrees, WGS 84.")
@_REPLACE
@click.pass_obj
def add_site(session: Session, /, site_name: str, *, replace: bool, **given: Any) -> None:
    """Add a site.

    Example: eclor provision site add pays-haut/centre --name Centre --kind cabinet
    --latitude 49.52 --longitude 5.77
    """
    owner, name = _parts(site_name, "TERRITORY/SITE")
    _add(session, "sites", {"territory": owner, "id": name, **given}, replace=replace)


@click.group()
def gateway() -> None:
    """Gateways: the edge agents."""


@gateway.command("add")
@click.argument("gateway_id", metavar="GATEWAY")
@click.option("--site", "site_name", required=True, metavar="TERRITORY/SITE")
@click.option("--uplink", metavar="HOST[:PORT]", help="The broker as the gateway reaches it.")
@click.option("--protocol", type=click.Choice(["5", "3.1.1"]), help="MQTT version.  [default: 5]")
@click.option(
    "--bus",
    "buses",
    multiple=True,
    metavar="NAME=ADDRESS",
    help="A Modbus bus, HOST[:PORT] or /dev/PORT[@BAUD]; repeatable.",
)
@_REPLACE
@click.pass_obj
def add_gateway(
    session: Session,
    gateway_id: str,
    *,
    site_name: str,
    uplink: str | None,
    protocol: str | None,
    buses: Sequence[str],
    replace: bool,
) -> None:
    """Add a gateway.

    Example: eclor provision gateway add cab-centre-1 --site pays-haut/centre
    --uplink broker.example.org --bus line1=192.168.1.20:502 --bus line2=/dev/ttyUSB0@9600
    """
    owner, name = _parts(site_name, "TERRITORY/SITE")
    if protocol and not uplink:
        raise UsageFault("--protocol needs --uplink")
    named = [bus.partition("=") for bus in buses]
    if any(not (bus_name and address) for bus_name, _, address in named):
        raise UsageFault("write a bus as NAME=HOST, NAME=HOST:PORT or NAME=/dev/PORT@BAUD")
    record = {
        "id": gateway_id,
        "territory": owner,
        "site": name,
        "uplink": {**_host_port(uplink), "protocol": protocol or "5"} if uplink else None,
        "buses": {bus_name: _bus(address) for bus_name, _, address in named},
    }
    _add(session, "gateways", record, replace=replace)


def _bus(address: str) -> dict[str, Any]:
    """A TCP endpoint, or a serial port if the address is a path."""
    if not address.startswith("/"):
        return _host_port(address)
    path, _, baud = address.partition("@")
    if baud and not baud.isdecimal():
        raise UsageFault(f"{address!r}: write the speed as a number, as in {path}@9600")
    return {"type": "rtu", "device": path, "baud": int(baud) if baud else None}


@click.group()
def device() -> None:
    """Devices: what a gateway reads."""


@device.command("add")
@click.argument("device_name", metavar="GATEWAY/DEVICE")
@click.option(
    "--kind",
    required=True,
    type=click.Choice(["light", "feeder", "passage", "ambient", "sample"]),
    help="What it measures.",
)
@click.option("--title", help="Name for people.")
@click.option("--bus", help="Bus of the gateway; without it the device is not polled.")
@click.option("--unit", type=int, help="Modbus unit, 0 to 255.")
@click.option("--profile", help="Register map, built in or a .toml file beside the configuration.")
@click.option("--index", type=int, help="Place in an indexed profile.")
@click.option("--interval", "interval_s", type=float, help="Seconds between polls.  [default: 10]")
@click.option("--window", "window_s", type=int, help="Seconds a row covers.  [default: 60]")
@_REPLACE
@click.pass_obj
def add_device(session: Session, /, device_name: str, *, replace: bool, **given: Any) -> None:
    """Declare a device.

    Example: eclor provision device add cab-centre-1/feeder --kind feeder --bus line1 --unit 1
    --profile eastron-sdm630
    """
    owner, name = _parts(device_name, "GATEWAY/DEVICE")
    _add(session, "devices", {"gateway": owner, "id": name, **given}, replace=replace)


@click.group()
def group() -> None:
    """Lighting groups: lamps that follow one plan."""


@group.command("add")
@click.argument("group_name", metavar="TERRITORY/GROUP")
@_NAME
@click.option("--gateway", required=True, help="Whose lamps they are.")
@click.option("--device", "devices", multiple=True, required=True, help="A lamp; repeatable.")
@click.option("--rated-power", "rated_power_w", required=True, type=float, help="W, one lamp.")
@click.option(
    "--baseline-power",
    "baseline_power_w",
    required=True,
    type=float,
    help="W, one lamp of the declared old park.",
)
@click.option("--baseline-name", required=True, help="What that park was, and when.")
@click.option("--normal-level", "normal_level_pct", type=float, help="%  [default: 100]")
@click.option(
    "--reduced-level",
    "reduced_levels",
    multiple=True,
    type=float,
    help="% of the normal level, one and two classes below; repeatable.",
)
@click.option("--counter", metavar="GATEWAY/DEVICE", help="Whose traffic decides.")
@click.option("--capacity", "capacity_per_h", type=float, help="Vehicles an hour, both ways.")
@click.option("--switch-elevation", "switch_elevation_deg", type=float, help="Of the sun, degrees.")
@_REPLACE
@click.pass_obj
def add_group(session: Session, /, group_name: str, *, replace: bool, **given: Any) -> None:
    """Add a lighting group.

    Example: eclor provision group add pays-haut/rue-haute --name "Rue Haute"
    --gateway cab-centre-1 --device lamp-00 --device lamp-01 --rated-power 40
    --baseline-power 110 --baseline-name "sodium 100 W, 2019"
    """
    owner, name = _parts(group_name, "TERRITORY/GROUP")
    _add(session, "groups", {"territory": owner, "id": name, **given}, replace=replace)


@click.group()
def facility() -> None:
    """Facilities: recycling centres as citizens know them."""


@facility.command("add")
@click.argument("facility_name", metavar="TERRITORY/SITE/FACILITY")
@_NAME
@click.option("--bays", required=True, type=int, help="Cars served at a time.")
@click.option("--mean-service", "mean_service_s", required=True, type=float, help="Seconds a car.")
@click.option("--opening", help='JSON, local time: {"mon": [["09:00", "12:00"]]}.')
@click.option("--holidays", help="Rules of its public holidays: FR, DE, DE-NW, LU or none.")
@click.option("--tail", metavar="GATEWAY/DEVICE", help="Counter at the tail of the queue.")
@click.option("--entry", metavar="GATEWAY/DEVICE", help="Counter at the entry.")
@click.option("--exit", metavar="GATEWAY/DEVICE", help="Counter at the exit.")
@click.option(
    "--service",
    metavar="GATEWAY/DEVICE/POINT",
    help="Samples of the seconds a visitor was served: card reader, weighbridge.",
)
@click.option("--tail-reach", type=int, help="Cars before the gate when the queue reaches --tail.")
@click.option("--flows", type=int, help="Kinds of cars that share the line, each with own bays.")
@_REPLACE
@click.pass_obj
def add_facility(
    session: Session, /, facility_name: str, *, opening: str | None, replace: bool, **given: Any
) -> None:
    """Add a facility.

    Example: eclor provision facility add pays-haut/recyclerie/recyclerie-nord
    --name "Déchèterie Nord" --bays 6 --mean-service 420 --entry gate-1/entry --exit gate-1/exit
    """
    owner, site_name, name = _parts(facility_name, "TERRITORY/SITE/FACILITY")
    try:
        hours = None if opening is None else json.loads(opening)
    except ValueError as exc:
        raise UsageFault(f"--opening is not JSON: {exc}") from exc
    record = {"territory": owner, "site": site_name, "id": name, "opening": hours, **given}
    _add(session, "facilities", record, replace=replace)


GROUPS = (
    _with_reading_commands(territory, "territories", "pays-haut"),
    _with_reading_commands(site, "sites", "pays-haut/centre"),
    _with_reading_commands(gateway, "gateways", "cab-centre-1"),
    _with_reading_commands(device, "devices", "cab-centre-1/lamp-00"),
    _with_reading_commands(group, "groups", "pays-haut/rue-haute"),
    _with_reading_commands(facility, "facilities", "pays-haut/recyclerie/recyclerie-nord"),
)
