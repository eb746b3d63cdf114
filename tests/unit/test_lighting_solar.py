"""The sun in numpy: against the SPA algorithm, and against the gateway's own."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from cloud.lighting import solar
from cloud.lighting.solar import DAY_US
from protocols import sun
from protocols.time import US_PER_S, from_datetime

LATITUDE, LONGITUDE = 49.5, 5.77
FIRST_DAY = date(2026, 1, 1).toordinal() - date(1970, 1, 1).toordinal()
YEAR = np.arange(FIRST_DAY, FIRST_DAY + 365)
HERE = {"latitude_deg": LATITUDE, "longitude_deg": LONGITUDE}


def spa_elevation_deg(t_us: np.ndarray) -> np.ndarray:
    """True elevation by NREL's solar position algorithm (Reda and Andreas 2004)."""
    import pandas as pd
    from pvlib.solarposition import spa_python

    times = pd.to_datetime(t_us, unit="us", utc=True)
    found = spa_python(times, LATITUDE, LONGITUDE, altitude=300.0, delta_t=69.1)
    return np.asarray(found["elevation"])


@pytest.mark.parametrize("angle_deg", [-0.833, -4.0, -6.0])
def test_crossings_of_a_year_are_within_five_seconds_of_spa(angle_deg: float) -> None:
    night = solar.darkness(YEAR, angle_deg=angle_deg, **HERE)
    for found in (night.on_us, night.off_us):
        error_deg = spa_elevation_deg(found) - angle_deg
        second_us = US_PER_S
        rate = spa_elevation_deg(found + 30 * second_us) - spa_elevation_deg(found - 30 * second_us)
        error_s = error_deg / (rate / 60)
        assert np.abs(error_s).max() < 5.0


def test_numpy_and_the_gateways_sun_are_the_same_formula() -> None:
    rng = np.random.default_rng(1)
    t_us = rng.integers(0, 2**31 * US_PER_S, 500)
    places = rng.uniform(-65, 65, 500), rng.uniform(-180, 180, 500)
    found = solar.elevation_deg(t_us, *places)
    for i in range(500):
        at = {"latitude_deg": float(places[0][i]), "longitude_deg": float(places[1][i])}
        assert sun.elevation_deg(int(t_us[i]), **at) == pytest.approx(found[i], abs=1e-9)


def test_nights_are_those_the_gateway_would_find_to_the_second() -> None:
    night = solar.darkness(YEAR, angle_deg=-4.0, **HERE)
    for on_us, off_us in zip(night.on_us[::30], night.off_us[::30], strict=True):
        noon_us = int((on_us + off_us) // 2) - DAY_US // 2
        found = list(sun.crossings(noon_us, noon_us + DAY_US, angle_deg=-4.0, **HERE))
        assert [below for _, below in found] == [True, False]
        assert abs(found[0][0] - on_us) <= 1.5 * US_PER_S
        assert abs(found[1][0] - off_us) <= 1.5 * US_PER_S


def test_a_polar_night_is_dark_throughout_and_a_polar_day_never() -> None:
    day = date(2026, 12, 21).toordinal() - date(1970, 1, 1).toordinal()
    winter = solar.darkness(day, angle_deg=-0.833, latitude_deg=78.2, longitude_deg=15.6)
    summer = solar.darkness(day - 182, angle_deg=-0.833, latitude_deg=78.2, longitude_deg=15.6)
    assert abs(int(winter.off_us - winter.on_us) - DAY_US) < 60 * US_PER_S
    assert winter.on_us < winter.off_us
    assert summer.on_us == summer.off_us


def test_places_and_days_are_worked_on_together() -> None:
    latitudes = np.array([[49.5], [-45.0], [0.0]])
    night = solar.darkness(
        YEAR[:5],
        angle_deg=-0.833,
        latitude_deg=latitudes,
        longitude_deg=np.array([[5.8], [170], [0]]),
    )
    assert night.on_us.shape == (3, 5)
    hours = (night.off_us - night.on_us) / (3600 * US_PER_S)
    assert (hours[0] > 15).all()
    assert (hours[1] < 9.5).all()
    assert hours[2] == pytest.approx(11.9, abs=0.2)


def test_the_evening_of_a_day_is_that_of_its_civil_date() -> None:
    night = solar.darkness(FIRST_DAY, angle_deg=-0.833, **HERE)
    local = datetime.fromtimestamp(int(night.on_us) / 1e6, tz=UTC).astimezone(
        ZoneInfo("Europe/Paris")
    )
    assert local.date() == date(2026, 1, 1)
    assert local.hour == 16
    assert from_datetime(local) == int(night.on_us)
