"""The words of the page in French, German and English, and how numbers and times are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo


class Language(StrEnum):
    """French first: the page's language unless `?lang=` says otherwise."""

    FR = "fr"
    DE = "de"
    EN = "en"


_COLUMN = {Language.FR: 0, Language.DE: 1, Language.EN: 2}
_SEPARATORS = {
    Language.FR: ("\u202f", ","),
    Language.DE: (".", ","),
    Language.EN: (",", "."),
}

CATALOGUE: Mapping[str, tuple[str, str, str]] = {
    "title": (
        "Attente et éclairage en direct",
        "Wartezeiten und Beleuchtung live",
        "Waits and lighting, live",
    ),
    "skip": ("Aller au contenu", "Zum Inhalt", "Skip to content"),
    "languages": ("Langues", "Sprachen", "Languages"),
    "waits": ("Attente en déchèterie", "Wartezeit am Wertstoffhof", "Recycling centre waits"),
    "waits.empty": (
        "Aucune déchèterie n’est encore enregistrée.",
        "Noch kein Wertstoffhof eingetragen.",
        "No recycling centre is registered yet.",
    ),
    "wait.range": (
        "le plus souvent {low} à {high} min",
        "meist {low} bis {high} min",
        "mostly {low} to {high} min",
    ),
    "wait.about": ("environ {high} min", "etwa {high} min", "about {high} min"),
    "wait.beyond": (
        "la file dépasse le compteur",
        "die Schlange reicht über den Zähler hinaus",
        "the queue reaches beyond the counter",
    ),
    "wait.ahead": (
        "environ {n} voitures devant",
        "etwa {n} Autos davor",
        "about {n} cars ahead",
    ),
    "wait.ahead.one": (
        "environ une voiture devant",
        "etwa ein Auto davor",
        "about one car ahead",
    ),
    "status.open": ("ouvert", "geöffnet", "open"),
    "status.closed": ("fermé", "geschlossen", "closed"),
    "status.opening_soon": ("ouvre bientôt", "öffnet bald", "opening soon"),
    "status.closing_soon": ("ferme bientôt", "schließt bald", "closing soon"),
    "status.saturated": ("saturé", "überlastet", "saturated"),
    "status.unknown": ("sans mesure", "ohne Messung", "no measurement"),
    "opens": ("ouvre {at}", "öffnet {at}", "opens {at}"),
    "closes": ("ferme à {at}", "schließt um {at}", "closes at {at}"),
    "basis.measured": ("mesuré", "gemessen", "measured"),
    "basis.inferred": ("déduit", "abgeleitet", "inferred"),
    "basis.typical": ("habituel", "typisch", "typical"),
    "basis.at": ("{basis} à {at}", "{basis} um {at}", "{basis} at {at}"),
    "confidence.high": ("fiable", "verlässlich", "reliable"),
    "confidence.medium": ("assez fiable", "recht verlässlich", "fairly reliable"),
    "confidence.low": ("à titre indicatif", "nur ein Anhalt", "rough"),
    "trend.rising": ("en hausse", "steigend", "rising"),
    "trend.falling": ("en baisse", "fallend", "falling"),
    "strip.label": (
        "Attente prévue aujourd’hui à {name}, par quart d’heure ; valeurs dans le tableau",
        "Erwartete Wartezeit heute, {name}, je Viertelstunde; Werte in der Tabelle",
        "Expected wait today at {name}, by quarter hour; values in the table",
    ),
    "strip.title": ("Aujourd’hui", "Heute", "Today"),
    "strip.values": ("Prévision détaillée", "Vorhersage im Einzelnen", "Forecast in detail"),
    "strip.time": ("Arrivée", "Ankunft", "Arrival"),
    "strip.wait": ("Attente", "Wartezeit", "Wait"),
    "strip.best": (
        "Meilleurs moments : {times}",
        "Beste Zeiten: {times}",
        "Best times: {times}",
    ),
    "strip.calm": (
        "Pas d’attente prévue d’ici la fermeture",
        "Bis zur Schließung keine Wartezeit erwartet",
        "No wait expected until closing",
    ),
    "strip.late": (
        "Plus de créneau sûr avant la fermeture",
        "Kein sicherer Zeitpunkt mehr vor Schließung",
        "No safe time left before closing",
    ),
    "accuracy": (
        "Fiabilité sur 28 jours : erreur moyenne {error} min, borne tenue {held} % du temps "
        "({n} estimations vérifiées)",
        "Genauigkeit in 28 Tagen: mittlerer Fehler {error} min, Grenze zu {held} % gehalten "
        "({n} geprüfte Angaben)",
        "Accuracy over 28 days: mean error {error} min, bound kept {held} % of the time "
        "({n} estimates checked)",
    ),
    "lights": ("Éclairage public", "Straßenbeleuchtung", "Street lighting"),
    "lights.empty": (
        "Aucun groupe de luminaires n’est encore enregistré.",
        "Noch keine Leuchtengruppe eingetragen.",
        "No lighting group is registered yet.",
    ),
    "lights.level": ("niveau", "Stufe", "level"),
    "lights.power": ("puissance", "Leistung", "power"),
    "lights.reporting": (
        "{n} luminaires sur {all} répondent",
        "{n} von {all} Leuchten melden sich",
        "{n} of {all} lamps report",
    ),
    "lights.failed": ("{n} en défaut", "{n} gestört", "{n} failed"),
    "lights.off": ("éteint", "aus", "off"),
    "lights.silent": ("sans nouvelles", "keine Meldung", "no news"),
    "trend.label": (
        "Dernières 24 heures de {name} : puissance (surface) et niveau (trait) ; "
        "les valeurs sont dans le tableau",
        "Letzte 24 Stunden von {name}: Leistung (Fläche) und Stufe (Linie); Werte in der Tabelle",
        "Last 24 hours of {name}: power (area) and level (line); values in the table",
    ),
    "trend.key": (
        "24 h : surface = puissance, trait = niveau, bande = nuit",
        "24 h: Fläche = Leistung, Linie = Stufe, Band = Nacht",
        "24 h: area = power, line = level, band = night",
    ),
    "trend.top": ("haut : {top}", "oben: {top}", "top: {top}"),
    "trend.now": ("maintenant", "jetzt", "now"),
    "trend.values": ("Valeurs des 24 heures", "Werte der 24 Stunden", "Values of the 24 hours"),
    "trend.sample": (
        "Moyennes horaires d’un échantillon d’au plus {n} luminaires, étendues au groupe.",
        "Stundenmittel aus höchstens {n} Leuchten, auf die Gruppe hochgerechnet.",
        "Hourly means of a sample of at most {n} lamps, scaled to the group.",
    ),
    "hour": ("Heure", "Stunde", "Hour"),
    "energy": ("Énergie des 7 dernières nuits", "Energie der letzten 7 Nächte", "Last 7 nights"),
    "energy.against": (
        "comparée à la référence déclarée : {baseline}",
        "verglichen mit der erklärten Referenz: {baseline}",
        "against the declared baseline: {baseline}",
    ),
    "energy.headline": (
        "{pct} % d’énergie en moins que cette référence",
        "{pct} % weniger Energie als diese Referenz",
        "{pct} % less energy than this baseline",
    ),
    "energy.more": (
        "{pct} % d’énergie en plus que cette référence",
        "{pct} % mehr Energie als diese Referenz",
        "{pct} % more energy than this baseline",
    ),
    "energy.nothing": (
        "Pas encore de nuit suffisamment mesurée.",
        "Noch keine ausreichend gemessene Nacht.",
        "No night is metered well enough yet.",
    ),
    "energy.night": ("Nuit du", "Nacht vom", "Night of"),
    "energy.measured": ("Mesuré, kWh", "Gemessen, kWh", "Measured, kWh"),
    "energy.baseline": ("Référence, kWh", "Referenz, kWh", "Baseline, kWh"),
    "energy.saving": ("Écart", "Unterschied", "Difference"),
    "energy.bars": (
        "Mesuré / référence",
        "Gemessen / Referenz",
        "Measured / baseline",
    ),
    "energy.running": ("en cours", "läuft", "running"),
    "energy.partial": (
        "Une nuit mesurée à moins de {pct} % montre son énergie sans écart.",
        "Eine zu weniger als {pct} % gemessene Nacht zeigt Energie ohne Unterschied.",
        "A night metered for less than {pct} % shows energy without a difference.",
    ),
    "data": ("Données", "Daten", "Data"),
    "data.rows": (
        "mesures enregistrées en une heure",
        "gespeicherte Messungen in einer Stunde",
        "readings stored in one hour",
    ),
    "data.lag": (
        "délai médian (99 % : {p99})",
        "mittlere Verzögerung (99 %: {p99})",
        "median lag (99 %: {p99})",
    ),
    "data.quarantined": ("lots mis à l’écart", "Pakete beiseitegelegt", "batches set aside"),
    "data.last": ("dernier lot reçu", "letztes Paket", "last batch"),
    "data.none": ("aucun", "keines", "none"),
    "footer": (
        "Les chiffres viennent de compteurs, sans caméra ni donnée personnelle. "
        "Une attente inconnue reste inconnue.",
        "Die Zahlen stammen von Zählern, ohne Kamera und ohne personenbezogene Daten. "
        "Was unbekannt ist, bleibt unbekannt.",
        "Figures come from counters: no camera, no personal data. "
        "What is not known is said to be unknown.",
    ),
    "updated": ("Page établie à {at}", "Stand {at}", "Page made at {at}"),
    "api": ("Données ouvertes des attentes (JSON)", "Offene Daten (JSON)", "Open data (JSON)"),
}

_WEEKDAYS = (
    ("lundi", "Montag", "Monday"),
    ("mardi", "Dienstag", "Tuesday"),
    ("mercredi", "Mittwoch", "Wednesday"),
    ("jeudi", "Donnerstag", "Thursday"),
    ("vendredi", "Freitag", "Friday"),
    ("samedi", "Samstag", "Saturday"),
    ("dimanche", "Sonntag", "Sunday"),
)
_AT = ("{day} à {time}", "{day} um {time}", "{day} at {time}")
_TODAY = ("à {time}", "um {time}", "at {time}")


@dataclass(frozen=True, slots=True)
class Texts:
    """One language, and the clock people live by."""

    language: Language
    zone: ZoneInfo

    def __call__(self, key: str, **values: object) -> str:
        """The text of `key` with its values filled in; KeyError for a key that does not exist."""
        return CATALOGUE[key][_COLUMN[self.language]].format(**values)

    def number(self, value: float, decimals: int = 0) -> str:
        """12345.6 as 12 345,6 or as the language writes it."""
        thousands, point = _SEPARATORS[self.language]
        text = f"{value:,.{decimals}f}"
        return text.replace(",", "\0").replace(".", point).replace("\0", thousands)

    def time(self, moment: datetime) -> str:
        """The time of day in the territory, 14:05."""
        return moment.astimezone(self.zone).strftime("%H:%M")

    def moment(self, moment: datetime, *, today: date) -> str:
        """ "at 14:00", or with the weekday when it is not today, and the date from the seventh day
        on, when the weekday alone means an earlier one."""
        local = moment.astimezone(self.zone)
        column = _COLUMN[self.language]
        form = _TODAY[column] if local.date() == today else _AT[column]
        day = _WEEKDAYS[local.weekday()][column]
        if local.date() - today > timedelta(days=6):
            day += f" {local.day}.{local.month}."
        return form.format(day=day, time=local.strftime("%H:%M"))

    def night(self, day: date) -> str:
        """The evening a night belongs to: "lun. 23.11."."""
        name = _WEEKDAYS[day.weekday()][_COLUMN[self.language]]
        short = name[: 2 if self.language is Language.DE else 3]
        return f"{short}. {day.day}.{day.month}."
