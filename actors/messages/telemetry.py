"""What Telemetry asks of the other processes, and is told: metrics, asked at most once a second, and traces."""

from __future__ import annotations

from dataclasses import dataclass

from actors.core.exposition import Sample
from actors.core.tracing import Ending


@dataclass(frozen=True, slots=True)
class MetricsQuery:
    """Telemetry → every other process: what have you counted so far?"""

    rid: str


@dataclass(frozen=True, slots=True)
class MetricsReply:
    """Every process → Telemetry: since its start. `role`: which part it plays."""

    rid: str
    role: str
    pid: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class HttpAt:
    """Telemetry → Supervisor: where the HTTP port listens (host:port), or "" and why it does not."""

    address: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class VersionEnded:
    """ResourceActor → its Shard, which adds when the version was declared → Telemetry, where traces are wanted: an
    outcome was recorded. At most once; nothing but a trace is lost with it."""

    ending: Ending
