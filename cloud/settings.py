"""Settings of the cloud roles: one TOML file and the environment, parsed once, every fault at once.

Secrets never stand in the file. The two URLs, which may hold a password, come from

    $ECLOR_DATABASE_URL, $ECLOR_BROKER_URL      the environment, else
    $CREDENTIALS_DIRECTORY/database-url, broker-url   systemd credentials, else
    [database] url, [broker] url                the file, refused there if they hold a password.

The path of the file is `--config`, else $ECLOR_CONFIG, else /etc/eclor/cloud.toml if it exists;
without a file the defaults hold.
"""

import difflib
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
from msgspec import Meta
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from cloud.errors import Fault, SettingsError

DEFAULT_PATH = Path("/etc/eclor/cloud.toml")

Port = Annotated[int, Meta(ge=1, le=65_535)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class Database(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the database is and how long a statement may take."""

    url: str = "postgresql:///eclor"
    edition: Literal["auto", "timescale", "plain"] = "auto"
    connect_timeout_s: Annotated[int, Meta(ge=1, le=300)] = 5
    statement_timeout_s: Seconds = 60.0


class Broker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The MQTT broker and the session that ingest keeps there."""

    url: str = "mqtt://127.0.0.1:1883"
    keepalive_s: Annotated[int, Meta(ge=5, le=3600)] = 30
    session_expiry_s: Annotated[int, Meta(ge=0, le=604_800)] = 1
    receive_maximum: Annotated[int, Meta(ge=1, le=1000)] = 100


class Ingest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How batches are merged, and the bounds of what is taken over."""

    worker: Annotated[int, Meta(ge=0, le=99)] = 0
    merge_rows: Annotated[int, Meta(ge=1, le=100_000)] = 10_000
    merge_ms: Annotated[int, Meta(ge=1, le=5_000)] = 200
    idle_ms: Annotated[int, Meta(ge=1, le=5_000)] = 20
    future_s: Annotated[int, Meta(ge=0, le=86_400)] = 600
    oldest_days: Annotated[int, Meta(ge=1, le=3_660)] = 400
    undeclared_devices: Annotated[int, Meta(ge=0, le=10_000)] = 256
    points_per_gateway: Annotated[int, Meta(ge=0, le=100_000)] = 4_096
    quarantine_rows: Annotated[int, Meta(ge=1, le=100_000)] = 1_000
    statement_timeout_s: Seconds = 20.0


class Api(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The HTTP API and its database connections."""

    host: str = "127.0.0.1"
    port: Port = 8000
    pool_max: Annotated[int, Meta(ge=1, le=64)] = 8
    statement_timeout_s: Seconds = 5.0
    exports_max: Annotated[int, Meta(ge=1, le=16)] = 2
    export_timeout_s: Seconds = 900.0
    streams_max: Annotated[int, Meta(ge=0, le=10_000)] = 200


class Jobs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Periods of the scheduled jobs, and how far ahead partitions are made."""

    plan_interval_s: Annotated[int, Meta(ge=10, le=86_400)] = 900
    plan_key_file: str = ""
    wait_interval_s: Annotated[int, Meta(ge=5, le=3_600)] = 30
    learn_interval_s: Annotated[int, Meta(ge=10, le=86_400)] = 600
    rollup_interval_s: Annotated[int, Meta(ge=1, le=3_600)] = 60
    partition_days_ahead: Annotated[int, Meta(ge=1, le=60)] = 14


Days = Annotated[int, Meta(ge=0, le=36_600)]


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long what is kept, in days; 0 is for ever. Declared losses are always kept."""

    light_days: Days = 800
    feeder_days: Days = 800
    passage_days: Days = 0
    ambient_days: Days = 800
    sample_days: Days = 800
    outcome_days: Days = 0
    health_days: Days = 90
    hour_days: Days = 3_660
    day_days: Days = 0
    compress_after_days: Days = 7


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the roles serve /metrics, /healthz and /readyz; port 0: nowhere."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_000)] = 0

    def port_of(self, role: Literal["api", "jobs", "ingest"], *, worker: int = 0) -> int:
        """The API's (or that of all roles in one process), the next the jobs', then ingest's."""
        offset = {"api": 0, "jobs": 1, "ingest": 2 + worker}[role]
        return self.port + offset if self.port else 0


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole tree; each role reads its part."""

    database: Database = Database()
    broker: Broker = Broker()
    ingest: Ingest = Ingest()
    api: Api = Api()
    jobs: Jobs = Jobs()
    retention: Retention = Retention()
    metrics: Metrics = Metrics()


class BrokerAddress(msgspec.Struct, frozen=True):
    """The parts of a broker URL."""

    host: str
    port: int
    protocol: Literal["5", "3.1.1"]
    username: str | None = None
    password: str | None = None


_SECTIONS: Mapping[str, type[msgspec.Struct]] = {
    field.name: field.type for field in msgspec.structs.fields(Settings)
}
SUMMED_DAYS = ("light_days", "feeder_days", "passage_days", "ambient_days", "sample_days")
"""Retention of the kinds that have hours and days."""
_CIVIL_DAY_DAYS = 2
"""A civil day begins up to a day before its last reading, and its partition a day before that."""
_PROTOCOLS: Mapping[str, Literal["5", "3.1.1"]] = {"5": "5", "3.1.1": "3.1.1"}
_SECRETS = {"database": "ECLOR_DATABASE_URL", "broker": "ECLOR_BROKER_URL"}


def load(path: Path | None, *, environment: Mapping[str, str]) -> Settings:
    """Settings from a file and the environment; SettingsError carries every fault."""
    faults: list[Fault] = []
    chosen = _choose(path, environment)
    tree = _read(chosen, faults) if chosen else {}
    source = str(chosen) if chosen else "defaults"
    _refuse_unknown(tree, _SECTIONS, source, "", faults)
    sections = {
        name: _section(struct, tree.get(name, {}), source, name, faults)
        for name, struct in _SECTIONS.items()
    }
    for name in _SECRETS:
        _take_secret(name, sections[name], environment, source, faults)
    if not any(fault.key.startswith(("retention", "ingest")) for fault in faults):
        _refuse_short_hours(sections, source, faults)
    if faults:
        raise SettingsError(faults)
    return msgspec.convert(sections, Settings)


def broker_address(url: str) -> BrokerAddress:
    """Parse `mqtt://[user:password@]host[:port][?protocol=5|3.1.1]`; ValueError says the fault."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    protocol = query.pop("protocol", ["5"])[-1]
    if parts.scheme != "mqtt" or not parts.hostname:
        raise ValueError("write it as mqtt://host:port")
    if query or parts.path not in ("", "/"):
        raise ValueError("only ?protocol=5 or ?protocol=3.1.1 may follow the port")
    if protocol not in _PROTOCOLS:
        raise ValueError("protocol is 5, or 3.1.1 for the embedded demo broker")
    return BrokerAddress(
        host=parts.hostname,
        port=parts.port or 1883,
        protocol=_PROTOCOLS[protocol],
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )


def _choose(path: Path | None, environment: Mapping[str, str]) -> Path | None:
    if path is not None:
        return path
    if named := environment.get("ECLOR_CONFIG"):
        return Path(named)
    return DEFAULT_PATH if DEFAULT_PATH.exists() else None


def _read(path: Path, faults: list[Fault]) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        reason = exc.strerror or "cannot be read"
        faults.append(Fault(str(path), "file", None, f"{reason}; check the path and its rights"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        faults.append(Fault(str(path), "file", None, f"is not valid TOML: {exc}"))
    return {}


def _refuse_unknown(
    table: Mapping[str, Any],
    known: Mapping[str, Any],
    source: str,
    prefix: str,
    faults: list[Fault],
) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
            faults.append(Fault(source, f"{prefix}{key}", table[key], f"unknown; {hint}"))


def _section(
    struct: type[msgspec.Struct], table: object, source: str, name: str, faults: list[Fault]
) -> dict[str, Any]:
    """Valid values of one section; each bad one becomes a fault of its own."""
    if not isinstance(table, dict):
        faults.append(Fault(source, name, table, f"write it as a table: [{name}]"))
        return {}
    fields = {field.name: field.type for field in msgspec.structs.fields(struct)}
    _refuse_unknown(table, fields, source, f"{name}.", faults)
    values: dict[str, Any] = {}
    for key in table.keys() & fields.keys():
        try:
            values[key] = msgspec.convert(table[key], fields[key])
        except msgspec.ValidationError as exc:
            faults.append(Fault(source, f"{name}.{key}", table[key], str(exc)))
    return values


def _refuse_short_hours(
    sections: Mapping[str, dict[str, Any]], source: str, faults: list[Fault]
) -> None:
    """Hours must outlive the readings they are of: a late batch sums up its civil day anew, from
    the hours that are left."""
    retention = msgspec.convert(sections["retention"], Retention)
    ingest = msgspec.convert(sections["ingest"], Ingest)
    taken = {key: getattr(retention, key) or ingest.oldest_days for key in SUMMED_DAYS}
    longest = max(taken, key=lambda key: taken[key])
    least = taken[longest] + _CIVIL_DAY_DAYS
    if 0 < retention.hour_days < least:
        of = longest if getattr(retention, longest) else f"{longest} = 0 and ingest.oldest_days"
        remedy = (
            f"a late batch would remake days from few hours; write {least} or more ({of}), or 0"
        )
        faults.append(Fault(source, "retention.hour_days", retention.hour_days, remedy))


def _take_secret(
    name: str,
    section: dict[str, Any],
    environment: Mapping[str, str],
    source: str,
    faults: list[Fault],
) -> None:
    """Let environment or credential override the URL of a section, and check it."""
    variable = _SECRETS[name]
    if "url" in section and _password(name, section["url"]):
        remedy = f"holds a password; set it in {variable} instead"
        faults.append(Fault(source, f"{name}.url", "(hidden)", remedy))
    credential = Path(environment.get("CREDENTIALS_DIRECTORY", "/nonexistent")) / f"{name}-url"
    if url := environment.get(variable):
        section["url"], source, key = url, "environment", variable
    elif credential.exists():
        section["url"], source, key = credential.read_text().strip(), str(credential), "content"
    else:
        key = f"{name}.url"
    if "url" in section and (fault := _url_fault(name, section["url"])):
        shown = "(hidden)" if _password(name, section["url"]) else section["url"]
        faults.append(Fault(source, key, shown, fault))


def _password(name: str, url: str) -> bool:
    try:
        if name == "database":
            return "password" in conninfo_to_dict(url)
        return urlsplit(url).password is not None
    except (ProgrammingError, ValueError):
        return "@" in url


def _url_fault(name: str, url: str) -> str | None:
    try:
        if name == "database":
            conninfo_to_dict(url)
        else:
            broker_address(url)
    except ProgrammingError:
        return "write it as postgresql://user@host:port/database"
    except ValueError as exc:
        return str(exc)
    return None


def described() -> Mapping[str, Mapping[str, tuple[str, object]]]:
    """Every section and key with its type (as text) and default, for the reference page's test."""
    return {
        name: {
            field.name: (_type_text(field.type), field.default)
            for field in msgspec.structs.fields(struct)
        }
        for name, struct in _SECTIONS.items()
    }


def _type_text(annotation: Any) -> str:
    """`int 1..300`, `"a" or "b"`, `text`: what a person may write."""
    bounds = ""
    if typing.get_origin(annotation) is Annotated:
        annotation, meta = typing.get_args(annotation)
        low = meta.ge if meta.ge is not None else f">{meta.gt}"
        bounds = f" {low}..{meta.le}"
    if typing.get_origin(annotation) is Literal:
        return " or ".join(f'"{choice}"' for choice in typing.get_args(annotation))
    return {int: "int", float: "float", str: "text"}[annotation] + bounds
