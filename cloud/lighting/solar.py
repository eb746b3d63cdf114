"""The sun for many places at once: the formula of `protocols.sun`, in numpy.

The gateway looks at the sun in plain Python; plans, reports and evaluations look at it here. A
test holds the two together, another holds this one against the SPA algorithm: true elevation
within 0.01 degree, crossings of an angle within 5 s over a year at 49.5 N.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.time import US_PER_S

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DAY_US = 86_400 * US_PER_S
_J2000_DAYS = 2451545.0 - 2440587.5
_SIDEREAL_DEG_PER_DAY = 360.98564736629
_ROUNDS = 4
"""Each round leaves a twentieth of the error or less: the first guess is minutes off, four rounds
leave milliseconds."""


@dataclass(frozen=True, slots=True)
class Darkness:
    """When the sun is below an angle, one entry a night and place; arrays of one shape, int64 us.

    A night lies between two solar noons. In a polar night `on_us` is the first noon and `off_us`
    the second; in a polar day both are the midnight between: nothing.
    """

    on_us: Ints
    off_us: Ints


def elevation_deg(
    t_us: Ints | int, latitude_deg: Floats | float, longitude_deg: Floats | float
) -> Floats:
    """True elevation of the sun's centre, without refraction; arguments broadcast, east positive.

    Source: The Astronomical Almanac, "Low precision formulas for the Sun" (US Naval Observatory).
    """
    ascension, sin_dec, cos_dec, sidereal = _position(np.asarray(t_us, dtype=np.int64))
    hour_angle = sidereal + np.radians(longitude_deg) - ascension
    latitude = np.radians(latitude_deg)
    height = np.sin(latitude) * sin_dec + np.cos(latitude) * cos_dec * np.cos(hour_angle)
    result: Floats = np.degrees(np.arcsin(np.clip(height, -1.0, 1.0)))
    return result


def darkness(
    day: Ints | int,
    *,
    angle_deg: Floats | float,
    latitude_deg: Floats | float,
    longitude_deg: Floats | float,
) -> Darkness:
    """The night that follows the solar noon of `day` (days since 1970-01-01); arguments broadcast.

    The hour angle at which the sun stands at `angle_deg` follows from its declination, which is
    looked up again at the instant found (Meeus, Astronomical Algorithms, chapter 15).
    """
    day, angle_deg, latitude_deg, longitude_deg = np.broadcast_arrays(
        np.asarray(day, dtype=np.int64), angle_deg, latitude_deg, longitude_deg
    )
    clock_us = np.round((0.5 - longitude_deg / 360.0) * DAY_US).astype(np.int64)
    first_noon, next_noon = (_transit((day + k) * DAY_US + clock_us, longitude_deg) for k in (0, 1))
    place = (angle_deg, latitude_deg, longitude_deg)
    on = _crossing(first_noon, *place, side=1.0)
    off = _crossing(next_noon, *place, side=-1.0)
    return _with_polar_nights(first_noon, next_noon, on, off, angle_deg, latitude_deg)


def _with_polar_nights(
    first_noon: Ints, next_noon: Ints, on: Floats, off: Floats, angle: Floats, latitude: Floats
) -> Darkness:
    """A side without a crossing: dark from the noon on, or light until the midnight."""
    middle = (first_noon + next_noon) // 2
    _, sin_dec, cos_dec, _ = _position(first_noon)
    noon_height = np.sin(np.radians(latitude)) * sin_dec + np.cos(np.radians(latitude)) * cos_dec
    dark_at_noon = noon_height < np.sin(np.radians(angle))
    begin = np.where(np.isnan(on), np.where(dark_at_noon, first_noon, middle), np.nan_to_num(on))
    end = np.where(np.isnan(off), np.where(dark_at_noon, next_noon, middle), np.nan_to_num(off))
    return Darkness(begin.astype(np.int64), np.maximum(begin, end).astype(np.int64))


def _position(t_us: Ints) -> tuple[Floats, Floats, Floats, Floats]:
    """Right ascension, sine and cosine of the declination, Greenwich sidereal time; radians."""
    d = t_us / DAY_US - _J2000_DAYS
    anomaly = np.radians(357.529 + 0.98560028 * d)
    mean_longitude = 280.459 + 0.98564736 * d
    ecliptic = np.radians(mean_longitude + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    obliquity = np.radians(23.439 - 0.00000036 * d)
    ascension = np.arctan2(np.cos(obliquity) * np.sin(ecliptic), np.cos(ecliptic))
    sin_dec = np.sin(obliquity) * np.sin(ecliptic)
    sidereal = np.radians(15 * ((18.697374558 + 24.06570982441908 * d) % 24))
    return ascension, sin_dec, np.sqrt(1 - sin_dec**2), sidereal


def _transit(near_us: Ints, longitude_deg: Floats) -> Ints:
    """The solar noon next to `near_us`."""
    t_us = near_us
    for _ in range(2):
        t_us = t_us - _after_us(_hour_angle_deg(t_us, longitude_deg))
    return t_us


def _crossing(
    noon_us: Ints, angle_deg: Floats, latitude_deg: Floats, longitude_deg: Floats, *, side: float
) -> Floats:
    """When the sun passes the angle after (`side` +1) or before (-1) the noon; NaN: it does not."""
    latitude, sine = np.radians(latitude_deg), np.sin(np.radians(angle_deg))
    t_us = noon_us + round(side * DAY_US / 4)
    missing = np.zeros(np.shape(noon_us), dtype=np.bool_)
    for _ in range(_ROUNDS):
        _, sin_dec, cos_dec, _ = _position(t_us)
        cosine = (sine - np.sin(latitude) * sin_dec) / (np.cos(latitude) * cos_dec)
        wanted = side * np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
        error = wanted - _hour_angle_deg(t_us, longitude_deg)
        t_us = t_us + _after_us((error + 180.0) % 360.0 - 180.0)
        missing = np.abs(cosine) > 1.0
    return np.where(missing, np.nan, t_us.astype(np.float64))


def _hour_angle_deg(t_us: Ints, longitude_deg: Floats) -> Floats:
    """-180..180, 0 at the solar noon."""
    ascension, _, _, sidereal = _position(t_us)
    angle: Floats = (np.degrees(sidereal - ascension) + longitude_deg + 180.0) % 360.0 - 180.0
    return angle


def _after_us(hour_angle_deg: Floats) -> Ints:
    """Time in which the hour angle grows by so much; the sun itself moves back a degree a day."""
    turn = _SIDEREAL_DEG_PER_DAY - 0.98564736
    return np.asarray(np.round(hour_angle_deg / turn * DAY_US), dtype=np.int64)
