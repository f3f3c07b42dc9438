"""Counters, gauges and histograms as plain values, and the text format of Prometheus.

Guarantees: a Meter is a value that one owner changes; samples are immutable and may be sent; the text is valid in
the exposition format 0.0.4: each family once, with help and type, labels escaped. No clock: times come as
arguments.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

Labels = tuple[tuple[str, str], ...]

PREFIX: Final = "gatewright_"
#: Upper bounds in seconds, from a quick step of ours to a slow stack.
BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)

#: name → (type, help). A name that is not here cannot be sampled.
FAMILIES: Final[dict[str, tuple[str, str]]] = {
    "resources": ("gauge", "Declared resources by stage."),
    "stage_oldest_seconds": ("gauge", "Age of the resource that is longest in a stage, in seconds."),
    "queue_depth": ("gauge", "Resources that wait for an actor."),
    "queue_oldest_seconds": ("gauge", "How long the first of those has been waiting; 0 if none is."),
    "live_actors": ("gauge", "Resources with an actor: in flight."),
    "devices": ("gauge", "Monitored devices of this controller."),
    "first_time_to_reconcile_seconds": (
        "histogram",
        "From a declaration being seen to work on it being begun.",
    ),
    "first_time_to_readiness_seconds": ("histogram", "From a declaration being seen to its COMPLETED state."),
    "deletion_seconds": ("histogram", "From a deletion mark being seen to DELETE_COMPLETED."),
    "drift_seconds": ("histogram", "How long a monitored target was not as wanted, until it was again."),
    "drifted_targets": ("gauge", "Monitored targets that are not as wanted at present."),
    "drifted_stacks": ("gauge", "Stacks that were found to differ from what was built, by kind of drift."),
    "compared_stacks_total": ("counter", "Settled stacks that were compared with Heat."),
    "stage_seconds": ("histogram", "Time that resources spent in a stage."),
    "own_seconds": (
        "histogram",
        "Time of a finished version that was neither Heat's nor a device's nor waiting.",
    ),
    "finished_total": ("counter", "Versions that ended, by outcome."),
    "retries_total": ("counter", "Times that a job was put back to be tried again."),
    "heat_up": ("gauge", "Whether Heat is asked (its circuit breaker is closed): 1 or 0."),
    "heat_stacks": (
        "gauge",
        "Stacks in the hands of the Heat actors: begun, or waiting for their tenant's turn.",
    ),
    "heat_requests_total": ("counter", "Requests to Heat, by kind."),
    "heat_errors_total": ("counter", "Requests to Heat that failed, by class of error."),
    "heat_request_seconds": ("histogram", "Duration of requests to Heat."),
    "snmp_requests_total": ("counter", "Requests to SNMP agents (one may ask for many values)."),
    "snmp_errors_total": ("counter", "Requests to SNMP agents that failed, by class of error."),
    "snmp_wire_total": (
        "counter",
        "Datagrams refused (late, forged, unreadable), requests repeated, timers late, v3 devices moved, by what.",
    ),
    "devices_silent": ("gauge", "Monitored devices that do not answer."),
    "snmp_request_seconds": ("histogram", "Duration of requests to SNMP agents, retries included."),
    "etcd_requests_total": ("counter", "Requests to etcd, by kind."),
    "etcd_errors_total": ("counter", "Requests to etcd that failed, by class of error."),
    "etcd_request_seconds": ("histogram", "Duration of requests to etcd."),
    "etcd_writes_total": ("counter", "Keys written to or removed from etcd."),
    "etcd_changes_total": ("counter", "Changes that the watch delivered."),
    "etcd_revision": ("gauge", "Newest revision of etcd that is known, from writes and the watch."),
    "etcd_watch_lag_revisions": ("gauge", "Revisions by which the watch is behind our own writes."),
    "vshards_owned": ("gauge", "Virtual shards that this controller owns (its leases)."),
    "etcd_up": ("gauge", "Whether etcd is usable: 1 or 0."),
    "ready": ("gauge", "Whether the mirror is complete: 1 or 0."),
    "paused": ("gauge", "Resources with work to do that an operator has paused."),
    "paused_scopes": ("gauge", "Pauses in force, by kind: all, type, tenant, resource."),
    "problems": ("gauge", "Values in etcd that cannot be read."),
    "restarts_total": ("counter", "Processes that were replaced, by role."),
    "process_resident_bytes": ("gauge", "Resident memory, by process."),
    "process_cpu_seconds_total": ("counter", "Processor time, by process."),
    "process_open_files": ("gauge", "Open file descriptors, by process."),
    "process_open_files_limit": ("gauge", "File descriptors that are allowed, by process."),
    "runtime": ("gauge", "Counters of the actor runtime in a process, by name."),
    "trace_spans_total": ("counter", "Spans of traces, by what became of them: exported or dropped."),
    "messages_unanswered": ("gauge", "Processes that did not answer the last question for metrics."),
}

#: Gauges that several processes have of the same thing: the worst is the truth, not the sum.
_FOLD: Final[Mapping[str, Callable[[float, float], float]]] = {
    "ready": min,
    "etcd_up": min,
    "heat_up": min,
    "problems": max,
    "etcd_revision": max,
    "etcd_watch_lag_revisions": max,
    "stage_oldest_seconds": max,
    "queue_oldest_seconds": max,
    "paused_scopes": max,
}


@dataclass(frozen=True, slots=True)
class Histogram:
    """`counts[i]`: observations up to BUCKETS[i] and above the one before; the last: above all."""

    counts: tuple[int, ...]
    total: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one family at one moment."""

    name: str
    labels: Labels
    value: float | Histogram


@dataclass(slots=True)
class Meter:
    """What one process has counted. Not for several threads at once."""

    _values: dict[tuple[str, Labels], float] = field(default_factory=dict)
    _histograms: dict[tuple[str, Labels], list[float]] = field(default_factory=dict)

    def count(self, name: str, by: float = 1.0, /, **labels: str) -> None:
        """Add to a counter."""
        key = _key(name, labels)
        self._values[key] = self._values.get(key, 0.0) + by

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge."""
        self._values[_key(name, labels)] = value

    def clear(self, name: str) -> None:
        """Forget all values of a gauge, whatever their labels."""
        for key in [key for key in self._values if key[0] == name]:
            del self._values[key]

    def begin(self, name: str, /, **labels: str) -> None:
        """Show it from the beginning, as 0: a counter that is born with its first event has no increase then."""
        if FAMILIES[name][0] == "histogram":
            self._histograms.setdefault(_key(name, labels), [0.0] * (len(BUCKETS) + 2))
        else:
            self.count(name, 0.0, **labels)

    def observe(self, name: str, seconds: float, /, **labels: str) -> None:
        """Add an observation to a histogram."""
        row = self._histograms.setdefault(_key(name, labels), [0.0] * (len(BUCKETS) + 2))
        row[bisect_left(BUCKETS, seconds)] += 1
        row[-1] += seconds

    def samples(self) -> tuple[Sample, ...]:
        """Everything, as it is now."""
        plain = [Sample(name, labels, value) for (name, labels), value in self._values.items()]
        rows = self._histograms.items()
        shaped = [
            Sample(n, labels, Histogram(tuple(map(int, row[:-1])), row[-1])) for (n, labels), row in rows
        ]
        return (*plain, *shaped)


def _key(name: str, labels: Mapping[str, str]) -> tuple[str, Labels]:
    assert name in FAMILIES, f"{name} is no metric"
    return name, tuple(sorted(labels.items()))


def merge(samples: Iterable[Sample]) -> list[Sample]:
    """Samples of several processes: those of one name and labels are added up, or as `_FOLD` says."""
    values: dict[tuple[str, Labels], float] = {}
    shaped: dict[tuple[str, Labels], Histogram] = {}
    for sample in samples:
        key = (sample.name, sample.labels)
        if isinstance(sample.value, Histogram):
            old = shaped.get(key)
            if old is None:
                shaped[key] = sample.value
            else:
                counts = tuple(a + b for a, b in zip(old.counts, sample.value.counts, strict=True))
                shaped[key] = Histogram(counts, old.total + sample.value.total)
        elif key in values:
            have, fold = values[key], _FOLD.get(sample.name)
            values[key] = fold(have, sample.value) if fold is not None else have + sample.value
        else:
            values[key] = sample.value
    plain = [Sample(name, labels, value) for (name, labels), value in values.items()]
    return plain + [Sample(name, labels, value) for (name, labels), value in shaped.items()]


def lasting(samples: Iterable[Sample]) -> list[Sample]:
    """What must not be forgotten with the process that counted it: a sum that shrinks would look like a restart."""
    return [sample for sample in samples if FAMILIES[sample.name][0] != "gauge"]


def render(samples: Iterable[Sample]) -> str:
    """The text that Prometheus reads."""
    families: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        families[sample.name].append(sample)
    lines: list[str] = []
    for name in FAMILIES:
        if name not in families:
            continue
        kind, text = FAMILIES[name]
        lines += [f"# HELP {PREFIX}{name} {text}", f"# TYPE {PREFIX}{name} {kind}"]
        for sample in sorted(families[name], key=lambda s: s.labels):
            lines.extend(_lines(sample))
    return "\n".join(lines) + "\n"


def _lines(sample: Sample) -> list[str]:
    name, value = PREFIX + sample.name, sample.value
    if not isinstance(value, Histogram):
        return [f"{name}{_labels(sample.labels)} {_number(value)}"]
    lines, sum_so_far = [], 0
    for bound, count in zip((*map(_number, BUCKETS), "+Inf"), value.counts, strict=True):
        sum_so_far += count
        lines.append(f"{name}_bucket{_labels((*sample.labels, ('le', bound)))} {sum_so_far}")
    labels = _labels(sample.labels)
    return [*lines, f"{name}_sum{labels} {_number(value.total)}", f"{name}_count{labels} {sum_so_far}"]


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{_escaped(value)}"' for name, value in labels)
    return "{" + ",".join(pairs) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
