"""Words, numbers and pictures of the page."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from importlib.resources import files
from zoneinfo import ZoneInfo

import pytest

from cloud.lighting.energy import Meter, NightEnergy
from cloud.portal import sparkline
from cloud.portal.texts import CATALOGUE, Language, Texts
from cloud.portal.view import energy_tables, wait_card
from cloud.waiting.model import Basis, Site, Situation, Wait
from cloud.waiting.opening import Status
from cloud.waiting.service import NO_WAIT, Shown
from cloud.waiting.store import Facility

PARIS = ZoneInfo("Europe/Paris")
FRENCH = Texts(Language.FR, PARIS)
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
PORTAL = files("cloud.portal")

FACILITY = Facility(
    facility_id=1,
    slug="dechetterie",
    name="Déchèterie",
    site_slug="dechetterie",
    territory="alzette",
    zone=PARIS,
    site=Site(6, 672.0),
    opening={},
    holidays=None,
    tail_id=1,
    entry_id=2,
    exit_id=3,
)
MEASURED = Wait(480.0, 760.0, 1300.0, 5.0, Basis.MEASURED, Situation.A)
OPEN = Shown(FACILITY, NOW, Status.OPEN, MEASURED, NOW, None, None, 6, None)


def test_every_text_exists_in_every_language_with_the_same_values() -> None:
    for key, texts in CATALOGUE.items():
        assert len(texts) == len(Language)
        assert all(text.strip() for text in texts), key
        values = {tuple(sorted(re.findall(r"\{(\w+)\}", text))) for text in texts}
        assert len(values) == 1, key


def test_templates_use_only_texts_that_exist() -> None:
    used: set[str] = set()
    for path in PORTAL.joinpath("templates").iterdir():
        used |= set(re.findall(r"\bt\('([\w.]+)'", path.read_text(encoding="utf-8")))
    assert used
    assert used <= set(CATALOGUE)


def test_pages_ask_nobody_else_for_anything() -> None:
    for path in [*PORTAL.joinpath("templates").iterdir(), *PORTAL.joinpath("static").iterdir()]:
        found = re.findall(r"https?://[^\s\"')]+", path.read_text(encoding="utf-8"))
        assert set(found) <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize(
    ("language", "text"),
    [(Language.FR, "12\u202f345,7"), (Language.DE, "12.345,7"), (Language.EN, "12,345.7")],
)
def test_numbers_are_written_as_the_language_does(language: Language, text: str) -> None:
    assert Texts(language, PARIS).number(12345.67, 1) == text


def test_another_day_is_named() -> None:
    monday = datetime(2026, 11, 23, 8, tzinfo=UTC)
    assert FRENCH.moment(monday, today=date(2026, 11, 21)) == "lundi à 09:00"
    assert FRENCH.moment(monday, today=date(2026, 11, 23)) == "à 09:00"


def test_the_headline_is_the_bracket_of_four_visitors_of_five() -> None:
    card = wait_card(OPEN, FRENCH)
    assert card.headline == "moins de 15 min"
    assert card.range == "le plus souvent 8 à 13 min"
    assert card.stamp == "mesuré à 10:30"
    assert card.tone == "busy"
    assert "environ 5 voitures devant" in card.notes


def test_no_wait_is_said_only_when_four_of_five_wait_two_minutes_at_most() -> None:
    brief = replace(MEASURED, p50_s=0.0, p80_s=119.0)
    assert wait_card(replace(OPEN, wait=brief), FRENCH).headline == "Pas d’attente"
    longer = replace(MEASURED, p50_s=0.0, p80_s=130.0)
    assert wait_card(replace(OPEN, wait=longer), FRENCH).headline == "moins de 5 min"


def test_unknown_closed_and_unmeasured_show_no_minutes() -> None:
    unknown = replace(OPEN, status=Status.UNKNOWN, wait=NO_WAIT, observed_at=None)
    closed = replace(unknown, status=Status.CLOSED)
    entry_only = replace(OPEN, wait=replace(NO_WAIT, situation=Situation.C))
    for shown, headline in (
        (unknown, "Attente inconnue"),
        (closed, "Fermé"),
        (entry_only, "Attente non mesurée"),
    ):
        card = wait_card(shown, FRENCH)
        assert (card.headline, card.range, card.stamp) == (headline, "", "")


def test_a_step_line_breaks_where_nothing_is_known() -> None:
    assert sparkline.step_line([100.0, None, 0.0], most=100.0) == "M0 2H96M192 64H288"
    assert sparkline.area([100.0, None, 0.0], most=100.0) == "M0 64V2H96V64ZM192 64V64H288V64Z"
    assert sparkline.area([], most=1.0) == ""


def _night(group_wh: float, baseline: str, saving: float | None = 60.0) -> NightEnergy:
    night = date(2026, 11, 19)
    return NightEnergy(
        night, Meter.FEEDER, group_wh, 10_000.0, baseline, saving, 100.0, 0, complete=True
    )


def test_energy_is_added_only_within_one_baseline_whose_name_is_shown() -> None:
    first, second = energy_tables(
        {1: [_night(4_000, "SHP")], 2: [_night(2_000, "SHP")], 3: [_night(5_000, "Ballon")]}, FRENCH
    )
    assert first.against.endswith("Ballon")
    assert second.against.endswith("SHP")
    assert second.headline.startswith("70 %")
    assert second.rows[0].measured == "6,0"
    assert second.rows[0].saving == "−70\u00a0%"


def test_a_night_that_is_metered_too_little_shows_no_saving() -> None:
    (table,) = energy_tables({1: [_night(4_000, "SHP", None)]}, FRENCH)
    assert table.rows[0].saving == "–"
    assert table.rows[0].measured == "4,0"
    assert table.headline == "Pas encore de nuit suffisamment mesurée."
