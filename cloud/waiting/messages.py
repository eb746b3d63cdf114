"""What a screen says of a wait, in French, German and English: a key, and its text filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cloud.waiting.opening import Status
from cloud.waiting.service import Shown, bracket_after
from cloud.waiting.shape import BRACKETS_MIN, bracket_min, level
from cloud.waiting.site import Detector
from cloud.waiting.store import Facility

LANGUAGES = ("fr", "de", "en")

MESSAGES: Mapping[str, tuple[str, str, str]] = {
    "closed": ("Fermé", "Geschlossen", "Closed"),
    "closed_on_arrival": (
        "Fermé à votre arrivée",
        "Geschlossen, wenn Sie ankommen",
        "Closed by the time you arrive",
    ),
    "saturated": (
        "Saturé : sans doute trop tard avant la fermeture",
        "Überlastet: vor der Schließung wohl zu spät",
        "Full: probably too late before it closes",
    ),
    "none": ("Pas d’attente", "Keine Wartezeit", "No wait"),
    "below": ("moins de {n} min", "unter {n} min", "under {n} min"),
    "above": ("plus d’une heure", "über eine Stunde", "over an hour"),
    "at_least": ("plus de {n} min", "mehr als {n} min", "over {n} min"),
    "calm": ("calme", "ruhig", "calm"),
    "normal": ("affluence normale", "normaler Andrang", "as usual"),
    "busy": ("chargé", "viel Andrang", "busy"),
    "typical_none": (
        "d’habitude sans attente à cette heure",
        "um diese Zeit meist keine Wartezeit",
        "usually no wait at this time",
    ),
    "typical_below": (
        "d’habitude moins de {n} min à cette heure",
        "um diese Zeit meist unter {n} min",
        "usually under {n} min at this time",
    ),
    "typical_above": (
        "d’habitude plus d’une heure à cette heure",
        "um diese Zeit meist über eine Stunde",
        "usually over an hour at this time",
    ),
    "typical_calm": (
        "d’habitude calme à cette heure",
        "um diese Zeit meist ruhig",
        "usually calm at this time",
    ),
    "typical_normal": (
        "d’habitude affluence normale à cette heure",
        "um diese Zeit meist normaler Andrang",
        "usually as busy as on average",
    ),
    "typical_busy": (
        "d’habitude chargé à cette heure",
        "um diese Zeit meist viel Andrang",
        "usually busy at this time",
    ),
    "unknown": ("Attente inconnue", "Wartezeit unbekannt", "Wait unknown"),
}


@dataclass(frozen=True, slots=True)
class Message:
    """A text to show: its key, and the minutes that stand in it."""

    key: str
    minutes: int | None = None

    def text(self, language: str) -> str:
        """In one of LANGUAGES."""
        return MESSAGES[self.key][LANGUAGES.index(language)].format(n=self.minutes)


def headline(shown: Shown, travel_s: float = 0.0) -> Message:
    """The first thing to say; in `travel_s` seconds somebody would be there."""
    if shown.status in (Status.CLOSED, Status.OPENING_SOON):
        return Message("closed")
    if travel_s > 0 and shown.closed_after(travel_s):
        return Message("closed_on_arrival")
    if shown.status is Status.SATURATED:
        return Message("saturated")
    bracket = bracket_after(shown, travel_s)
    if bracket is not None:
        return of_bracket(bracket)
    if shown.at_least_min is not None and travel_s <= 0:
        return Message("at_least", shown.at_least_min)
    if shown.estimate is not None and shown.level is not None and shown.wait is None:
        return Message(shown.level.value)
    return Message("unknown")


def usual(shown: Shown) -> Message | None:
    """What is usual at this time, where nothing better is known; None elsewhere.

    Minutes only where the detectors that stand there could measure them.
    """
    if shown.typical is None or shown.estimate is not None:
        return None
    if not minutes_possible(shown):
        return Message(f"typical_{level(shown.typical.p80_s).value}")
    return _bracket("typical_", bracket_min(shown.typical.p80_s))


def minutes_possible(shown: Shown) -> bool:
    """Whether the detectors that stand there can tell minutes."""
    return counts_exits(shown.facility)


def counts_exits(facility: Facility) -> bool:
    """Whether an entry and an exit counter stand there: without them minutes are never told."""
    return {Detector.ENTRY, Detector.EXIT} <= set(facility.detectors)


def of_bracket(minutes: int) -> Message:
    """The headline of a bracket (`shape.bracket_min`)."""
    return _bracket("", minutes)


def _bracket(prefix: str, minutes: int) -> Message:
    if minutes == 0:
        return Message(f"{prefix}none")
    if minutes > BRACKETS_MIN[-1]:
        return Message(f"{prefix}above")
    return Message(f"{prefix}below", minutes)
