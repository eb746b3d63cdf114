"""One schedule: random steps and faults from one seed, then a fair ending, then the account.

Safety is checked at every step, liveness apart: after the last fault the network carries every
message and the disk has room, and within a bounded number of rounds everything must be settled.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.delivery_simulation.cloud import Cloud
from benchmarks.delivery_simulation.disk import Disk
from benchmarks.delivery_simulation.gateway import Gateway, Process
from benchmarks.delivery_simulation.world import START_US, Crash, Violation, World
from protocols.ack import Ack
from protocols.ids import Lane

STEPS = 64
_ROUNDS = 60
_ALL, _LIVE = frozenset(Lane), frozenset({Lane.LIVE})

# How often each step happens; a schedule takes faults from a random part of the second table.
_WORK = {
    "measure": 14,
    "cycle": 14,
    "settle": 5,
    "connect": 6,
    "publish": 16,
    "arrive": 14,
    "commit": 12,
    "ack": 14,
    "pass_a_second": 5,
}
_FAULTS = {
    "lose_message": 3,
    "double_message": 3,
    "lose_ack": 3,
    "double_ack": 3,
    "old_ack": 2,
    "disconnect": 3,
    "kill": 2,
    "light_fuse": 5,
    "worker_dies": 2,
    "worker_dies_after_commit": 2,
    "broker_dies": 1,
    "pass_minutes": 2,
    "jump_clock": 1,
    "fill_disk": 1,
    "free_disk": 2,
    "take_disk_away": 1,
    "corrupt_disk": 1,
    "back_up": 2,
    "restore": 1,
    "disaster": 1,
    "kill_before_recording": 1,
    "refuse": 1,
    "flood": 3,
    "backfill": 2,
}


@dataclass(frozen=True, slots=True)
class Played:
    """What one schedule was made of."""

    steps: int
    crashes: int
    rows: int


class Schedule:
    """The parts put together; `play` runs it and raises Violation where a promise breaks."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.world = World(chance)
        self.gateway = Gateway(
            self.world, window=chance.randint(1, 4), capacity=chance.choice((40, 40, 60, 100, 300))
        )
        self.cloud = Cloud(self.world, poison=chance.random() < 0.3)
        self.up: list[bytes] = []
        self.down: list[Ack] = []
        self.heard: list[Ack] = []
        self.retained: Ack | None = None
        self.crashes = 0
        self.steps = 0
        self.checked = 0

    def play(self, steps: int = STEPS) -> Played:
        weights = _WORK | {
            name: weight for name, weight in _FAULTS.items() if self.chance.random() < 0.5
        }
        chosen = self.chance.choices(list(weights), list(weights.values()), k=steps)
        for name in chosen:
            self.take(name)
        self.end_fairly()
        self.settle_account()
        return Played(self.steps, self.crashes, self.gateway.made)

    def take(self, name: str) -> None:
        """One step; a crash on the way is part of it."""
        self.steps += 1
        try:
            step: Callable[[], None] = getattr(self, name)
            step()
        except Crash:
            self.crashed()
        self.check()

    def crashed(self) -> None:
        self.world.fuse = 0
        self.crashes += 1
        self.gateway.kill()
        self.down.clear()
        self.heard.clear()

    # Work

    def process(self) -> Process:
        if self.gateway.process is None:
            self.gateway.start()
        assert self.gateway.process is not None
        return self.gateway.process

    def measure(self) -> None:
        self.process().measure(self.chance.randint(1, 3))

    def cycle(self) -> None:
        self.process().cycle()

    def settle(self) -> None:
        self.process().committer.settle()

    def backfill(self) -> None:
        self.process().store_history(self.chance.randint(1, 9))

    def flood(self) -> None:
        """An outage goes on: rows and rows, and the uplink has been down for long."""
        self.disconnect()
        for _ in range(self.chance.randint(3, 10)):
            self.world.pass_time(30)
            self.process().measure(self.chance.randint(1, 4))
            self.process().cycle()

    def connect(self) -> None:
        process = self.process()
        if not process.connected:
            self.down.clear()
            self.heard.clear()
            process.connect()
            if self.retained is not None:
                self.down.append(self.retained)

    def publish(self) -> None:
        process = self.process()
        if not process.connected:
            return
        for _ in range(self.chance.randint(1, 6)):
            payload = process.publish(_ALL if self.chance.random() < 0.8 else _LIVE)
            if payload is not None:
                self.up.append(payload)
                self.world.point()

    def refuse(self) -> None:
        process = self.process()
        payload = process.publish(_ALL) if process.connected else None
        if payload is not None:
            message = self.world.message(payload)
            process.sender.refused(message.lane, message.seq)

    def arrive(self) -> None:
        for _ in range(self.chance.randint(1, 6)):
            if self.up:
                self.cloud.inbox.append(self.up.pop(self._any(self.up)))

    def commit(self) -> None:
        self._publish_ack(self.cloud.commit())

    def _publish_ack(self, ack: Ack | None) -> None:
        if ack is not None:
            self.retained = ack
            if self.gateway.process is not None and self.gateway.process.connected:
                self.down.append(ack)

    def ack(self) -> None:
        if self.down:
            ack = self.down.pop(self._any(self.down))
            self.heard.append(ack)
            self.process().acknowledged(ack)

    def pass_a_second(self) -> None:
        self.world.pass_time(1)

    # Faults

    def _any(self, things: list[bytes] | list[Ack]) -> int:
        return self.chance.randrange(len(things))

    def lose_message(self) -> None:
        if self.up:
            self.up.pop(self._any(self.up))

    def double_message(self) -> None:
        if self.up:
            self.up.append(self.chance.choice(self.up))

    def lose_ack(self) -> None:
        if self.down:
            self.down.pop(self._any(self.down))

    def double_ack(self) -> None:
        if self.down:
            self.down.append(self.chance.choice(self.down))

    def old_ack(self) -> None:
        """One of this connection comes again, long after others."""
        if self.heard:
            self.process().acknowledged(self.chance.choice(self.heard))

    def disconnect(self) -> None:
        process = self.process()
        if process.connected:
            process.disconnect()
            self.down.clear()
            self.heard.clear()

    def kill(self) -> None:
        self.crashed()

    def light_fuse(self) -> None:
        """Some points further on the process dies, wherever that is."""
        self.world.fuse = self.chance.randint(1, 40)

    def worker_dies(self) -> None:
        """Before the COMMIT: the broker delivers again."""
        self.up += self.cloud.inbox
        self.cloud.inbox.clear()

    def worker_dies_after_commit(self) -> None:
        """Nobody hears of it, and the broker delivers again."""
        self.up += self.cloud.inbox
        self.cloud.commit()

    def broker_dies(self) -> None:
        self.up.clear()
        self.retained = None
        self.disconnect()

    def pass_minutes(self) -> None:
        self.world.pass_time(self.chance.uniform(10, 300))

    def jump_clock(self) -> None:
        self.world.wall_us = max(0, self.world.wall_us + self.chance.choice((-1, 1)) * START_US)

    def fill_disk(self) -> None:
        self.gateway.disk.full = True
        self.gateway.disk.ballast = self.chance.random() < 0.5

    def free_disk(self) -> None:
        self.gateway.disk.full = self.gateway.disk.away = False
        self.gateway.disk.ballast = True

    def take_disk_away(self) -> None:
        """The store cannot be opened; while it is open, that shows at the next start only."""
        self.gateway.disk.away = True

    def corrupt_disk(self) -> None:
        """Found at the next start."""
        self.gateway.disk.corrupt = True
        self.crashed()

    def back_up(self) -> None:
        self.cloud.back_up()

    def restore(self) -> None:
        self.cloud.restore()

    def disaster(self) -> None:
        """An outage is made good, then the database loses all of it, then the next outage comes."""
        self.back_up()
        self.flood()
        self.connect()
        self._carry(self.process())
        self.restore()
        self.measure()
        self.cycle()
        self._carry(self.process(), rounds=1)
        self.flood()

    def kill_before_recording(self) -> None:
        """Acknowledgements have been heard and made room to send more; then a kill, an outage."""
        self.connect()
        self.world.pass_time(1)
        for name in ("publish", "arrive", "commit", "ack", "publish", "kill", "flood"):
            getattr(self, name)()

    # What must hold

    def check(self) -> None:
        """What holds at every moment."""
        process = self.gateway.process
        if process is None:
            return
        disk = self.gateway.disk
        if disk.writes == self.checked:
            return
        self.checked = disk.writes
        waiting, rows = disk.waiting()
        totals = disk.totals
        produced = totals["appended"] + totals["refused"]
        if produced != totals["acked"] + rows + totals["dropped"]:
            raise Violation("rows appended + refused != acknowledged + waiting + dropped")
        for lane, batches in waiting.items():
            if process.sender.pending(lane) > batches:
                raise Violation(f"{process.sender.pending(lane)} pending, {batches} wait")

    def end_fairly(self) -> None:
        """No more faults: everything is settled within bounded rounds."""
        self.world.fuse = 0
        self.free_disk()
        for _ in range(_ROUNDS):
            self.connect()
            process = self.process()
            self.world.pass_time(200)
            process.measure(1)
            process.cycle()
            self._carry(process)
            process.committer.settle()
            self.check()
            if self._is_settled(process):
                return
        raise Violation("something is stuck: it does not settle under a fair network")

    def _carry(self, process: Process, *, rounds: int = 200) -> None:
        """The network carries everything, in order, until nothing more is due."""
        for _ in range(rounds):
            while (payload := process.publish(_ALL)) is not None:
                self.up.append(payload)
            self.cloud.inbox += self.up
            self.up.clear()
            self._publish_ack(self.cloud.commit())
            if not self.down:
                return
            for ack in self.down:
                process.acknowledged(ack)
            self.down.clear()
            process.committer.settle()
        if rounds > 1:
            raise Violation("messages without end under a fair network")

    def _is_settled(self, process: Process) -> bool:
        if any(process.sender.pending(lane) for lane in Lane) or self.gateway.disk.gaps:
            return False
        return not any(self._is_lacked(lane) for lane in Lane)

    def _is_lacked(self, lane: Lane) -> bool:
        """Whether the database lacks a number that is neither in the store nor declared gone."""
        disk, ledger = self.gateway.disk, self.cloud.db.ledger
        return any(
            (disk.epoch, lane, seq) not in ledger
            and (seq in disk.batches[lane] or seq > disk.expired_seq[lane])
            for seq in range(1, disk.last_seq[lane] + 1)
        )

    def settle_account(self) -> None:
        """Produced = stored + quarantined + declared dropped, nothing doubled."""
        db, gateway = self.cloud.db, self.gateway
        doubled = [row for row, times in db.rows.items() if times > 1]
        if doubled:
            raise Violation(f"rows stored more than once: {doubled}")
        for disk in (*gateway.old_disks, gateway.disk):
            self._account(disk)
        known = {row for disk in (*gateway.old_disks, gateway.disk) for row in disk.appended}
        if gateway.promised - known:
            raise Violation(f"durable rows are gone: {sorted(gateway.promised - known)}")

    def _account(self, disk: Disk) -> None:
        db = self.cloud.db
        lost_and_stored = [row for row in disk.lost if row in db.rows]
        if lost_and_stored:
            raise Violation(f"declared lost, and stored: {lost_and_stored}")
        if disk is not self.gateway.disk:
            return  # set aside as damaged: what it had is declared as not known
        missing = [
            row
            for row, (lane, seq) in disk.appended.items()
            if row not in db.rows
            and row not in db.quarantined_rows
            and row not in disk.lost
            and seq > disk.expired_seq[lane]
        ]
        if missing:
            raise Violation(f"rows neither stored nor declared: {missing}")
        declared = db.declared.get(disk.epoch, 0) + db.declared_quarantined.get(disk.epoch, 0)
        if declared != disk.totals["dropped"] and not any(disk.expired_seq.values()):
            raise Violation(f"{disk.totals['dropped']} rows dropped, {declared} declared")


def play(seed: int, number: int, *, steps: int = STEPS) -> Played:
    """Schedule `number` of `seed`; the same arguments give the same steps."""
    return Schedule(random.Random(f"{seed}/{number}")).play(steps)
