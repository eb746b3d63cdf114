"""The ingest worker: batches from the broker into the database, one thread, no queue of its own.

    receive -> merge (live first) -> accept (COMMIT) -> publish acks -> PUBACK

A transaction is due when there are rows enough, after `merge_ms`, or when the socket is quiet.

What is not committed is not acknowledged; after any loss both connections are made anew and the
broker or the gateway sends again. Memory is bounded: messages by the receive maximum times the size
of a message, decoded rows by `merge_rows` and one batch more. SIGTERM: what has arrived is
committed and acknowledged, then the session is left to the broker, which keeps it for
`session_expiry_s`.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event as StopEvent

import psycopg

from cloud.backoff import Backoff
from cloud.errors import BrokerUnavailable, DatabaseUnavailable, MigrationError
from cloud.events import Event, Events
from cloud.ingest.accept import accept
from cloud.ingest.delivery import Delivery, Outcome, Status
from cloud.ingest.mqtt import Arrival, Session
from cloud.settings import Ingest, Settings
from cloud.storage import migrate
from cloud.storage.pool import connect, explained
from cloud.watchdog import Notifier
from protocols import topics, wire
from protocols.ack import encode_ack
from protocols.ids import Lane
from protocols.time import US_PER_S, Clock
from protocols.topics import TopicError
from protocols.wire import WireError

_WAIT_S = 0.5  # longest wait without looking at the stop sign


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that has arrived and is not committed."""

    arrival: Arrival
    received_us: int
    rows: int


class Merge:
    """Messages collected for the next transaction: live before history.

    A gateway that comes back has tens of large batches under way; a live batch does not wait behind
    them. One history batch goes into every transaction, however much live data there are.
    """

    def __init__(self, limits: Ingest) -> None:
        self._limits = limits
        self._live: deque[Waiting] = deque()
        self._history: deque[Waiting] = deque()
        self._rows = 0
        self._opened_s = 0.0

    def __len__(self) -> int:
        return len(self._live) + len(self._history)

    def add(self, arrival: Arrival, *, now_us: int, now_s: float) -> None:
        if not self:
            self._opened_s = now_s
        waiting = Waiting(arrival, now_us, _rows_announced(arrival.payload))
        (self._history if _is_history(arrival.topic) else self._live).append(waiting)
        self._rows += waiting.rows

    def due(self, *, now_s: float, quiet: bool) -> bool:
        """Whether to commit now: enough rows, waited long enough, or nothing more comes."""
        if not self:
            return False
        waited_ms = (now_s - self._opened_s) * 1000
        full = self._rows >= self._limits.merge_rows
        return quiet or full or waited_ms >= self._limits.merge_ms

    def wait_s(self) -> float:
        """How long the socket may stay quiet."""
        return self._limits.idle_ms / 1000 if self else _WAIT_S

    def take(self) -> list[Waiting]:
        """What goes into one transaction: `merge_rows`, exceeded by one batch of each lane."""
        taken: list[Waiting] = []
        rows = 0
        while self._live and rows < self._limits.merge_rows:
            taken.append(self._live.popleft())
            rows += taken[-1].rows
        live = len(taken)
        while self._history and (rows < self._limits.merge_rows or len(taken) == live):
            taken.append(self._history.popleft())
            rows += taken[-1].rows
        self._rows -= rows
        return taken


class Worker:
    """One ingest worker; `run` returns when `stop` is set."""

    def __init__(
        self,
        settings: Settings,
        *,
        stop: StopEvent,
        clock: Clock,
        notifier: Notifier,
        events: Events,
        backoff: Backoff | None = None,
    ) -> None:
        self._settings = settings
        self._stop = stop
        self._clock = clock
        self._notifier = notifier
        self._events = events
        self._backoff = backoff or Backoff()
        self._told = ""  # the outage that was logged last: one line each, not one an attempt

    def run(self) -> None:
        """Serve until told to stop; wait and try again while database or broker is away.

        BrokerRefused and MigrationError end it: they need a person.
        """
        self._events.record(
            Event.ROLE_STARTED, role="ingest", detail=f"worker {self._settings.ingest.worker}"
        )
        while not self._stop.is_set():
            try:
                self._serve()
            except DatabaseUnavailable as exc:
                self._pause(Event.DATABASE_LOST, exc)
            except BrokerUnavailable as exc:
                self._pause(Event.BROKER_LOST, exc)
        self._notifier.stopping()
        self._events.record(Event.ROLE_STOPPED, role="ingest")

    def _serve(self) -> None:
        settings = self._settings
        timeout_s = settings.ingest.statement_timeout_s
        with connect(settings.database, role="ingest", statement_timeout_s=timeout_s) as conn:
            _require_migrated(conn)
            session = Session(settings.broker, worker=settings.ingest.worker, clock=self._clock)
            with session:
                address = f"{session.address.host}:{session.address.port}"
                self._events.record(
                    Event.BROKER_CONNECTED,
                    address=address,
                    session_present=session.session_present,
                )
                self._backoff.reset()
                self._told = ""
                self._notifier.ready(f"taking batches from {address}")
                self._take_over(conn, session)

    def _take_over(self, conn: psycopg.Connection, session: Session) -> None:
        """The loop: every turn feeds the watchdog, so a turn that hangs is noticed."""
        merge = Merge(self._settings.ingest)
        while not self._stop.is_set():
            self._notifier.progress()
            arrived = self._collect(session, merge, merge.wait_s())
            while arrived and len(merge) < self._settings.broker.receive_maximum:
                arrived = self._collect(session, merge, 0.0)  # what is here already
            if merge.due(now_s=self._clock.monotonic_s(), quiet=not arrived):
                self._commit(conn, session, merge.take())
        while merge:
            self._commit(conn, session, merge.take())

    def _collect(self, session: Session, merge: Merge, timeout_s: float) -> bool:
        """Take messages in; False if none came in time."""
        arrivals = session.receive(timeout_s)
        for arrival in arrivals:
            merge.add(arrival, now_us=self._clock.now_us(), now_s=self._clock.monotonic_s())
        return bool(arrivals)

    def _commit(self, conn: psycopg.Connection, session: Session, taken: list[Waiting]) -> None:
        """COMMIT, then the gateways' acknowledgements, then the broker's."""
        deliveries = [
            Delivery(waiting.arrival.payload, waiting.received_us, waiting.arrival.topic)
            for waiting in taken
        ]
        begun_s = self._clock.monotonic_s()
        outcomes = accept(
            conn,
            deliveries,
            limits=self._settings.ingest,
            events=self._events,
            progress=self._notifier.progress,
        )
        self._events.record(
            Event.BATCHES_COMMITTED,
            messages=len(deliveries),
            duration_s=self._clock.monotonic_s() - begun_s,
            lag_s=lags(outcomes, self._clock.now_us()),
        )
        publish_acks(outcomes, session.publish)
        for waiting in taken:
            session.acknowledge(waiting.arrival.mid)

    def _pause(self, event: Event, exc: Exception) -> None:
        """Wait a jittered while, feeding the watchdog: waiting for a dependency is no hang."""
        delay_s = self._backoff.next_s()
        if str(exc) != self._told:
            self._told = str(exc)
            self._events.record(event, detail=str(exc), retry_s=round(delay_s, 1))
        until_s = self._clock.monotonic_s() + delay_s
        while (left_s := until_s - self._clock.monotonic_s()) > 0 and not self._stop.is_set():
            self._notifier.waiting(str(exc))
            self._stop.wait(min(left_s, _WAIT_S))


def lags(outcomes: list[Outcome], now_us: int) -> dict[str, float]:
    """Seconds by lane from the making of the oldest batch that was new until now."""
    made: dict[str, int] = {}
    for outcome in outcomes:
        if outcome.status is Status.STORED and outcome.head is not None:
            lane = outcome.head.stream.lane.label
            made[lane] = min(outcome.head.created_us, made.get(lane, outcome.head.created_us))
    return {lane: max(0.0, (now_us - t_us) / US_PER_S) for lane, t_us in made.items()}


def publish_acks(outcomes: list[Outcome], publish: Callable[..., None]) -> None:
    """One retained acknowledgement a gateway."""
    acks = {outcome.ack.gateway: outcome.ack for outcome in outcomes if outcome.ack is not None}
    for gateway, ack in acks.items():
        publish(topics.ack(gateway), encode_ack(ack), retain=True)


def _rows_announced(payload: bytes) -> int:
    """Rows for the merge's bound; a damaged message counts as one."""
    try:
        return max(1, min(wire.decode_head(payload).rows, wire.MAX_ROWS))
    except WireError:
        return 1


def _is_history(topic: str) -> bool:
    try:
        return topics.parse_up(topic)[1] is Lane.HISTORY
    except TopicError:
        return False


def _require_migrated(conn: psycopg.Connection) -> None:
    """MigrationError if it is not; DatabaseUnavailable if it goes away at this very moment."""
    try:
        missing = migrate.pending(conn)
    except (psycopg.OperationalError, psycopg.InterfaceError) as exc:
        raise DatabaseUnavailable(f"the database gave up: {explained(exc)}") from exc
    if missing:
        raise MigrationError(
            f"the database lacks {len(missing)} migrations ({missing[0]} ...); "
            "run eclor cloud migrate"
        )
