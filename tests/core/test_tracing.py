"""The trace of a version, from what is known when it ends."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.model import Ref
from actors.core.spans import SPANS_MAX, Span
from actors.core.stackdrive import request_id
from actors.core.tracing import (
    JOBS_MAX,
    LINKS_MAX,
    SEEN_S,
    Ending,
    JobTime,
    Retry,
    TraceSpan,
    span_id,
    trace,
    trace_id,
    traceparent,
)

PORT, SUBNET = Ref("port", "p1"), Ref("subnet", "s1")
HEAT = "create:heat_worker:port:p1:3:abcde"
MONITORING = "create:monitoring_worker:port:p1:3:fghij"
#: Planned in 0.5 s, waited 2 s, built in 4 s with a failure of 1 s between, seen in 1 s, recorded.
ENDED = Ending(
    PORT,
    3,
    "create",
    "CREATE_COMPLETED",
    "",
    "t1",
    1010.0,
    (
        Span("own", 0.5),
        Span("waiting", 2.0, str(SUBNET)),
        Span("heat", 3.0),
        Span("backing-off", 1.0),
        Span("heat", 1.0),
        Span("own", 0.5),
        Span("device", 1.0),
        Span("own", 0.5),
    ),
    jobs=(JobTime(HEAT, 1001.0, 1008.25), JobTime(MONITORING, 1008.25, 1010.0)),
    retries=(Retry(1006.0, "Timeout: no answer"),),
    retried=1,
    depends={SUBNET: 7, Ref("network", "n1"): 1},
)


def shape(spans: tuple[TraceSpan, ...]) -> dict[str, list[tuple[str, float, float]]]:
    """Name of the parent → its children with the seconds at which they begin and end."""
    names = {span.span_id: span.name for span in spans}
    found: dict[str, list[tuple[str, float, float]]] = {}
    for span in spans:
        row = (span.name, span.began_s - 1000.0, span.ended_s - 1000.0)
        found.setdefault(names.get(span.parent_id, span.parent_id), []).append(row)
    return found


def test_a_version_becomes_a_tree() -> None:
    """The version holds its jobs, those hold their stretches, and a stretch that two jobs share is cut."""
    assert shape(trace(ENDED)) == {
        "": [("create port", 0.5, 10.0)],
        "create port": [("heat create", 1.0, 8.25), ("monitoring create", 8.25, 10.0), ("own", 0.5, 1.0)],
        "heat create": [
            ("waiting", 1.0, 3.0),
            ("heat", 3.0, 6.0),
            ("backing-off", 6.0, 7.0),
            ("heat", 7.0, 8.0),
            ("own", 8.0, 8.25),
        ],
        "monitoring create": [("own", 8.25, 8.5), ("device", 8.5, 9.5), ("own", 9.5, 10.0)],
    }


def test_the_trace_is_named_by_the_version_alone() -> None:
    """The trace id is the number in the correlation id, and the ids of spans do not depend on when and where."""
    digits = request_id(PORT, 3).removeprefix("req-").replace("-", "")
    first, later = trace(ENDED), trace(replace(ENDED, ended_s=5000.0, resumed=True, error="no"))
    assert {span.trace_id for span in first + later} == {digits}
    assert first[0].span_id == later[0].span_id == span_id(digits)
    assert len({span.span_id for span in first}) == len(first)
    assert trace_id(request_id(PORT, 4)) != digits
    assert trace_id(request_id(Ref("port", "p2"), 3)) != digits


def test_what_was_depended_on_is_linked() -> None:
    """The version links to the first spans of the versions that it used; a wait to the one that it was for."""
    root, *rest = trace(ENDED)
    theirs = trace(replace(ENDED, ref=SUBNET, version=7))[0]
    (wait,) = [span for span in rest if span.name == "waiting"]
    assert [(link.trace_id, link.span_id) for link in wait.links] == [(theirs.trace_id, theirs.span_id)]
    assert wait.links[0] in root.links
    assert len(root.links) == 2
    assert wait.attributes["gatewright.waits_for"] == "subnet:s1"


def test_attributes_and_retries() -> None:
    """The root says what it is about and how it ended; a retry is an event; all spans name the resource."""
    root, *rest = trace(ENDED)
    assert root.attributes == {
        "gatewright.type": "port",
        "gatewright.id": "p1",
        "gatewright.version": 3,
        "gatewright.tenant": "t1",
        "gatewright.action": "create",
        "gatewright.outcome": "CREATE_COMPLETED",
        "gatewright.retries": 1,
        "gatewright.request_id": request_id(PORT, 3),
        "gatewright.resumed": False,
    }
    assert root.retries == ENDED.retries
    assert all(span.attributes["gatewright.id"] == "p1" for span in rest)
    assert [span.attributes.get("gatewright.job") for span in rest[:2]] == [HEAT, MONITORING]
    assert {span.attributes["gatewright.stage"] for span in rest[2:]} == {
        "own",
        "waiting",
        "heat",
        "backing-off",
        "device",
    }


def test_a_failure_is_the_error_of_the_version_and_of_its_last_job() -> None:
    """Status and text of an error stand where it ended, cut to the length that the history keeps."""
    root, heat, monitoring, *rest = trace(replace(ENDED, error="x" * 1000))
    assert root.error == monitoring.error == "x" * 500
    assert not any(span.error for span in (heat, *rest))


def test_the_time_from_the_declaration_on_counts() -> None:
    """The version begins when it was declared, the difference is `queued`; a later declaration is another's."""
    root, *rest = trace(replace(ENDED, declared_s=1000.25))
    assert root.began_s == 1000.25
    assert [(s.began_s, s.ended_s) for s in rest if s.name == "queued"] == [(1000.25, 1000.5)]
    late = trace(replace(ENDED, declared_s=1004.0))
    assert late == trace(ENDED)


def test_the_same_version_once_more_is_a_child_of_the_first_time() -> None:
    """A rebuilt version stays in its trace, under the span it had the first time, with ids of its own."""
    first, again = trace(ENDED), trace(replace(ENDED, rebuilt=42))
    assert again[0].parent_id == first[0].span_id
    assert {s.trace_id for s in again} == {first[0].trace_id}
    assert not {s.span_id for s in again} & {s.span_id for s in first}
    assert {s.span_id for s in again} != {s.span_id for s in trace(replace(ENDED, rebuilt=43))}


def test_the_header_for_heat() -> None:
    """Heat is told the trace and its first span in the form of W3C Trace Context."""
    root = trace(ENDED)[0]
    header = traceparent(request_id(PORT, 3))
    assert header == f"00-{root.trace_id}-{root.span_id}-01"
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", header)


STRETCHES = st.lists(
    st.tuples(st.sampled_from(["own", "waiting", "heat", "device"]), st.floats(0, 50)),
    min_size=1,
    max_size=SPANS_MAX,
)


@given(STRETCHES, st.lists(st.floats(0, 1), max_size=JOBS_MAX), st.none() | st.floats(900, 2000))
def test_children_lie_within_their_parents_and_fill_them(
    rows: list[tuple[str, float]], borders: list[float], declared_s: float | None
) -> None:
    """Whatever the stretches and jobs are, spans nest, and what is left out of a version could not be seen."""
    total = sum(seconds for _, seconds in rows)
    times = [2000.0 - total * (1 - border) for border in sorted(borders)]
    jobs = tuple(
        JobTime(f"create:heat_worker:port:p1:3:{number}", *pair)
        for number, pair in enumerate(pairwise(times))
    )
    stretches = tuple(Span(*row) for row in rows)
    ending = replace(ENDED, ended_s=2000.0, stretches=stretches, jobs=jobs, declared_s=declared_s)
    spans = trace(ending)
    known = {span.span_id: span for span in spans}
    root = spans[0]
    for span in spans[1:]:
        parent = known[span.parent_id]
        assert parent.began_s - 1e-6 <= span.began_s <= span.ended_s <= parent.ended_s + 1e-6
    leaves = [span for span in spans if "gatewright.stage" in span.attributes]
    pieces = len(rows) + 2 * len(jobs) + 1
    assert len(leaves) <= pieces
    left_out = (root.ended_s - root.began_s) - sum(span.ended_s - span.began_s for span in leaves)
    assert left_out == pytest.approx(0.0, abs=pieces * SEEN_S)
    in_order = sorted(leaves, key=lambda span: span.began_s)
    assert all(a.ended_s <= b.began_s + 1e-6 for a, b in pairwise(in_order))


def test_links_are_bounded() -> None:
    """A version that depends on very many links to as many as a tracing backend keeps."""
    many = {Ref("port", str(number)): 1 for number in range(1000)}
    assert len(trace(replace(ENDED, depends=many))[0].links) == LINKS_MAX
