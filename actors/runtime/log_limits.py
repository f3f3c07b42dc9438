"""Keeping one recurring event from filling the log: a token bucket per kind of line.

Guarantees: a kind is a logger, a level and a text before its values are filled in; each may say BURST lines at
once and RATE lines a second for long, in every process; what was left out is counted and said in the next line of
that kind. At most KINDS_MAX kinds are remembered. Time is that of the records.
"""

from __future__ import annotations

import logging
from typing import Final

BURST: Final = 5000.0
RATE: Final = 50.0
KINDS_MAX: Final = 1000

Kind = tuple[str, int, str]


class StormFilter(logging.Filter):
    """Put on a handler. Lets records pass, or counts them."""

    def __init__(self, burst: float = BURST, rate: float = RATE) -> None:
        super().__init__()
        self._burst, self._rate = burst, rate
        #: kind → (tokens left, when that was, lines left out)
        self._buckets: dict[Kind, tuple[float, float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record is written."""
        kind = (record.name, record.levelno, str(record.msg))
        tokens, then, left_out = self._buckets.pop(kind, (self._burst, record.created, 0))
        tokens = min(self._burst, tokens + max(0.0, record.created - then) * self._rate)
        passes = tokens >= 1.0
        if passes and left_out:
            record.msg = f"{record.msg} [{left_out} more like this were left out]"
        # the one that spoke last stands last, so the first is the one to forget
        self._buckets[kind] = (
            tokens - 1.0 if passes else tokens,
            record.created,
            0 if passes else left_out + 1,
        )
        if len(self._buckets) > KINDS_MAX:
            del self._buckets[next(iter(self._buckets))]
        return passes
