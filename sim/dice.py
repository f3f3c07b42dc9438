"""Randomness of a simulation: everything that chance decides follows from one seed.

Guarantees: the same numbers on every machine and on every Python from 3.11 on (the Mersenne Twister's
`random()` and integer arithmetic only; no logarithm, no hash of text). `unit_of` depends on its arguments
alone, so one decision stays what it is when others fall away; that is what makes shrinking work.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar
from zlib import crc32

T = TypeVar("T")

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15


def unit_of(seed: int, name: str, count: int) -> float:
    """A number in [0, 1) that belongs to the `count`-th decision of that name under that seed."""
    return unit_at(seed, crc32(name.encode()), count)


def unit_at(seed: int, place: int, count: int) -> float:
    """As `unit_of`, with the name given as a number."""
    z = (seed * 0xD1342543DE82EF95 + place * 0x2545F4914F6CDD1D + count * _GAMMA) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    z ^= z >> 31
    return (z >> 11) * 2.0**-53


class Dice:
    """A stream of its own for one purpose."""

    def __init__(self, seed: int, name: str) -> None:
        self.unit = random.Random((seed << 32) | crc32(name.encode())).random  # noqa: S311 - simulation

    def below(self, count: int) -> int:
        """One of 0 … count - 1."""
        return int(self.unit() * count)

    def between(self, low: float, high: float) -> float:
        """Evenly between the two."""
        return low + (high - low) * self.unit()

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return self.unit() < probability

    def one(self, things: Sequence[T]) -> T:
        """One of them."""
        return things[self.below(len(things))]

    def shuffled(self, things: Sequence[T]) -> list[T]:
        """All of them in another order."""
        left = list(things)
        for last in range(len(left) - 1, 0, -1):
            other = self.below(last + 1)
            left[last], left[other] = left[other], left[last]
        return left
