"""Measured values of one device: what is read for its targets, and the data points that come of it (contract 6.9).

Guarantees: every value is read once, however many targets want it; a point says what a metric store needs and
nothing secret; counters come out as growth per second (`core.rates`). Pure: the caller brings answers and time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from actors.core.asking import Query
from actors.core.model import Ref
from actors.core.monitor_types import MonitorType
from actors.core.monitors import Target
from actors.core.rates import Sample, rate

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Point:
    """One data point. `tags` are sorted pairs; the time is the message's."""

    metric: str
    value: float
    tags: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Meters:
    """The counters of one device. Make a plan before the poll, give its findings to `points` afterwards."""

    _before: dict[Key, Sample] = field(default_factory=dict)

    @staticmethod
    def plan(targets: Iterable[tuple[Ref, Target, MonitorType]]) -> tuple[Query, ...]:
        """Every OID that a reading of these targets needs, once."""
        queries: dict[Key, Query] = {}
        for _, target, row in targets:
            keys = dict(target.keys)
            for reading in row.readings:
                for instance in (reading.instance, reading.discontinuity):
                    if instance is not None:
                        query = instance.query(keys, None)
                        queries[query.oid, query.interface] = query
        return tuple(queries.values())

    def points(
        self,
        targets: Iterable[tuple[Ref, Target, MonitorType]],
        asked: Sequence[Query],
        found: Sequence[str | int | None],
        at_s: float,
        ticks: Sequence[int | None],
    ) -> list[Point]:
        """What the answer to `plan` says. A reading that is missing, or has no baseline yet, gives no point.
        `ticks`: the agent's uptime at each (the PDUs of one poll may be seconds apart)."""
        told = zip(asked, found, ticks or (None,) * len(asked), strict=True)
        values = {(q.oid, q.interface): (value, when) for q, value, when in told if isinstance(value, int)}
        points: list[Point] = []
        samples: dict[Key, Sample] = {}
        for ref, target, row in targets:
            keys = dict(target.keys)
            for reading in row.readings:
                query = reading.instance.query(keys, None)
                key = (query.oid, query.interface)
                if key not in values:
                    continue
                number, when = values[key]
                value: float | None = number
                if reading.per_second:
                    breaks = reading.discontinuity
                    broken = breaks.query(keys, None) if breaks is not None else None
                    moved = values.get((broken.oid, broken.interface)) if broken is not None else None
                    samples[key] = Sample(number, at_s, when, moved[0] if moved is not None else None)
                    value = rate(self._before.get(key), samples[key])
                if value is not None:
                    points += _points(ref, target, reading.metric, reading.tags, value)
        self._before = samples  # what is not read any more is forgotten
        return points


def _points(
    ref: Ref, target: Target, metric: str, tags: tuple[tuple[str, str], ...], value: float
) -> list[Point]:
    """One point per set of tags that the target wants (contract 6.9: one per port id)."""
    own = {"resource_id": ref.id, **dict(tags)}
    return [
        Point(metric, value, tuple(sorted({**own, **dict(more)}.items()))) for more in target.tags or ((),)
    ]
