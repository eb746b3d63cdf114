"""The DALI logarithmic dimming curve, IEC 62386-102: raw level 0..254 and per cent of light.

X(n) = 10 ** ((n - 1) / (253 / 3) - 1) per cent for n = 1..254; 0 is off; 255 (MASK) is "no level".
The trap: 127, half of 254, is 3.1 % of light, not 50 %.
"""

import bisect

MAX_LEVEL = 254
MASK = 255

_PERCENT = (0.0, *(10 ** ((n - 1) / (253 / 3) - 1) for n in range(1, MAX_LEVEL)), 100.0)
_SLACK = 1e-9  # float noise of a percentage computed from the curve itself


def percent(level: int) -> float:
    """Light output, per cent of full, at raw `level` 0..254."""
    if not 0 <= level <= MAX_LEVEL:
        raise ValueError(f"DALI level {level} is outside 0..{MAX_LEVEL}")
    return _PERCENT[level]


def level(percent_: float) -> int:
    """The lowest raw level that gives at least `percent_` of light: never less than asked for.

    The steps are 2.8 % of the light apart, so the excess stays below that.
    """
    if not 0 <= percent_ <= 100:
        raise ValueError(f"light level {percent_} % is outside 0..100")
    return bisect.bisect_left(_PERCENT, percent_ * (1 - _SLACK))
