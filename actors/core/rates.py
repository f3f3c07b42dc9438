"""From counter readings to growth per second.

Guarantees: a rate is told only between two readings of one life of the agent and of the counter; a restart, a
discontinuity, a counter that went back and a gap that is too long make a new baseline, never a spike. Nothing
is ever added for a wrap: the counters read are 64 bits wide (32-bit octets wrap in 3.4 s at 10 Gbit/s).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: An average over a longer time says nothing of the present.
GAP_MAX_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading. `at_s`: our clock; `uptime_ticks`: the agent's sysUpTime in the same poll (1/100 s, None: not
    readable); `discontinuity`: ifCounterDiscontinuityTime, None if the agent has none."""

    value: int
    at_s: float
    uptime_ticks: int | None = None
    discontinuity: int | None = None


def rate(before: Sample | None, now: Sample) -> float | None:
    """Growth per second from `before` to `now`, or None if the two do not belong together.

    Time is the agent's where it tells it: our clock holds the delays of the network too.
    """
    if before is None or now.discontinuity != before.discontinuity or now.value < before.value:
        return None
    elapsed_s = now.at_s - before.at_s
    if before.uptime_ticks is not None and now.uptime_ticks is not None:
        if now.uptime_ticks < before.uptime_ticks:
            return None
        elapsed_s = (now.uptime_ticks - before.uptime_ticks) / 100
    if not 0 < elapsed_s <= GAP_MAX_S:
        return None
    return (now.value - before.value) / elapsed_s
