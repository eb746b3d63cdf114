"""Why a level holds, as one sentence for the console and the citizen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from cloud.lighting.planner import Explained
from protocols.time import to_datetime

LANGUAGES = ("fr", "en", "de")

_SOURCES: Mapping[str, Mapping[str, str]] = {
    "fr": {
        "hour_of_week": "les comptages de la même heure des six dernières semaines",
        "day_type": "les comptages de jours semblables",
        "holiday": "les comptages de jours semblables, jour férié compris",
        "turn_of_year": "la nuit du Nouvel An, qui ne ressemble à aucune autre",
        "no_counter": "l'absence de compteur",
        "no_counts": "l'absence de comptages",
        "stale_counts": "des comptages trop anciens",
        "model_night_ahead": "la prévision de la nuit",
        "model_hour_ahead": "la prévision de l'heure",
        "live_count": "le comptage en direct",
        "weather": "la météo (chaussée mouillée, pluie ou brouillard)",
        "weather_missing": "l'absence de météo",
        "event": "un événement",
    },
    "en": {
        "hour_of_week": "the counts of the same hour in the last six weeks",
        "day_type": "the counts of similar days",
        "holiday": "the counts of similar days, the public holiday included",
        "turn_of_year": "the night of the new year, which is like no other",
        "no_counter": "the lack of a counter",
        "no_counts": "the lack of counts",
        "stale_counts": "counts that are too old",
        "model_night_ahead": "the forecast for the night",
        "model_hour_ahead": "the forecast for the hour",
        "live_count": "the live count",
        "weather": "the weather (wet road, rain or fog)",
        "weather_missing": "the lack of weather",
        "event": "an event",
    },
    "de": {
        "hour_of_week": "die Zählungen derselben Stunde der letzten sechs Wochen",
        "day_type": "die Zählungen ähnlicher Tage",
        "holiday": "die Zählungen ähnlicher Tage, Feiertage eingeschlossen",
        "turn_of_year": "die Neujahrsnacht, der keine andere gleicht",
        "no_counter": "fehlende Zähler",
        "no_counts": "fehlende Zählungen",
        "stale_counts": "zu alte Zählungen",
        "model_night_ahead": "die Vorhersage für die Nacht",
        "model_hour_ahead": "die Vorhersage für die Stunde",
        "live_count": "die laufende Zählung",
        "weather": "das Wetter (nasse Fahrbahn, Regen oder Nebel)",
        "weather_missing": "fehlendes Wetter",
        "event": "eine Veranstaltung",
    },
}

_TEXTS: Mapping[str, Mapping[str, str]] = {
    "fr": {
        "day": "De {begin} à {end}, éteint : il fait jour.",
        "extinction": "De {begin} à {end}, éteint par décision : {reference}.",
        "override": "De {begin} à {end}, {level} % sur ordre : {reference}.",
        "event": "De {begin} à {end}, {level} %, éclairage normal{light} : {reference}.",
        "class": "De {begin} à {end}, {level} %{light}, d'après {source}{bound}.",
        "optimiser": "De {begin} à {end}, {level} %{light} : le trafic permettrait moins, mais pas "
        "pour une baisse aussi courte ou un changement de plus ; d'après {source}{bound}.",
        "light": " (classe {name})",
        "bound": " (au plus {vehicles} véhicules par heure)",
    },
    "en": {
        "day": "From {begin} to {end}, off: it is day.",
        "extinction": "From {begin} to {end}, off by decision: {reference}.",
        "override": "From {begin} to {end}, {level} % by order: {reference}.",
        "event": "From {begin} to {end}, {level} %, normal light{light}: {reference}.",
        "class": "From {begin} to {end}, {level} %{light}, by {source}{bound}.",
        "optimiser": "From {begin} to {end}, {level} %{light}: the traffic would allow less, but "
        "not for so short a dip or one more change; by {source}{bound}.",
        "light": " (class {name})",
        "bound": " (at most {vehicles} vehicles an hour)",
    },
    "de": {
        "day": "Von {begin} bis {end} aus: es ist Tag.",
        "extinction": "Von {begin} bis {end} aus auf Beschluss: {reference}.",
        "override": "Von {begin} bis {end} {level} % auf Anordnung: {reference}.",
        "event": "Von {begin} bis {end} {level} %, normales Licht{light}: {reference}.",
        "class": "Von {begin} bis {end} {level} %{light}; maßgebend: {source}{bound}.",
        "optimiser": "Von {begin} bis {end} {level} %{light}: der Verkehr erlaubte weniger, aber "
        "nicht für eine so kurze Absenkung oder einen Wechsel mehr; maßgebend: {source}{bound}.",
        "light": " (Klasse {name})",
        "bound": " (höchstens {vehicles} Fahrzeuge je Stunde)",
    },
}


def sentence(run: Explained, language: str, zone: ZoneInfo) -> str:
    """One sentence; times are of the civil clock of `zone`."""
    texts = _TEXTS[language]
    hour = _clock(language, zone)
    source = _SOURCES[language].get(run.source or "", run.source or "")
    light = texts["light"].format(name=run.lighting_class) if run.lighting_class else ""
    known = run.bound_per_h is not None
    bound = texts["bound"].format(vehicles=round(run.bound_per_h or 0)) if known else ""
    return texts[run.rule].format(
        begin=hour(to_datetime(run.from_us)),
        end=hour(to_datetime(run.until_us)),
        level=f"{run.level_pct:g}".replace(".", "." if language == "en" else ","),
        light=light,
        source=source,
        bound=bound,
        reference=run.reference or "",
    )


def _clock(language: str, zone: ZoneInfo) -> Callable[[datetime], str]:
    form = "%-H h %M" if language == "fr" else "%H:%M"
    return lambda moment: moment.astimezone(zone).strftime(form)
