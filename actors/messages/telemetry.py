"""Metrics: what Telemetry asks of the other processes, and is told. Asked at most once a second."""

from __future__ import annotations

from dataclasses import dataclass

from actors.core.exposition import Sample


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
