"""The demonstration territory: 3 lighting cabinets, 2 recycling centres, 4 road counters.

Invented places near 49.5 N 5.8 E. One centre keeps the hours of a small town, longer than usual
and every day; the other is a self-service centre with a badge, open around the clock but for ten
minutes at midnight, in which it is locked and its counters are known to be at zero. So there is a
wait to show at any hour; by night the lamps are on as well.

The three cabinets differ on purpose: each has another maker's meter, and the third has its lamps
behind a DALI gateway that reports neither power nor energy. In the first two the switchgear and the
lamps are one Modbus unit, as in the `eclor-cabinet` map.
"""

from dataclasses import dataclass

from firmware_sim.civil import WEEKDAYS
from firmware_sim.scenario import (
    CabinetSpec,
    DeviceSpec,
    FacilitySpec,
    GatewaySpec,
    LampModel,
    LightingGroupSpec,
    RoadCounter,
    SiteKind,
    SiteSpec,
    Territory,
)
from protocols.ids import (
    DeviceId,
    device_id,
    facility_id,
    gateway_id,
    group_id,
    site_id,
    territory_id,
)

_LAMPS_PER_CABINET = 40
_LED_W = 60.0
# 150 W high-pressure sodium with its magnetic ballast: the usual lamp of the park LED replaces.
_OLD_PARK_W = 172.0
_OLD_PARK_NAME = "SHP 150 W + ballast"
_LAMP_INTERVAL_S = 10
_LAMP_WINDOW_S = 300
_FEEDER, _SWITCHGEAR, _COUNTER = (device_id(n) for n in ("feeder", "cabinet", "road"))
_TAIL, _ENTRY, _EXIT = (device_id(n) for n in ("tail", "entry", "exit"))
_GATE_PROFILE = "eclor-gate"
_CABINET_MAP = "eclor-cabinet"


@dataclass(frozen=True, slots=True)
class _Cabinet:
    slug: str
    name: str
    street: str
    latitude_deg: float
    longitude_deg: float
    meter: str
    lamps: str
    switchgear_unit: int
    vehicles_per_day: float
    capacity_per_h: float


_CABINETS = (
    _Cabinet(
        "centre",
        "Centre-bourg",
        "Grand-Rue",
        49.521,
        5.768,
        "eastron-sdm630",
        "eclor-luminaire",
        switchgear_unit=2,
        vehicles_per_day=6200,
        capacity_per_h=900,
    ),
    _Cabinet(
        "gare",
        "Quartier de la gare",
        "Avenue de la Gare",
        49.516,
        5.781,
        "schneider-iem3155",
        "eclor-luminaire",
        switchgear_unit=2,
        vehicles_per_day=8800,
        capacity_per_h=1200,
    ),
    _Cabinet(
        "lavoir",
        "Le Lavoir",
        "Rue du Lavoir",
        49.534,
        5.752,
        "gavazzi-em340",
        "arlight-dali",
        switchgear_unit=3,
        vehicles_per_day=2100,
        capacity_per_h=600,
    ),
)


def demo_territory(seed: int) -> Territory:
    """The territory that the demonstration shows, in the world of `seed`."""
    return Territory(
        territory_id("val-de-brume"),
        "Val de Brume",
        "Europe/Paris",
        seed,
        (
            *(_cabinet_site(cabinet) for cabinet in _CABINETS),
            _centre_site(
                "nord",
                "Déchetterie Nord",
                49.541,
                5.771,
                bays=6,
                mean_service_s=672,
                hours=("08:00", "20:00"),
            ),
            _centre_site(
                "sud",
                "Déchetterie Sud (badge, 24 h)",
                49.503,
                5.764,
                bays=3,
                mean_service_s=600,
                hours=("00:05", "23:55"),
            ),
            _road_site(),
        ),
    )


def _cabinet_site(cabinet: _Cabinet) -> SiteSpec:
    lamps = DeviceSpec(
        "lamp-{index:02d}",
        f"Luminaires, {cabinet.street}",
        unit=2,
        profile=cabinet.lamps,
        last_index=_LAMPS_PER_CABINET - 1,
        interval_s=_LAMP_INTERVAL_S,
        window_s=_LAMP_WINDOW_S,
    )
    names = tuple(device for device, _ in lamps.devices())
    gateway = GatewaySpec(
        gateway_id(f"cab-{cabinet.slug}-1"),
        (
            DeviceSpec(_FEEDER, "Compteur de départ", unit=1, profile=cabinet.meter),
            lamps,
            DeviceSpec(_SWITCHGEAR, "Armoire", unit=cabinet.switchgear_unit, profile=_CABINET_MAP),
            _gate(_COUNTER, f"Comptage, {cabinet.street}", unit=4),
        ),
    )
    return SiteSpec(
        site_id(f"cabinet-{cabinet.slug}"),
        f"Armoire {cabinet.name}",
        SiteKind.CABINET,
        cabinet.latitude_deg,
        cabinet.longitude_deg,
        gateway,
        cabinet=CabinetSpec(_FEEDER, _SWITCHGEAR, names, LampModel(rated_w=_LED_W)),
        groups=(_group(cabinet, names),),
        counters=(RoadCounter(_COUNTER, cabinet.vehicles_per_day, cabinet.capacity_per_h),),
    )


def _group(cabinet: _Cabinet, lamps: tuple[DeviceId, ...]) -> LightingGroupSpec:
    return LightingGroupSpec(
        group_id(f"group-{cabinet.slug}"),
        cabinet.street,
        lamps,
        rated_power_w=_LED_W,
        baseline_power_w=_OLD_PARK_W,
        baseline_name=_OLD_PARK_NAME,
        normal_level_pct=100.0,
        reduced_levels_pct=(75.0, 50.0),
        switch_elevation_deg=-0.833,  # upper limb on the horizon: sunset and sunrise
        counter=_COUNTER,
        capacity_per_h=cabinet.capacity_per_h,
    )


def _centre_site(
    slug: str,
    name: str,
    latitude_deg: float,
    longitude_deg: float,
    *,
    bays: int,
    mean_service_s: float,
    hours: tuple[str, str],
) -> SiteSpec:
    detectors = (
        _gate(_TAIL, "Boucle de file", index=0),
        _gate(_ENTRY, "Barrière d'entrée", index=1),
        _gate(_EXIT, "Barrière de sortie", index=2),
    )
    return SiteSpec(
        site_id(f"dechetterie-{slug}"),
        name,
        SiteKind.RECYCLING_CENTRE,
        latitude_deg,
        longitude_deg,
        GatewaySpec(gateway_id(f"dech-{slug}-1"), detectors),
        facility=FacilitySpec(
            facility_id(f"dechetterie-{slug}"),
            name,
            bays,
            mean_service_s,
            dict.fromkeys(WEEKDAYS, (hours,)),
            _TAIL,
            _ENTRY,
            _EXIT,
        ),
    )


def _road_site() -> SiteSpec:
    return SiteSpec(
        site_id("route-rocade"),
        "Rocade, RD 618",
        SiteKind.ROAD,
        49.509,
        5.793,
        GatewaySpec(gateway_id("route-rocade-1"), (_gate(_COUNTER, "Comptage, rocade"),)),
        counters=(RoadCounter(_COUNTER, vehicles_per_day=14_500, capacity_per_h=2000),),
    )


def _gate(device: DeviceId, title: str, *, unit: int = 1, index: int = 0) -> DeviceSpec:
    return DeviceSpec(
        device, title, unit=unit, profile=_GATE_PROFILE, first_index=index, last_index=index
    )
