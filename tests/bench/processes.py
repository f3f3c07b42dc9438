"""What processes cost: CPU seconds and memory by the part they play."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one process: CPU seconds so far (user and system), resident memory in MiB."""

    cpu_s: float
    rss_mib: float


def usage(pids: Mapping[str, int]) -> dict[str, Usage]:
    """By part. A process that is gone is left out."""
    found = {}
    for part, pid in pids.items():
        try:
            process = psutil.Process(pid)
            times = process.cpu_times()
            found[part] = Usage(times.user + times.system, process.memory_info().rss / 2**20)
        except psutil.NoSuchProcess:
            continue
    return found


def busy_s() -> float:
    """CPU seconds of the whole machine since its start: other work beside a bench is seen in it."""
    times = psutil.cpu_times()
    return float(times.user + times.system + getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0))


def percentile(values: tuple[float, ...], percent: float) -> float:
    """By the nearest rank; nan for no values."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    rank = math.ceil(len(ordered) * percent / 100)
    return ordered[max(0, rank - 1)]
