"""One write: lines into the tables, gateway by gateway, and what became of each line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psycopg

from cloud.ingest import samples as ingest
from cloud.ingest.delivery import Fault
from cloud.ingest.samples import Times
from cloud.lineprotocol.parse import LineFault, parse
from cloud.lineprotocol.points import Reading, Sample, newest_of_each, read
from cloud.settings import Settings
from cloud.storage import queries
from cloud.storage.pool import connect
from protocols.ids import GatewayId

_SQL = queries.load(__file__)


@dataclass(slots=True)
class Written:
    """`stored` rows are new, `repeated` were there; `refused` lines left nothing behind."""

    lines: int
    ignored: int
    stored: int = 0
    repeated: int = 0
    malformed: list[LineFault] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)

    @property
    def faults(self) -> list[LineFault]:
        """In the order of the lines."""
        refused = [LineFault(line, reason) for line, reason in self.refused.items()]
        return sorted([*self.malformed, *refused], key=lambda fault: fault.line)


class UnknownBucketError(LookupError):
    """No gateway of the bucket's name, or none that the key may write for."""


def write(
    settings: Settings,
    text: str,
    *,
    bucket: str,
    precision: str,
    territory: str | None,
    now_us: int,
) -> Written:
    """Store what can be stored, COMMIT, and tell of the rest; UnknownBucketError, TooMuchError."""
    found = read(parse(text), bucket=bucket, precision=precision, now_us=now_us)
    written = Written(found.lines, found.ignored, malformed=found.malformed, refused=found.refused)
    with connect(settings.database, role="api write") as conn:
        known = _gateways(conn, {bucket, *found.samples}, territory)
        if bucket not in known:
            raise UnknownBucketError(bucket)
        times = ingest.times(conn, settings.ingest, now_us)
        for name in sorted(found.samples):
            _write_of(conn, settings, name, known, times, found, written)
    return written


def _gateways(
    conn: psycopg.Connection, names: set[str], territory: str | None
) -> Mapping[str, int]:
    possible = sorted(name for name in names if "\0" not in name)  # no text of PostgreSQL has one
    asked = {"names": possible, "territory": territory}
    return dict(conn.execute(_SQL["gateways"], asked).fetchall())


def _write_of(
    conn: psycopg.Connection,
    settings: Settings,
    name: str,
    known: Mapping[str, int],
    times: Times,
    found: Reading,
    written: Written,
) -> None:
    """The samples of one gateway, in a transaction of its own."""
    samples = found.samples[name]
    if name not in known:
        _refuse(written, samples, f"gateway {name!r} is unknown; add it to the registry")
        return
    timely = [sample for sample in samples if times.fault(sample.t_us) is None]
    for sample in samples:
        if fault := times.fault(sample.t_us):
            _refuse(written, [sample], fault)
    if not timely:
        return
    rows = [(s.device, s.point, s.t_us, s.scaled) for s in newest_of_each(timely)]
    stored = ingest.write(conn, (known[name], GatewayId(name)), rows, settings.ingest)
    if isinstance(stored, Fault):
        _refuse(written, timely, f"{stored.reason}: {stored.detail}")
        return
    written.stored += stored
    written.repeated += len(timely) - stored


def _refuse(written: Written, samples: Sequence[Sample], reason: str) -> None:
    """Refuse the lines of these samples, each once, for the first reason found."""
    for sample in samples:
        written.refused.setdefault(sample.line, reason)
