"""The sky above a site: sun, daylight, air temperature. Pure functions of time and seed."""

import bisect
from math import cos, pi

from firmware_sim import chance
from protocols.sun import elevation_deg
from protocols.time import US_PER_S

_HOUR_US = 3600 * US_PER_S
_DAY_US = 24 * _HOUR_US
_YEAR_DAYS = 365.2425

# Illuminance of a clear horizontal surface, log10 lx, by the sun's elevation in degrees. Shape of
# Janiczek and DeYoung (1987), USNO Circular 171; rounded: a photocell is no better than 10 %.
_ELEVATION_DEG = (-90.0, -18.0, -12.0, -6.0, -0.8, 5.0, 10.0, 20.0, 40.0, 90.0)
_LOG10_LX = (-3.2, -3.2, -2.1, 0.53, 2.62, 3.62, 4.0, 4.43, 4.80, 5.05)


class Sky:
    """Sun, light and air at one place."""

    def __init__(self, seed: int, *, latitude_deg: float, longitude_deg: float) -> None:
        self._latitude_deg = latitude_deg
        self._longitude_deg = longitude_deg
        self._clouds = chance.key(seed, "clouds")
        self._air = chance.key(seed, "air")

    def elevation_deg(self, t_us: int) -> float:
        """True elevation of the sun, degrees."""
        return elevation_deg(
            t_us, latitude_deg=self._latitude_deg, longitude_deg=self._longitude_deg
        )

    def illuminance_lx(self, t_us: int) -> float:
        """Daylight on a horizontal surface, clouds included; 0.0006 lx at night."""
        cover = 0.5 + 0.5 * chance.smooth_noise(self._clouds, t_us, 3 * _HOUR_US)
        return clear_sky_lx(self.elevation_deg(t_us)) * (1 - 0.75 * cover)

    def temperature_c(self, t_us: int) -> float:
        """Air: 10 degC in the mean, a year of +-9, a day of +-4, weather of +-5."""
        day = t_us / _DAY_US
        year = -9 * cos(2 * pi * (day % _YEAR_DAYS - 20) / _YEAR_DAYS)  # coldest on 21 January
        hour = -4 * cos(2 * pi * (day % 1 - 4 / 24))  # coldest at 04:00 UTC
        return 10 + year + hour + 5 * chance.smooth_noise(self._air, t_us, _DAY_US)


def clear_sky_lx(elevation: float) -> float:
    """Illuminance under a clear sky with the sun at `elevation` degrees."""
    place = min(max(bisect.bisect_right(_ELEVATION_DEG, elevation), 1), len(_ELEVATION_DEG) - 1)
    left, right = _ELEVATION_DEG[place - 1], _ELEVATION_DEG[place]
    share = (elevation - left) / (right - left)
    lx: float = 10 ** (_LOG10_LX[place - 1] + share * (_LOG10_LX[place] - _LOG10_LX[place - 1]))
    return lx
