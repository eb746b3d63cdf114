"""Chance that repeats: every draw follows from the seed and the name of what it is for.

No draw depends on how often or in which order others are made, so the world is the same whether it
is advanced in one step or in a million.
"""

import hashlib
import random

_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15  # Steele, Lea, Flood (2014), SplitMix64: 2**64 / golden ratio


def key(seed: int, *names: str | int) -> int:
    """A 64-bit key for the thing called `names` in the world `seed`."""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def stream(seed: int, *names: str | int) -> random.Random:
    """A generator of its own for the thing called `names`."""
    return random.Random(key(seed, *names))


def noise(key_: int, tick: int) -> float:
    """A number in [-1, 1), uniform, that belongs to `tick` (SplitMix64)."""
    x = (key_ + tick * _GOLDEN) & _MASK
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & _MASK
    return (x ^ x >> 31) / 2**63 - 1.0


def smooth_noise(key_: int, t_us: int, period_us: int) -> float:
    """Noise in [-1, 1) drawn once a `period_us` and joined by straight lines."""
    tick, rest = divmod(t_us, period_us)
    left = noise(key_, tick)
    return left + (noise(key_, tick + 1) - left) * rest / period_us
