"""The savings report over HTTP: every figure beside the name of its baseline."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from cloud.api.auth import Principal, Scope, require
from cloud.api.deps import Connection, Now
from cloud.api.etag import tagged
from cloud.api.problems import Problem, openapi_responses
from cloud.lighting import store
from cloud.lighting.given import LightGiven
from cloud.lighting.power import PowerCurve
from cloud.lighting.report import GroupReport, evenings, group_report, totals
from cloud.lighting.segment_routes import LimitForm, shown_limits
from cloud.lighting.verification import DECLARED_SHARE, METER_SHARE, Saving

router = APIRouter(tags=["lighting"])

Reader = Annotated[Principal, require(Scope.READ)]
MAX_NIGHTS = 366


class SavingForm(BaseModel):
    """What was saved against one baseline; money and carbon where their price was given."""

    baseline: str = Field(description="B0, B1, B2, B3 or bound")
    name: str
    nights: int
    baseline_kwh: float
    measured_kwh: float
    saved_kwh: float
    saving_pct: float
    low_pct: float = Field(description="Lower end of the 90 % interval")
    high_pct: float
    saved_eur: float | None
    saved_gco2: float | None


class SharesForm(BaseModel):
    """What each step saves of what the step before left: multiplied, never added."""

    led_pct: float | None = Field(description="The lamps: 1 - B1/B0")
    control_pct: float | None = Field(description="Their control: 1 - measured/B1, all of below")
    output_pct: float | None = Field(
        description="Constant light output, over-lighting removed, room of the design"
    )
    extinction_pct: float | None = Field(description="Off by decision of the council")
    class_pct: float | None = Field(description="The class that follows the traffic")


class LightForm(BaseModel):
    """Whether the road had the class that the counts asked for, by dark hours of known level."""

    hours_normal: float
    hours_one_lower: float
    hours_two_lower: float
    hours_below: float = Field(description="Lit, but under the lowest class")
    hours_extinguished: float = Field(description="Off by decision of the council; not judged")
    hours_off: float = Field(description="Off without a decision")
    under_class_minutes: dict[str, float] = Field(description="By how many classes under")
    judged_h: float
    not_counted_h: float = Field(description="Dark hours without a count to judge by")


class CurveForm(BaseModel):
    """Power of one lamp over its level: what the LED baselines are computed with."""

    source: str = Field(description="declared, or learned from lamps or from the feeder")
    idle_w: float = Field(description="The line at level 0")
    full_w: float
    interval_w: float | None = Field(description="Half width at 90 % of one lamp; null: declared")
    readings: int


class GroupReportForm(BaseModel):
    """One lighting group."""

    territory: str
    group: str
    name: str
    lamps: int
    meter: str = Field(description="feeder, or lamps where the cabinet feeds several groups")
    nights: int
    nights_left_out: int = Field(description="Metered for less than 90 % of their dark time")
    dark_h: float
    measured_kwh: float = Field(description="Standby by day included")
    standby_kwh: float = Field(description="Of it, while it was light")
    power_curve: CurveForm
    dead_lamp_h: float = Field(description="Taken out of every baseline: a dead lamp saves nothing")
    savings: list[SavingForm]
    shares: SharesForm
    light: LightForm
    aeci_kwh_m2: float | None = Field(description="EN 13201-5, scaled to the year's dark hours")
    aeci_before_kwh_m2: float | None = Field(description="The same of the declared old park")
    pdi_w_lx_m2: float | None = Field(description="EN 13201-5, at the normal level")
    limits: list[LimitForm] = Field(description="Installed, beside the French limits")


class TotalForm(SavingForm):
    """All groups of one baseline name together; the interval as if all erred to one side."""

    groups: int


class ReportForm(BaseModel):
    """What lighting saved over the last whole nights."""

    first_evening: date
    last_evening: date
    meter_error_pct: float = Field(description="Half width taken for the meters")
    declared_error_pct: float = Field(description="Half width assumed for declared powers")
    groups: list[GroupReportForm]
    totals: list[TotalForm] = Field(description="Only groups of one baseline name are added up")


@router.get("/report", response_model=ReportForm, responses=openapi_responses(401, 403, 404, 422))
async def read_report(
    request: Request,
    who: Reader,
    conn: Connection,
    clock: Now,
    nights: Annotated[int, Query(ge=1, le=MAX_NIGHTS, description="Whole nights, to the last")] = 7,
    territory: Annotated[str | None, Query(description="Null: every one the key sees")] = None,
    eur_per_kwh: Annotated[float | None, Query(ge=0, le=10)] = None,
    gco2_per_kwh: Annotated[float | None, Query(ge=0, le=2_000)] = None,
) -> Response:
    """Measured energy against every baseline, and the light that was given for it."""
    records = [
        record
        for record in await store.groups(conn)
        if who.sees(record.territory) and territory in (None, record.territory)
    ]
    if not records:
        raise Problem(404, "not-found", "there is no lighting group to report on")
    now_us = clock.now_us()
    found = [await group_report(conn, r, last_nights=nights, now_us=now_us) for r in records]
    first, last = evenings(records[0], nights, now_us)
    body = {
        "first_evening": first,
        "last_evening": last,
        "meter_error_pct": 100 * METER_SHARE,
        "declared_error_pct": 100 * DECLARED_SHARE,
        "groups": [_group(one, eur_per_kwh, gco2_per_kwh) for one in found],
        "totals": [
            _saving(total, eur_per_kwh, gco2_per_kwh) | {"groups": number}
            for total, number in totals(found)
        ],
    }
    return tagged(request, body)


def _group(one: GroupReport, eur: float | None, gco2: float | None) -> dict[str, Any]:
    return {
        "territory": one.record.territory,
        "group": one.record.slug,
        "name": one.record.name,
        "lamps": len(one.record.lamp_ids),
        "meter": one.meter.value,
        "nights": one.nights,
        "nights_left_out": one.nights_left_out,
        "dark_h": round(one.dark_h, 2),
        "measured_kwh": round(one.measured_kwh, 2),
        "standby_kwh": round(one.standby_kwh, 2),
        "power_curve": _curve(one.record.group.lamp),
        "dead_lamp_h": round(one.dead_lamp_h, 2),
        "savings": [_saving(saved, eur, gco2) for saved in one.savings],
        "shares": {
            "led_pct": _rounded(one.shares.led_pct, 1),
            "control_pct": _rounded(one.shares.control_pct, 1),
            "output_pct": _rounded(one.shares.output_pct, 1),
            "extinction_pct": _rounded(one.shares.extinction_pct, 1),
            "class_pct": _rounded(one.shares.class_pct, 1),
        },
        "light": _light(one.light),
        "aeci_kwh_m2": _rounded(one.aeci_kwh_m2, 3),
        "aeci_before_kwh_m2": _rounded(one.aeci_before_kwh_m2, 3),
        "pdi_w_lx_m2": _rounded(one.pdi_w_lx_m2, 4),
        "limits": shown_limits(one.record.segment) if one.record.segment else [],
    }


def _curve(curve: PowerCurve) -> dict[str, Any]:
    return {
        "source": curve.source.value,
        "idle_w": round(curve.idle_w, 2),
        "full_w": round(curve.full_w, 2),
        "interval_w": round(curve.interval_w, 2) if curve.readings else None,
        "readings": curve.readings,
    }


def _saving(one: Saving, eur: float | None, gco2: float | None) -> dict[str, Any]:
    return {
        "baseline": one.baseline,
        "name": one.name,
        "nights": one.nights,
        "baseline_kwh": round(one.baseline_kwh, 2),
        "measured_kwh": round(one.measured_kwh, 2),
        "saved_kwh": round(one.saved_kwh, 2),
        "saving_pct": round(one.saving_pct, 1),
        "low_pct": round(one.low_pct, 1),
        "high_pct": round(one.high_pct, 1),
        "saved_eur": None if eur is None else round(one.saved_kwh * eur, 2),
        "saved_gco2": None if gco2 is None else round(one.saved_kwh * gco2),
    }


def _light(light: LightGiven) -> dict[str, Any]:
    normal, one, two = (round(hours, 2) for hours in light.hours_at)
    return {
        "hours_normal": normal,
        "hours_one_lower": one,
        "hours_two_lower": two,
        "hours_below": round(light.below_h, 2),
        "hours_extinguished": round(light.extinguished_h, 2),
        "hours_off": round(light.off_h, 2),
        "under_class_minutes": {
            str(depth): minutes for depth, minutes in light.under_minutes.items()
        },
        "judged_h": round(light.judged_h, 2),
        "not_counted_h": round(light.not_counted_h, 2),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
