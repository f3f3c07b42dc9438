"""Whether something changes too often to be told at every change.

Guarantees: constant memory; pure, the caller brings the time (seconds of any monotonic clock).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: So many changes within FLAP_WINDOW_S are flapping.
FLAP_CHANGES: Final = 6
FLAP_WINDOW_S: Final = 600.0
#: A flapping thing is written at most this often.
FLAP_WRITE_S: Final = 60.0


@dataclass(slots=True)
class Flaps:
    """The last changes of one thing. Confirmed or not: what bounces faster than it can be confirmed flaps too."""

    last: str = ""
    times_s: tuple[float, ...] = ()

    def saw(self, status: str, now_s: float) -> None:
        """Take one look into account."""
        if status == self.last:
            return
        if self.last:
            self.times_s = (*self.times_s[-(FLAP_CHANGES - 1) :], now_s)
        self.last = status

    def flapping(self, now_s: float) -> bool:
        """Whether it has changed at least FLAP_CHANGES times within the last FLAP_WINDOW_S."""
        return len(self.times_s) == FLAP_CHANGES and now_s - self.times_s[0] < FLAP_WINDOW_S
