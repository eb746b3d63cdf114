"""Whole nights on virtual time: the light follows the plan, through restarts and corrupt plans."""

import asyncio
from datetime import date
from pathlib import Path

import pytest

from benchmarks.evaluations.nights import measure
from benchmarks.lighting_nights.night import Findings, Night, Scene
from cloud.lighting import signing
from edge.signature import PlanKeys, public_key
from firmware_sim.lamp import Lamp
from protocols import plan
from protocols.ids import GatewayId
from protocols.plan import GroupPlan, Override, Source


def gone_through(scene: Scene, directory: Path) -> Findings:
    signer = signing.create(directory / "plan.key")
    keys = PlanKeys([public_key(signer.public_key or "")])
    return asyncio.run(Night(scene, directory, signer, keys).run())


def test_some_seeded_nights_follow_the_plan_within_a_slot_and_are_never_below_it() -> None:
    figures = measure(nights=1, seed=5)
    assert figures["late"] == 0
    assert figures["slots_below_class"] == 0
    assert figures["lamp_slots"] > 1500
    assert figures["modbus_requests"] > 3 * 2000
    assert figures["corrupt_plans_refused"] > 0
    assert figures["overrides"] > 0
    assert figures["minutes.override"] > 0
    assert (figures["overrides_overrun"], figures["overrides_ignored"]) == (0, 0)


@pytest.mark.parametrize(
    ("old_days", "source"), [(0, Source.PLAN), (9, Source.PROFILE), (45, Source.FALLBACK)]
)
def test_the_fallback_chain_lights_the_night(tmp_path: Path, old_days: int, source: Source) -> None:
    scene = Scene(GatewayId("cab-1"), date(2026, 3, 28), seed=22, old_days=old_days)
    found = gone_through(scene, tmp_path)
    assert found.by_source[source] > 0
    assert (found.late, found.below) == (0, 0)


def test_a_line_that_is_lost_again_after_some_minutes_delays_no_level_beyond_a_slot(
    tmp_path: Path,
) -> None:
    """Its unit must not rest through the minutes between (seed 3 of the evaluation)."""
    found = gone_through(
        Scene(GatewayId("cab-2"), date(2026, 4, 18), seed=11, old_days=11), tmp_path
    )
    assert (found.late, found.below) == (0, 0)


def test_lamps_that_do_not_obey_are_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dimmed(self: Lamp, t_us: int, level_pct: float) -> None:
        self.target_pct, self.written_us = level_pct, t_us
        self._command(t_us, 20.0)

    monkeypatch.setattr(Lamp, "write", dimmed)
    found = gone_through(Scene(GatewayId("cab-1"), date(2026, 11, 20), 3, 0), tmp_path)
    assert found.late > 0
    assert found.below > 0


def test_an_order_that_does_not_end_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(group: GroupPlan, t_us: int) -> Override | None:
        return max((o for o in group.overrides if o.from_us <= t_us), default=None, key=id)

    monkeypatch.setattr(plan, "override_at", endless)
    scene = Scene(GatewayId("cab-1"), date(2026, 11, 20), seed=16, old_days=0)
    assert gone_through(scene, tmp_path).overrun > 0
