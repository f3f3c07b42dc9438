"""The newest measured values of all devices, as text for Prometheus and as bodies for OpenTSDB (contract 6.9).

Guarantees: bounded by the number of devices; values older than STALE_S are not shown; names and tags are those of
the contract, with what the receiving format does not allow replaced by an underscore. No clock, no I/O.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final

from actors.core.readings import Point

#: Older values say nothing of the present.
STALE_S: Final = 600.0
#: OpenTSDB's default limit of a request is 4 KiB without chunks; some 150 bytes make a point.
PUT_POINTS_MAX: Final = 25

_NOT_PROMETHEUS: Final = re.compile(r"[^a-zA-Z0-9_]")
_NOT_OPENTSDB: Final = re.compile(r"[^a-zA-Z0-9\-_./]")


@dataclass(slots=True)
class Measurements:
    """What the devices said last."""

    _by_source: dict[str, tuple[float, str, tuple[Point, ...]]] = field(default_factory=dict)

    def take(self, source: str, device: str, at_s: float, points: tuple[Point, ...]) -> None:
        """Values of one device from whoever watches it, who replaces only what it said before itself: what is
        read under another community name has another source. `at_s`: seconds since 1970."""
        self._by_source[source] = (at_s, device, points)

    def text(self, now_s: float) -> str:
        """The exposition format of Prometheus: a gauge for each metric, with its tags and the device as labels."""
        self._forget(now_s)
        families: defaultdict[str, dict[str, str]] = defaultdict(dict)
        # of two with the same labels the newer one stays
        for _, device, points in sorted(self._by_source.values(), key=itemgetter(0)):
            for point in points:
                labels = [("device", device), *point.tags]
                shown = ",".join(f'{_NOT_PROMETHEUS.sub("_", k)}="{_escaped(v)}"' for k, v in labels)
                name = _NOT_PROMETHEUS.sub("_", point.metric)
                families[name][shown] = f"{name}{{{shown}}} {point.value:.15g}"
        lines: list[str] = []
        for name in sorted(families):
            lines += [f"# HELP {name} Measured on devices by SNMP.", f"# TYPE {name} gauge"]
            lines += [line for _, line in sorted(families[name].items())]
        return "".join(f"{line}\n" for line in lines)

    def _forget(self, now_s: float) -> None:
        self._by_source = {k: v for k, v in self._by_source.items() if now_s - v[0] <= STALE_S}


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def put_bodies(at_s: float, points: Iterable[Point]) -> Iterator[bytes]:
    """Bodies of OpenTSDB's POST /api/put, at most PUT_POINTS_MAX points each."""
    batch: list[dict[str, object]] = []
    for point in points:
        tags = {_clean(key): _clean(value) for key, value in point.tags}
        batch.append(
            {"metric": _clean(point.metric), "timestamp": int(at_s), "value": point.value, "tags": tags}
        )
        if len(batch) == PUT_POINTS_MAX:
            yield json.dumps(batch, separators=(",", ":")).encode()
            batch = []
    if batch:
        yield json.dumps(batch, separators=(",", ":")).encode()


def _clean(text: str) -> str:
    return _NOT_OPENTSDB.sub("_", text) or "_"
