"""Words, numbers and pictures of the page."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from zoneinfo import ZoneInfo

import pytest

from cloud.lighting.energy import Meter, NightEnergy
from cloud.portal import sparkline
from cloud.portal.texts import CATALOGUE, Language, Texts
from cloud.portal.view import energy_tables
from cloud.portal.waits import wait_card
from cloud.waiting import messages
from cloud.waiting.calendar import Calendar
from cloud.waiting.memory import Forecast
from cloud.waiting.messages import LANGUAGES, MESSAGES
from cloud.waiting.model import Basis, Situation
from cloud.waiting.opening import parse_hours
from cloud.waiting.record import LEVELS, Estimate
from cloud.waiting.scoring import Score
from cloud.waiting.service import Shown, tell
from cloud.waiting.shape import Level, level
from cloud.waiting.site import Declared, Detector
from cloud.waiting.store import Facility
from protocols.time import US_PER_S, from_datetime

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
    declared=Declared(6, 672.0),
    opening={},
    holidays=None,
    detectors=dict(zip(Detector, (1, 2, 3), strict=True)),
)
CALENDAR = Calendar(parse_hours({"sat": [["09:00", "12:00"]]}, PARIS), 6)


def measured(p50_s: float, p80_s: float, bracket: int) -> Estimate:
    quantiles = [p50_s if one <= 0.5 else p80_s for one in LEVELS]
    quantiles[LEVELS.index(0.95) :] = [2 * p80_s] * 2
    return Estimate(
        NOW,
        NOW,
        Situation.A,
        Basis.MEASURED,
        quantiles=tuple(quantiles),
        people_ahead=(5.0, 7.0),
        trend="rising",
        bracket_min=bracket,
        level=level(p80_s),
        admitted=0.9,
    )


def forecast(p80_s: float, *, live: bool = True) -> Forecast:
    """Of the morning, in quarters of an hour; the last two are too late."""
    opened = datetime(2026, 11, 21, 8, tzinfo=UTC)
    slots = [
        {
            "t_us": from_datetime(opened) + n * 900 * US_PER_S,
            "p50_s": p80_s / 2,
            "p80_s": p80_s + 60.0 * abs(n - 9),
            "p95_s": 2 * p80_s,
            "p_over_15min": 0.1,
            "p_admitted": 0.95 if n < 10 else 0.3,
            "arrivals_p50": 4.0,
        }
        for n in range(12)
    ]
    return Forecast(opened, opened + timedelta(hours=3), NOW, live=live, slots=slots)


def shown(one: Estimate | None, *forecasts: Forecast, at: datetime = NOW) -> Shown:
    return tell(FACILITY, CALENDAR, one, forecasts, from_datetime(at))


OPEN = shown(measured(480.0, 760.0, 15))


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
    card = wait_card(OPEN, None, FRENCH)
    assert card.headline == "moins de 15 min"
    assert card.range == "le plus souvent 8 à 13 min"
    assert card.stamp == "mesuré à 10:30"
    assert card.tone == "busy"
    assert card.notes == (
        "environ 5 voitures devant",
        "en hausse",
        "à titre indicatif",
        "ferme à 12:00",
    )
    assert (card.strip, card.accuracy, card.usual) == (None, "", "")


def test_no_wait_is_said_by_the_bracket_that_was_settled() -> None:
    assert wait_card(shown(measured(0, 119, 0)), None, FRENCH).headline == "Pas d’attente"
    assert wait_card(shown(measured(0, 130, 5)), None, FRENCH).headline == "moins de 5 min"
    long = wait_card(shown(measured(3000, 4000, 90)), None, FRENCH)
    assert (long.headline, long.tone) == ("plus d’une heure", "long")


def test_unknown_closed_and_unmeasured_show_no_minutes() -> None:
    entry_only = Estimate(NOW, NOW, Situation.C, Basis.INFERRED, level=Level.BUSY)
    closed = datetime(2026, 11, 21, 12, tzinfo=UTC)
    for one, headline, stamp in (
        (shown(None), "Attente inconnue", ""),
        (shown(measured(480, 760, 15), at=closed), "Fermé", ""),
        (shown(entry_only), "chargé", "déduit à 10:30"),
    ):
        card = wait_card(one, None, FRENCH)
        assert (card.headline, card.range, card.stamp) == (headline, "", stamp)


def test_a_queue_out_of_sight_is_more_than_what_is_seen() -> None:
    beyond = Estimate(
        NOW, NOW, Situation.A, Basis.MEASURED, level=Level.BUSY, admitted=0.9, at_least_s=1510.0
    )
    card = wait_card(shown(beyond), None, FRENCH)
    assert (card.headline, card.range, card.tone) == ("plus de 25 min", "", "long")
    assert "la file dépasse le compteur" in card.notes
    assert "à titre indicatif" in card.notes
    later = messages.headline(shown(beyond), travel_s=900.0)
    assert later.text("fr") == "chargé"


def test_a_hopeless_queue_is_said_to_be_full() -> None:
    one = replace(measured(3000, 3400, 60), admitted=0.2)
    card = wait_card(shown(one), None, FRENCH)
    assert card.status == "saturé"
    assert card.headline.startswith("Saturé")
    assert (card.tone, card.range) == ("long", "")


def test_what_is_usual_is_said_beside_unknown_and_never_as_the_headline() -> None:
    card = wait_card(shown(None, forecast(700.0, live=False)), None, FRENCH)
    assert card.headline == "Attente inconnue"
    assert card.usual == "d’habitude moins de 15 min à cette heure"


def test_the_rest_of_the_day_is_a_strip_with_the_best_times() -> None:
    card = wait_card(shown(measured(480, 760, 15), forecast(300.0)), None, FRENCH)
    assert card.strip is not None
    assert len(card.strip.bars) == 6
    assert (card.strip.begin, card.strip.end) == ("10:30", "11:45")
    assert card.strip.best == "Meilleurs moments : 10:45, 11:00, 11:15"
    assert card.strip.rows[0] == ("10:30", "moins de 10 min")
    heights = [float(bar.height) for bar in card.strip.bars]
    assert all(0 < height <= 48 for height in heights)


def test_a_calm_day_has_no_best_times() -> None:
    calm = forecast(0.0)
    slots = [{**slot, "p80_s": 100.0} for slot in calm.slots]
    card = wait_card(shown(measured(0, 100, 0), replace(calm, slots=slots)), None, FRENCH)
    assert card.strip is not None
    assert card.strip.best == "Pas d’attente prévue d’ici la fermeture"


def test_the_record_is_told_once_there_is_enough_of_it() -> None:
    few = Score(n=99, error_s=99 * 90.0)
    assert wait_card(OPEN, few, FRENCH).accuracy == ""
    many = Score(n=1000, error_s=90_000.0, above_p80=190)
    text = wait_card(OPEN, many, FRENCH).accuracy
    assert "erreur moyenne 1,5 min, borne tenue 81 % du temps" in text


def test_every_message_exists_in_every_language_with_the_same_values() -> None:
    for key, texts in MESSAGES.items():
        assert len(texts) == len(LANGUAGES)
        assert len({"{n}" in text for text in texts}) == 1, key


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


def test_a_weekday_alone_is_the_next_one() -> None:
    saturday = datetime(2026, 12, 5, 8, tzinfo=UTC)
    assert FRENCH.moment(saturday, today=date(2026, 11, 29)) == "samedi à 09:00"
    assert FRENCH.moment(saturday, today=date(2026, 11, 28)) == "samedi 5.12. à 09:00"
