"""A circuit breaker: whether an endpoint is to be asked at all, decided from how it answered lately.

Guarantees: pure and immutable; closed after every good answer; open after `THRESHOLD` failures in a row, then
for a back-off that grows with each further failure; when that is over one request goes through to find out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from actors.core.backoff import delay_s

#: Failures in a row after which nothing more is asked.
THRESHOLD = 5
BASE_S = 0.5
CAP_S = 15.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """`failures` in a row, the last one because of `reason`; `since`: when the first of them happened; not
    before `retry_at` is anything asked (0: at once). `probing`: one request is finding out. Times in seconds."""

    name: str
    failures: int = 0
    since: float = 0.0
    retry_at: float = 0.0
    probing: bool = False
    reason: str = ""

    @property
    def open(self) -> bool:
        """Whether requests are held back."""
        return self.failures >= THRESHOLD

    def allows(self, now: float) -> bool:
        """Whether a request may be sent now."""
        return not self.open or (not self.probing and now >= self.retry_at)

    def sent(self) -> Breaker:
        """A request was sent: while open, it is the one that finds out."""
        return replace(self, probing=True) if self.open else self

    def succeeded(self) -> Breaker:
        """The endpoint answered, be it by refusing."""
        return Breaker(self.name)

    def failed(self, now: float, reason: str) -> Breaker:
        """The endpoint did not answer, or not as itself."""
        failures = self.failures + 1
        since = self.since if self.failures else now
        over = failures - THRESHOLD
        # answers to what was sent before it opened do not make it wait longer
        if self.open and not self.probing:
            return replace(self, reason=reason)
        retry_at = now + delay_s(over + 1, BASE_S, CAP_S, self.name) if over >= 0 else 0.0
        return Breaker(self.name, failures, since, retry_at, False, reason)

    def told(self, now: float) -> str:
        """For people: "" while closed."""
        if not self.open:
            return ""
        wait = max(0.0, self.retry_at - now)
        return f"unreachable for {now - self.since:.0f} s ({self.reason}); asked again in {wait:.0f} s"
