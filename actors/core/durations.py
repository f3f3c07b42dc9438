"""How long things usually take, from the histories: percentiles by type, action and kind of time.

Guarantees: the nearest-rank percentile of what was measured, so it is always a time that did occur; successful
versions only. Seconds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from actors.core.knowledge import Knowledge


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual: the median, the 95th percentile, and of how many."""

    p50_s: float
    p95_s: float
    count: int


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of sorted, not empty `values`; `share` in (0, 1]."""
    return values[max(0, math.ceil(share * len(values)) - 1)]


class Durations:
    """All durations of the histories, by (type, action, kind); read type by type, when asked for."""

    def __init__(self, known: Knowledge) -> None:
        self._known = known
        self._found: dict[str, dict[tuple[str, str], list[float]]] = {}

    def usual(self, kind_of_resource: str, action: str, kind: str = "") -> Usual | None:
        """What is usual, or None if it never happened. `kind` "" is the whole without waiting for others."""
        if kind_of_resource not in self._found:
            self._found[kind_of_resource] = self._read(kind_of_resource)
        values = self._found[kind_of_resource].get((action, kind))
        if not values:
            return None
        return Usual(percentile(values, 0.5), percentile(values, 0.95), len(values))

    def _read(self, kind_of_resource: str) -> dict[tuple[str, str], list[float]]:
        found: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        for ref in self._known.histories():
            for line in self._known.history(ref) if ref.type == kind_of_resource else ():
                if line.error:
                    continue
                totals: defaultdict[str, float] = defaultdict(float)
                for span in line.spans:
                    totals[span.kind] += span.seconds
                for kind in ("heat", "device"):
                    if totals[kind]:
                        found[line.action, kind].append(totals[kind])
                busy = sum(seconds for kind, seconds in totals.items() if kind != "waiting")
                found[line.action, ""].append(busy)
        return {key: sorted(values) for key, values in found.items()}
