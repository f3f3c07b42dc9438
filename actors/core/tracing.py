"""The trace of one resource version: what is known when it ends, as plain spans that any tracing backend can show.

Guarantees: ids follow from the resource and its version alone, so every controller, and every life of one, names the
same trace; the trace id is the number in the version's correlation id (`stackdrive.request_id`), which the log shows
and Heat is told. Stretches do not overlap and leave no gap that could be seen (SEEN_S) from the beginning to the
outcome; children lie within their parents. Bounded. The only free text is the recorded error and the reasons of
retries, which hold no secrets.
Does not know what was before the life of the actor that finished the version: `resumed` says that there was something.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise
from typing import Final

from actors.core.history import ERROR_MAX
from actors.core.model import Ref
from actors.core.spans import Span
from actors.core.stackdrive import request_id

#: What OpenTelemetry's SDK keeps of a span, unless told otherwise.
LINKS_MAX: Final = 128
JOBS_MAX: Final = 16
RETRIES_MAX: Final = 16
#: Stretches that are shorter are no spans: steps of the actor itself, of microseconds.
SEEN_S: Final = 0.001

Attributes = Mapping[str, str | int | bool]


@dataclass(frozen=True, slots=True)
class JobTime:
    """When a job was the one at hand: seconds since 1970. It ends when its result is recorded."""

    id: str
    began_s: float
    ended_s: float


@dataclass(frozen=True, slots=True)
class Retry:
    """When something failed that is tried again (seconds since 1970), and how."""

    at_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Ending:
    """What is known when a version ends. Times in seconds since 1970.

    `stretches` end with the outcome; `depends`: resources whose outputs it read or whose jobs it waited for, at their
    versions; `retried`: how often, of which `retries` are the last ones; `rebuilt`: the revision of the outcome that
    this one replaces, where that was of the same version, else 0; `resumed`: another life had begun it; `declared_s`:
    when the declaration was seen, if that is known.
    """

    ref: Ref
    version: int
    action: str
    outcome: str
    error: str
    tenant: str
    ended_s: float
    stretches: tuple[Span, ...]
    jobs: tuple[JobTime, ...] = ()
    retries: tuple[Retry, ...] = ()
    retried: int = 0
    depends: Mapping[Ref, int] = field(default_factory=dict)
    rebuilt: int = 0
    resumed: bool = False
    declared_s: float | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """The first span of another trace."""

    trace_id: str
    span_id: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class TraceSpan:
    """One span. Ids in hexadecimal, of 16 and 8 bytes; `parent_id` "" for none; times in seconds since 1970;
    `error` "" if all went well; `retries` are its events."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    began_s: float
    ended_s: float
    attributes: Attributes
    error: str = ""
    links: tuple[Link, ...] = ()
    retries: tuple[Retry, ...] = ()


def trace_id(correlation_id: str) -> str:
    """The trace of a resource version, from its correlation id `req-<uuid>`."""
    return correlation_id.removeprefix("req-").replace("-", "")


def span_id(trace: str, *path: object) -> str:
    """The id of a span within a trace; without `path` that of its first span."""
    text = "/".join((trace, *map(str, path)))
    return blake2b(text.encode(), digest_size=8).hexdigest()


def traceparent(correlation_id: str) -> str:
    """The W3C Trace Context header of a request that is made for a resource version."""
    trace = trace_id(correlation_id)
    return f"00-{trace}-{span_id(trace)}-01"


def trace(ending: Ending) -> tuple[TraceSpan, ...]:
    """The spans of a version: the version itself first, its jobs, and the stretches of time in them.

    A version that is built once more is a child of the span that it had the first time, in the same trace.
    """
    ident = trace_id(request_id(ending.ref, ending.version))
    again = ("again", ending.rebuilt) if ending.rebuilt else ()
    root_id, parent_id = span_id(ident, *again), span_id(ident) if again else ""
    common = _identity(ending.ref, ending.version)
    if ending.tenant:
        common["gatewright.tenant"] = ending.tenant
    began_s = ending.ended_s - sum(one.seconds for one in ending.stretches)
    first_s = began_s if ending.declared_s is None else min(began_s, ending.declared_s)
    whole: dict[str, str | int | bool] = {
        "gatewright.action": ending.action,
        "gatewright.outcome": ending.outcome,
        "gatewright.retries": ending.retried,
        "gatewright.request_id": request_id(ending.ref, ending.version),
        "gatewright.resumed": ending.resumed,
    }
    links = tuple(_link(ref, version) for ref, version in [*ending.depends.items()][:LINKS_MAX])
    error, name = ending.error[:ERROR_MAX], f"{ending.action} {ending.ref.type}"
    times = (first_s, ending.ended_s)
    made = [
        TraceSpan(ident, root_id, parent_id, name, *times, common | whole, error, links, ending.retries),
    ]
    jobs = {}
    for number, job in enumerate(ending.jobs):
        action, _, rest = job.id.partition(":")
        jobs[job] = span_id(ident, *again, "job", number)
        name = f"{rest.partition(':')[0].removesuffix('_worker')} {action}"
        failed = error if job is ending.jobs[-1] else ""
        attributes = common | {"gatewright.job": job.id}
        times = (max(first_s, job.began_s), min(ending.ended_s, job.ended_s))
        made.append(TraceSpan(ident, jobs[job], root_id, name, *times, attributes, failed))
    for number, (stretch, times, during) in enumerate(_pieces(ending, first_s, began_s)):
        attributes = common | {"gatewright.stage": stretch.kind}
        blocked = [_link(*one) for one in ending.depends.items() if str(one[0]) == stretch.blocker]
        if stretch.blocker:
            attributes |= {"gatewright.waits_for": stretch.blocker}
        ids = span_id(ident, *again, "stretch", number), jobs[during] if during is not None else root_id
        made.append(TraceSpan(ident, *ids, stretch.kind, *times, attributes, "", tuple(blocked)))
    return tuple(made)


def _pieces(
    ending: Ending, first_s: float, began_s: float
) -> Iterator[tuple[Span, tuple[float, float], JobTime | None]]:
    """The stretches with their times, cut where one job ends and the next begins, and the job that each is in."""
    if began_s - first_s >= SEEN_S:
        yield Span("queued", began_s - first_s), (first_s, began_s), None
    at_s = began_s
    for number, stretch in enumerate(ending.stretches, 1):
        until_s = at_s + stretch.seconds if number < len(ending.stretches) else ending.ended_s
        inside = {border for job in ending.jobs for border in (job.began_s, job.ended_s)}
        cuts = sorted(border for border in inside if at_s < border < until_s)
        for since_s, to_s in pairwise([at_s, *cuts, until_s]):
            middle_s = (since_s + to_s) / 2
            if to_s - since_s >= SEEN_S:
                job = next((job for job in ending.jobs if job.began_s <= middle_s <= job.ended_s), None)
                yield stretch, (since_s, to_s), job
        at_s = until_s


def _identity(ref: Ref, version: int) -> dict[str, str | int | bool]:
    return {"gatewright.type": ref.type, "gatewright.id": ref.id, "gatewright.version": version}


def _link(ref: Ref, version: int) -> Link:
    trace = trace_id(request_id(ref, version))
    return Link(trace, span_id(trace), _identity(ref, version))
