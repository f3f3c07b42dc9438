"""When a device is asked: slots spread over the interval, probes of a silent device, and how often it is walked.

Guarantees: deterministic (spread and jitter are hashes of names and numbers), bounded: two slots are at least
0.85 intervals apart, a probe comes at least every 1.1 caps, walks of ifName are 60 s apart except
while a wanted name has no row yet. Pure: the caller brings the time, in seconds of any monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from math import ceil, floor
from typing import Final

#: Share of the interval by which a slot may be moved, in all.
JITTER: Final = 0.1
#: Slots lie on this grid, or on a twentieth of a short interval: devices that are due together cost one wake-up and
#: share frames between processes.
GRID_S: Final = 0.5
GRID_SHARE: Final = 0.05
#: Between two walks of ifName that no missing name calls for.
WALK_GAP_S: Final = 60.0


def fraction(text: str) -> float:
    """A number in [0, 1) that belongs to that text, on every machine."""
    return int.from_bytes(blake2b(text.encode(), digest_size=6).digest(), "big") / 2**48


def next_slot_s(now_s: float, interval_s: float, name: str) -> float:
    """The first slot of `name` after `now_s`. A slot that was missed is gone: nothing is ever made up for."""
    phase_s = fraction(name) * interval_s
    grid_s = min(GRID_S, GRID_SHARE * interval_s)
    number = floor((now_s - phase_s) / interval_s - JITTER)
    while True:
        jitter_s = (fraction(f"{name}:{number}") - 0.5) * JITTER * interval_s
        slot_s = ceil((phase_s + number * interval_s + jitter_s) / grid_s) * grid_s
        if slot_s > now_s:
            return slot_s
        number += 1


class Slots(dict[float, float]):
    """Interval → next slot of one device after one moment, each worked out at its first use."""

    def __init__(self, now_s: float, name: str) -> None:
        super().__init__()
        self._now_s, self._name = now_s, name

    def __missing__(self, interval_s: float) -> float:
        slot_s = self[interval_s] = next_slot_s(self._now_s, interval_s, self._name)
        return slot_s


def probe_delay_s(attempt: int, name: str, base_s: float, cap_s: float) -> float:
    """Seconds until probe number `attempt` (from 1) of a silent device: `base_s`, doubling to `cap_s`, ±10 %."""
    assert attempt >= 1, "the first probe is number 1"
    full_s: float = min(cap_s, base_s * 2.0 ** min(attempt - 1, 10))
    return full_s * (0.9 + 0.2 * fraction(f"{name}:probe:{attempt}"))


@dataclass(slots=True)
class WalkBudget:
    """How often one device may be walked. `lookups`: walks in a row after which a wanted name was missing."""

    lookup_base_s: float
    last_s: float | None = None
    lookups: int = 0

    def fresh(self) -> None:
        """A new name is wanted (or the device is back): the next poll may walk."""
        self.last_s, self.lookups = None, 0

    def next_s(self, *, missing: bool, moved: bool = False) -> float:
        """From when on a walk is allowed. `missing`: a wanted name has no row; `moved`: and the interface table has
        changed since the last walk, so that it may have one now."""
        if self.last_s is None:
            return 0.0
        gap_s = WALK_GAP_S
        if missing and moved:
            gap_s = self.lookup_base_s
        elif missing:
            gap_s = min(WALK_GAP_S, self.lookup_base_s * 2.0 ** min(self.lookups - 1, 10))
        return self.last_s + gap_s

    def walked(self, now_s: float, *, missing: bool) -> None:
        """A walk was made, or tried."""
        self.last_s = now_s
        self.lookups = self.lookups + 1 if missing else 0
