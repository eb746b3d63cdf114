"""Lighting plans from the cloud: checked, made durable, activated, reported.

`plan.json` is the plan that holds; a plan that is to hold later waits in `plan-next.json` and takes
its place when its time has come, so that the night in between is not left to the fallback. Files
are replaced atomically; a file that cannot be trusted is reported and ignored.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge import events
from edge.outbox_file import sync_directory, write_durably
from edge.signature import PlanKeys
from protocols.documents import DocumentError
from protocols.ids import GatewayId
from protocols.plan import Plan, decode_plan, plan_hash

ACTIVE, NEXT = "plan.json", "plan-next.json"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A plan and the hash of the document that it came in."""

    plan: Plan
    hash: str
    document: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """A document that was not taken, by its hash, and why."""

    hash: str
    error: str


class Plans:
    """The plans that a gateway holds."""

    def __init__(self, directory: Path, gateway: GatewayId, keys: PlanKeys) -> None:
        self._directory = directory
        self._gateway = gateway
        self._keys = keys
        self.active = self._load(ACTIVE)
        self.next = self._waiting()
        self.refusal: Refusal | None = None

    def current(self, now_us: int) -> Plan | None:
        """The plan to execute at `now_us`; makes the next one active when its time has come."""
        if self.next is not None and self.next.plan.valid_from_us <= now_us:
            self._activate(self.next)
        return self.active.plan if self.active else None

    @property
    def issued_us(self) -> int:
        """When the newest plan was made: the clock cannot be before that."""
        return max((held.plan.issued_us for held in (self.active, self.next) if held), default=0)

    def offer(self, document: bytes, *, now_us: int) -> bool:
        """Take a plan document; True if it holds or will hold, else `refusal` says why not."""
        digest = plan_hash(document)
        if any(held and held.hash == digest for held in (self.active, self.next)):
            return True
        try:
            plan = self._checked(document, now_us)
        except DocumentError as exc:
            self.refusal = Refusal(digest, str(exc))
            events.PLAN_REFUSED(hash=digest, error=exc)
            return False
        accepted = Accepted(plan, digest, document)
        self.refusal = None
        if plan.valid_from_us > now_us and self.active is not None:
            self.next = accepted
            self._save(NEXT, document)
        else:
            self._activate(accepted)
        return True

    def _checked(self, document: bytes, now_us: int) -> Plan:
        self._keys.check(document)
        plan = decode_plan(document)
        if plan.gateway != self._gateway:
            raise DocumentError(f"plan: gateway {plan.gateway} is not this gateway")
        if plan.valid_until_us <= now_us:
            raise DocumentError("plan: valid_until_us has passed")
        if plan.issued_us < self.issued_us:
            raise DocumentError("plan: issued_us is before that of a plan that is held")
        return plan

    def _activate(self, accepted: Accepted) -> None:
        self.active, self.next = accepted, None
        self._save(ACTIVE, accepted.document)
        events.PLAN_ACTIVATED(plan_id=accepted.plan.plan_id, hash=accepted.hash)

    def _save(self, name: str, document: bytes) -> None:
        """A plan that cannot be saved holds all the same: light now matters more."""
        try:
            write_durably(self._directory / name, document)
            if name == ACTIVE:
                self._remove_next()
        except OSError as exc:
            events.PLAN_NOT_SAVED(error=exc)

    def _remove_next(self) -> None:
        (self._directory / NEXT).unlink(missing_ok=True)
        sync_directory(self._directory)

    def _waiting(self) -> Accepted | None:
        """The next plan; one that the active plan has overtaken came back after a power cut."""
        held = self._load(NEXT)
        if held is None or self.active is None:
            return held
        if held.plan.issued_us > self.active.plan.issued_us:
            return held
        with suppress(OSError):  # as long as it lies there it is passed over
            self._remove_next()
        return None

    def _load(self, name: str) -> Accepted | None:
        try:
            document = (self._directory / name).read_bytes()
            self._keys.check(document)
            plan = decode_plan(document)
        except FileNotFoundError:
            return None
        except (OSError, DocumentError) as exc:
            events.PLAN_REFUSED(hash=name, error=exc)
            return None
        if plan.gateway != self._gateway:
            events.PLAN_REFUSED(hash=name, error=f"it is a plan of gateway {plan.gateway}")
            return None
        return Accepted(plan, plan_hash(document), document)
