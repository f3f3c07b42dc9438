"""What `doctor` says of one thing that it looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """`severity`: `error` stops work, `warn` will hurt some day, `ok` and `info` need nothing."""

    check: str
    severity: str
    text: str
    remedy: str = ""
