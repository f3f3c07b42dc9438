"""Traces: each version that ends is told once, whoever finishes it, and only where that is wanted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from actors import traced
from actors.core import keys
from actors.core.model import Ref
from actors.core.options import Options
from actors.core.stackdrive import request_id
from actors.core.tracing import SEEN_S, TraceSpan, span_id, trace_id
from actors.messages import Boot, Wiring
from actors.ports import SpanSink
from actors.resource import ResourceActor
from actors.supervisor import Supervisor
from config.monitor_types import load_monitor_types
from sim.heat.engine import Fate
from tests.actors.rig import TYPES
from tests.actors.trial import CHAIN, LOGICAL_PORT, NETWORK, PORT, SUBNET, SWITCH, Trial, down
from tests.actors.trouble import error_of, fate_of


@dataclass
class Kept:
    """A collector that keeps what it is offered."""

    offered: list[tuple[TraceSpan, ...]] = field(default_factory=list)

    def offer(self, spans: tuple[TraceSpan, ...]) -> None:
        """Keep it."""
        self.offered.append(spans)

    def counters(self) -> Mapping[str, int]:
        """All was taken."""
        return {"exported": sum(map(len, self.offered)), "dropped": 0}

    def close(self) -> None:
        """Nothing to end."""


@dataclass
class Wanted(Trial):
    """A controller of which traces are wanted, and no HTTP port."""

    options: Options = field(
        default_factory=lambda: Options(tuple(TYPES), monitor_types=load_monitor_types(), traces=True)
    )
    kept: Kept = field(default_factory=Kept)

    def start(self, owner: str = "rig") -> None:
        """As ever, with the collector."""
        self.root = self.host.spawn(Supervisor)

        def spans(_controller: str) -> SpanSink:
            return self.kept

        wiring = Wiring(self.store, lambda: self.stacks, lambda: self.agent, spans=spans)
        self.host.tell(self.root, Boot(self.options, wiring, owner))

    def roots(self, ref: Ref) -> list[TraceSpan]:
        """The first spans that were told of a resource."""
        first = [spans[0] for spans in self.kept.offered]
        return [span for span in first if span.attributes["gatewright.id"] == ref.id]

    def trace(self, ref: Ref) -> tuple[TraceSpan, ...]:
        """The only trace that was told of it."""
        (found,) = [spans for spans in self.kept.offered if spans[0] in self.roots(ref)]
        return found


@pytest.fixture
def trial() -> Iterator[Wanted]:
    """A controller over an empty etcd."""
    with Wanted() as made:
        yield made


def test_each_version_is_told_once_and_as_its_history_has_it(trial: Wanted) -> None:
    """One trace per resource; its seconds and stretches are those of the history, and what it waited for is linked."""
    trial.declare_example()
    trial.settle()
    assert len(trial.kept.offered) == len(CHAIN)
    for ref in CHAIN:
        root, *rest = trial.trace(ref)
        (line,) = trial.at(keys.HISTORY, ref)["lines"]
        assert root.trace_id == trace_id(request_id(ref, 1))
        assert root.attributes["gatewright.outcome"] == line["outcome"]
        assert root.attributes["gatewright.resumed"] is False
        assert root.error == ""
        queued = sum(span.ended_s - span.began_s for span in rest if span.name == "queued")
        seconds = sum(row[1] for row in line["spans"])
        assert root.ended_s - root.began_s - queued == pytest.approx(seconds, abs=0.05)
        for kind in ("heat", "device", "waiting"):
            told = sum(span.ended_s - span.began_s for span in rest if span.name == kind)
            assert told == pytest.approx(
                sum(row[1] for row in line["spans"] if row[0] == kind), abs=len(rest) * SEEN_S
            )
    links = {link.trace_id for link in trial.trace(PORT)[0].links}
    assert trace_id(request_id(SUBNET, 1)) in links
    waits = [span for span in trial.trace(PORT) if span.name == "waiting" and span.links]
    assert waits
    assert all(link.trace_id in links for span in waits for link in span.links)


def test_jobs_are_spans(trial: Wanted) -> None:
    """Each job of the workflow is a child of the version, with Heat's and the device's time in its own."""
    trial.declare_example()
    trial.settle()
    root, *rest = trial.trace(LOGICAL_PORT)
    jobs = [span for span in rest if "gatewright.job" in span.attributes]
    assert [job.name for job in jobs] == ["heat create", "monitoring create"]
    assert all(job.parent_id == root.span_id for job in jobs)
    by_id = {job.span_id: job.name for job in jobs}
    parents = {span.name: by_id.get(span.parent_id) for span in rest if span.name in ("heat", "device")}
    assert parents["heat"] == "heat create"
    assert parents.get("device", "monitoring create") == "monitoring create"


@pytest.mark.parametrize("role", ["all", "shard"])
def test_a_restart_in_the_middle_leads_to_the_same_trace(trial: Wanted, role: str) -> None:
    """Killed while Heat builds: who goes on tells the version under the same ids, and that it was resumed."""
    trial.declare_example()
    trial.host.advance(0.05)
    while trial.row(SUBNET).stage != "running":
        trial.host.advance(0.05)
    assert {type(actor) for actor in trial.inside(ResourceActor)} == {traced.ResourceActor}
    trial.kill(role)
    trial.settle()
    (root,) = trial.roots(SUBNET)
    assert root.trace_id == trace_id(request_id(SUBNET, 1))
    assert root.span_id == span_id(root.trace_id)
    assert root.attributes["gatewright.resumed"] is True
    assert trial.roots(LOGICAL_PORT)[0].attributes["gatewright.outcome"] == "CREATE_COMPLETED"
    names = [(spans[0].trace_id, spans[0].span_id) for spans in trial.kept.offered]
    assert len(names) == len(set(names)) == len(CHAIN)


def test_failures_are_errors_and_link_to_their_cause(trial: Wanted) -> None:
    """The text of `/state` is the status of the trace; who failed by a dependency links to the version of that."""
    fate_of(trial, NETWORK, Fate.FAIL)
    trial.declare_example()
    trial.settle()
    for ref in (NETWORK, SUBNET, PORT):
        assert trial.roots(ref)[0].error == error_of(trial, ref)[:500]
        assert trial.roots(ref)[0].attributes["gatewright.outcome"] == "CREATE_FAILED"
    assert trace_id(request_id(NETWORK, 1)) in {link.trace_id for link in trial.roots(SUBNET)[0].links}
    assert trial.roots(SWITCH)[0].error == ""


def test_retries_are_told(trial: Wanted) -> None:
    """What was tried again is counted, with when and why, and the time until then is a stretch."""
    refused = iter([down(), down()])
    create = trial.stacks.create

    def once_refused(spec: object) -> str:
        error = next(refused, None)
        if error is not None:
            raise error
        return create(spec)  # type: ignore[arg-type]

    trial.stacks.create = once_refused  # type: ignore[method-assign]
    trial.declare_example((NETWORK,))
    trial.settle()
    root, *rest = trial.trace(NETWORK)
    assert root.attributes["gatewright.retries"] == 2
    assert len(root.retries) == 2
    assert all(re.fullmatch("Unreachable: .*connection refused", retry.reason) for retry in root.retries)
    assert all(root.began_s <= retry.at_s <= root.ended_s for retry in root.retries)
    assert sum(span.name == "backing-off" for span in rest) == 2


def test_versions_and_repetitions(trial: Wanted) -> None:
    """A new version is a trace of its own; the same one built once more is a child in the trace that it has."""
    trial.declare_example((NETWORK,))
    trial.settle()
    trial.change(NETWORK, 2, name="other")
    trial.host.advance(1)
    trial.settle()
    trial.put(keys.RECONCILE + TYPES.path(NETWORK), {"by": "me"})
    trial.host.advance(1)
    trial.settle()
    first, second, again = trial.roots(NETWORK)
    assert [root.attributes["gatewright.version"] for root in (first, second, again)] == [1, 2, 2]
    assert first.trace_id != second.trace_id == again.trace_id
    assert (second.parent_id, again.parent_id) == ("", second.span_id)
    assert again.span_id != second.span_id


def test_a_version_that_was_overtaken_is_none(trial: Wanted) -> None:
    """A newer version wins while the older one waits: one trace, of the newer one, with its jobs only."""
    trial.declare_example((*CHAIN[:4], PORT))
    trial.host.advance(0.05)
    while trial.row(PORT).stage != "waiting":
        trial.host.advance(0.05)
    trial.change(PORT, 2, name="newer")
    trial.settle()
    root, *rest = trial.trace(PORT)
    assert root.attributes["gatewright.version"] == 2
    jobs = [str(span.attributes["gatewright.job"]) for span in rest if "gatewright.job" in span.attributes]
    assert [job.split(":")[:2] for job in jobs] == [
        ["create", "heat_worker"],
        ["create", "monitoring_worker"],
    ]
    assert all(job.split(":")[4] == "2" for job in jobs)


def test_a_trace_that_cannot_be_made_harms_nothing(
    trial: Wanted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The version settles, the log names it, and all others are told."""
    rebuilt = traced.ResourceActor._rebuilt

    def broken(actor: traced.ResourceActor) -> int:
        if actor.ref == NETWORK:
            raise RuntimeError("broken")
        return rebuilt(actor)

    monkeypatch.setattr(traced.ResourceActor, "_rebuilt", broken)
    trial.declare_example((NETWORK, SUBNET))
    trial.settle()
    assert (trial.roots(NETWORK), len(trial.roots(SUBNET))) == ([], 1)
    assert f"{NETWORK} version 1 has no trace" in caplog.text


def test_a_deletion_is_told(trial: Wanted) -> None:
    """A version that is deleted has a trace that says so, and forgetting what was deleted has none."""
    trial.declare_example((NETWORK,))
    trial.settle()
    trial.change(NETWORK, 2, marked=True)
    trial.host.advance(1)
    trial.settle()
    trial.remove(NETWORK)
    trial.host.advance(5)
    assert [root.name for root in trial.roots(NETWORK)] == ["create network", "logical_delete network"]
    assert trial.roots(NETWORK)[1].attributes["gatewright.outcome"] == "DELETE_COMPLETED"


def test_where_no_traces_are_wanted_nothing_is_noted() -> None:
    """By default resources are driven by the bare actor, and no process is there to be told."""
    with Trial() as plain:
        plain.declare_example()
        plain.host.advance(0.3)
        assert {type(actor) for actor in plain.inside(ResourceActor)} == {ResourceActor}
        assert plain.host.actor(plain.root, Supervisor)._of("telemetry") == ()
