"""Find the units of a line, and guess what they are.

Each unit is asked for one register. Whatever comes back, a value or a refusal, somebody is there;
only silence, and a gateway's word that nobody answers (exceptions 10 and 11), say otherwise.
Nothing is ever written.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from edge.errors import (
    LinkDown,
    ReplyMalformed,
    Retriable,
    UnitBusy,
    UnitRefused,
    UnitSilent,
)
from edge.sampling import polled_points
from edge.workbench.guess import Certainty, Guess, judged
from edge.workbench.line import Line
from protocols.profile_identify import Identity, identity
from protocols.profile_model import Function, Identify, Profile
from protocols.registers import Value, decode_block, plan_reads

ALL_UNITS = range(1, 248)
"""Modbus over serial line 1.02, 2.2: addresses 1 to 247."""

_FIRST_ASKED = (Function.HOLDING, Function.INPUT)
_BEST = 3
_TELLING = 0.2
"""Evidence that a profile beside a likely one must have: a unit may carry two maps."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that answered; `note` is what was odd about it."""

    unit: int
    guesses: tuple[Guess, ...] = ()
    note: str = ""


async def scan(
    line: Line, units: Iterable[int], profiles: Sequence[Profile]
) -> AsyncIterator[tuple[int, Unit | None]]:
    """Every unit asked, in order, and what was found there. LinkDown if the line cannot be had."""
    await line.connect()
    for number in units:
        note = await _probed(line, number)
        if note is None:
            yield number, None
        else:
            yield number, Unit(number, await _guesses(line, number, profiles), note)


async def _probed(line: Line, unit: int) -> str | None:
    """ "" or what is odd, if somebody is there."""
    try:
        await line.read(unit, _FIRST_ASKED[0], address=0, count=1)
    except UnitSilent:
        return None
    except (UnitRefused, UnitBusy):
        return ""
    except ReplyMalformed as exc:
        return f"answers, but not by the rules: {exc.problem}"
    except LinkDown:
        # Some gateways hang up on a unit that they do not know: that is silence too.
        await line.connect()
        return None
    return ""


async def _guesses(line: Line, unit: int, profiles: Sequence[Profile]) -> tuple[Guess, ...]:
    """The profiles that fit, the best first; one that the device names itself stands alone."""
    found = []
    for profile in profiles:
        said = await _said(line, unit, profile.identify)
        if said is not None and said.matches:
            return (Guess(profile.name, Certainty.IDENTIFIED, 0, said.shown),)
        if said is not None:
            continue  # it says that it is something else
        values = await _values(line, unit, profile)
        guess = None if values is None else judged(profile, values)
        if guess is not None:
            found.append(guess)
    if any(guess.certainty is Certainty.LIKELY for guess in found):
        found = [guess for guess in found if guess.evidence >= _TELLING]
    return tuple(sorted(found, key=lambda guess: -guess.evidence)[:_BEST])


async def _said(line: Line, unit: int, identify: Identify | None) -> Identity | None:
    """What the unit says it is; None if it has no such registers, or nothing is known of them."""
    if identify is None:
        return None
    try:
        words = await line.read(
            unit, identify.function, address=identify.address, count=identify.words
        )
    except (Retriable, UnitRefused):
        return None
    return identity(identify, words)


async def _values(line: Line, unit: int, profile: Profile) -> dict[str, Value] | None:
    """The polled points of the profile's first device; None if one of them is refused."""
    values: dict[str, Value] = {}
    for block in plan_reads([(point, 0) for point in polled_points(profile)], profile):
        try:
            reply = await line.read(unit, block.function, address=block.address, count=block.count)
        except (Retriable, UnitRefused):
            return None
        values |= {point.name: value for point, _, value in decode_block(block, reply)}
    return values
