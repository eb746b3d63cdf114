"""Where the sun stands: the low-precision formula of the US Naval Observatory.

Within 0.01 degree of the SPA algorithm for 1950-2050 at middle latitudes: crossings of a given
elevation are right to about 4 s.
"""

from collections.abc import Iterator
from math import asin, atan2, cos, degrees, radians, sin

from protocols.time import US_PER_S, TimeUs

_J2000_DAYS = 2451545.0 - 2440587.5  # days from 1970-01-01 0h to 2000-01-01 12h
_SCAN_STEP_S = 600
_DAY_US = 86_400 * US_PER_S


def elevation_deg(t_us: int, *, latitude_deg: float, longitude_deg: float) -> float:
    """True elevation of the sun's centre, without refraction, in degrees; east is positive.

    Source: The Astronomical Almanac, "Low precision formulas for the Sun" (US Naval Observatory).
    """
    d = t_us / _DAY_US - _J2000_DAYS
    anomaly = radians(357.529 + 0.98560028 * d)
    mean_longitude = 280.459 + 0.98564736 * d
    ecliptic = radians(mean_longitude + 1.915 * sin(anomaly) + 0.020 * sin(2 * anomaly))
    obliquity = radians(23.439 - 0.00000036 * d)
    ascension = atan2(cos(obliquity) * sin(ecliptic), cos(ecliptic))
    declination = asin(sin(obliquity) * sin(ecliptic))
    sidereal_h = (18.697374558 + 24.06570982441908 * d) % 24
    hour_angle = radians(15 * sidereal_h + longitude_deg) - ascension
    latitude = radians(latitude_deg)
    return degrees(
        asin(sin(latitude) * sin(declination) + cos(latitude) * cos(declination) * cos(hour_angle))
    )


def crossings(
    from_us: int, to_us: int, *, angle_deg: float, latitude_deg: float, longitude_deg: float
) -> Iterator[tuple[TimeUs, bool]]:
    """Instants in [from_us, to_us) at which the sun crosses `angle_deg`, to the second.

    Each comes with True when the sun goes below. A polar day or night has none. A double crossing
    within ten minutes (the sun grazing the angle) may be passed over.
    """

    def below(t_us: int) -> bool:
        elevation = elevation_deg(t_us, latitude_deg=latitude_deg, longitude_deg=longitude_deg)
        return elevation < angle_deg

    step = _SCAN_STEP_S * US_PER_S
    state = below(from_us)
    for left in range(from_us, to_us, step):
        right = min(left + step, to_us)
        if below(right) == state:
            continue
        state = not state
        low, high = left, right
        while high - low > US_PER_S:
            middle = (low + high) // 2
            low, high = (low, middle) if below(middle) == state else (middle, high)
        yield TimeUs(high), state
