"""Whether something changes too often to be told at every change.

Guarantees: constant memory; pure, the caller brings the time (seconds of any monotonic clock).
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FlapRule:
    """`changes` within `window_s` seconds are flapping; a flapping thing is written every `write_s` seconds at most."""

    changes: int = 6
    window_s: float = 600.0
    write_s: float = 60.0


@dataclass(slots=True)
class Flaps:
    """The last changes of one thing. Confirmed or not: what bounces faster than it can be confirmed flaps too."""

    rule: FlapRule = field(default_factory=FlapRule)
    last: str = ""
    times_s: tuple[float, ...] = ()

    def saw(self, status: str, now_s: float) -> None:
        """Take one look into account."""
        if status == self.last:
            return
        if self.last:
            self.times_s = (*self.times_s, now_s)[-self.rule.changes :]
        self.last = status

    def flapping(self, now_s: float) -> bool:
        """Whether it has changed as often as the rule says, within the window up to now."""
        return len(self.times_s) == self.rule.changes and now_s - self.times_s[0] < self.rule.window_s
