"""Promises that are checked from time to time, and when everything has come to rest."""

from __future__ import annotations

from collections import Counter

from actors.core import keys
from actors.core.machine import State
from actors.core.model import Ref
from actors.core.outcome import DELETE_FAILED, READ_COMPLETE
from actors.core.spans import Spans
from actors.device import LINGER_S, DeviceActor
from actors.heat_pool import HeatActor
from actors.resource import ResourceActor
from actors.shard import Shard
from sim import catalog
from sim.invariants.base import Invariant
from sim.truth import OURS, place, ref_of
from sim.world import World


class Outcomes(Invariant):
    """Crash equivalence: whatever was done to the processes, every resource ends as if nothing had been: built
    at its declared version and watched, or failed for a reason that is true of it."""

    def rested(self) -> None:
        """At rest, after failed resources were declared once more. What needs something that is hopeless now may
        stand built, from what that gave before: `Dependencies` has seen that it gave it."""
        without_hope = self.world.hopeless_now()
        for ref, declared in self.world.api.declared.items():
            self.checks += 1
            state = self.world.truth.state(ref)
            assert state is not None, "the run has converged"
            hopeless = ref in without_hope
            if state.get("error"):
                if not hopeless:
                    self.fail(f"failed without need: {state['error']}", ref)
                continue
            if ref in self.world.workload.hopeless:
                self.fail("was built although it cannot be", ref)
            jobless = ref.type == "memo"
            if jobless != (state["state"]["worker_state"] == READ_COMPLETE):
                self.fail(f"ended as {state['state']['worker_state']}", ref)
            if ref.type in catalog.WITH_STACK and not self.world.truth.stacks[keys.stack_name(ref)].meddled:
                self._stack(ref, declared.version)
            monitoring = self.world.truth.values.get(keys.MONITORING + self.world.path(ref))
            if not catalog.watched(ref.type, declared.body):
                if monitoring is not None:
                    self.fail(f"/monitoring is {monitoring}, and nothing of it is watched", ref)
            else:
                if monitoring is None or monitoring["version"] != declared.version:
                    self.fail(f"/monitoring is {monitoring} at version {declared.version}", ref)
                wrong = {k: v for k, v in monitoring.items() if k != "version" and v != "UP"}
                if wrong:
                    self.fail(f"/monitoring says {wrong}, and all is well", ref)

    def _stack(self, ref: Ref, version: int) -> None:
        living = self.world.stacks_of(ref)
        shown = [(one.stack_status, one.tags) for one in living]
        # a request that was done twice, as nobody recorded the first time in time, may have failed the second time
        well = ("COMPLETE", "FAILED") if ref in self.world.api.operator.asked else ("COMPLETE",)
        if len(living) != 1 or living[0].status not in well or f"v{version}" not in living[0].tags:
            self.fail(f"complete at version {version}, but Heat shows {shown}", ref)


class NoOrphan(Invariant):
    """When everything is deleted and quiet there are no stacks, none of our keys, no actors of resources or
    devices, no drives and no waiters left."""

    def emptied(self) -> None:
        """After everything was deleted."""
        self.checks += 1
        given_up, truth = self._given_up(), self.world.truth
        for one in self.world.living_stacks():
            if not truth.stacks[one.name].meddled and ref_of(one.name) not in given_up:
                self.fail(f"stack {one.name} is left over, {one.stack_status}")
        for key in truth.values:
            root, ref = place(key)
            if root in OURS and (root == keys.JOBS or ref not in given_up):
                self.fail(f"{key} is left over")
        for actor in self.world.host.actors(ResourceActor):
            self.fail(f"its actor {actor._host} is left over", actor.ref)
        for device in self.world.host.actors(DeviceActor):
            watched = [one for one in device._watched if one[0] not in given_up]
            if watched:
                self.fail(f"{device._host} still watches {watched[0]}")
            if not device._watched and self.world.rest_s > LINGER_S:
                self.fail(f"{device._host} is left over")
        self._inside()

    def _given_up(self) -> set[Ref]:
        """What vanished and could not be deleted: it stays, stack and all, with its error, until an operator sees to
        it. What is still declared was marked again, in calm weather, and must go."""
        placed = ((*place(key), value) for key, value in self.world.truth.values.items())
        states = {
            ref: value["state"] for root, ref, value in placed if root == keys.STATE and ref is not None
        }
        failed = {ref for ref, state in states.items() if state["worker_state"] == DELETE_FAILED}
        return failed - self.world.api.declared.keys()

    def rested(self) -> None:
        """Settled resources hold no actor and no drive."""
        self.checks += 1
        self._inside()
        for actor in self.world.host.actors(ResourceActor):
            self.fail("its actor was not passivated", actor.ref)

    def _inside(self) -> None:
        for heat in self.world.host.actors(HeatActor):
            if heat._drives:
                self.fail(f"HeatActor still drives {next(iter(heat._drives.values())).name}")
        for shard in self.world.host.actors(Shard):
            if shard._waiters or shard._queue:
                self.fail(f"Shard still has waiters {shard._waiters} or a queue {list(shard._queue)}")


class Bounds(Invariant):
    """Every queue keeps its limit: live resources per shard, stacks under way per tenant, events ahead per process."""

    def looked(self) -> None:
        """Every few seconds."""
        self.checks += 1
        self._stacks()
        limit = self.world.options.live_resources_max
        for shard in self.world.host.actors(Shard):
            gone = shard._held - shard._live.keys()
            if gone:
                self.fail(f"{sorted(gone)[0]} is held, but has no actor")
            if len(shard._live) - len(shard._held) > 2 * limit + catalog.SLACK:
                self.fail(f"{len(shard._live)} live resources, {len(shard._held)} held; the limit is {limit}")

    def _stacks(self) -> None:
        """What Heat does for us: more than that only after deaths, of which the successors know nothing."""
        limit = self.world.options.heat_stacks_per_tenant_max
        if self.world.faults.hits or len(self.world.controllers) > 1:
            return
        busy = Counter(one.tenant for one in self.world.living_stacks() if one.status == "IN_PROGRESS")
        for tenant, number in busy.items():
            if number > limit:
                self.fail(f"{number} stacks of {tenant} are under way at once; the limit is {limit}")

    def rested(self) -> None:
        """At rest only heartbeats, leases and polls lie ahead."""
        self.checks += 1
        ahead, processes = self.world.host.waiting(), len(self.world.host.processes)
        limit = 50 + 30 * processes + 10 * catalog.DEVICES
        if ahead > limit:
            self.fail(f"{ahead} timers and messages lie ahead at rest, more than {limit}")


class Explained(Invariant):
    """Every unfinished resource has a reason, and what it waits for does not wait for it; a job that it is said to
    wait for stands in etcd or has ended a moment ago; the seconds that are accounted for it grow as time goes by."""

    LAG_S = 5.0

    def __init__(self, world: World) -> None:
        super().__init__(world)
        #: The stretches of each actor at the last look, its time, and what they summed to.
        self._accounts: dict[ResourceActor, tuple[Spans, float, float]] = {}

    def looked(self) -> None:
        """Every few seconds."""
        graph: dict[Ref, tuple[Ref, ...]] = {}
        actors = self.world.host.actors(ResourceActor)
        self._accounted(actors)
        for actor in actors:
            if actor.state in (State.NEW, State.SETTLED):
                continue
            self.checks += 1
            if not actor.reason:
                self.fail(f"is {actor.state} without a reason", actor.ref)
            if actor.state in (State.WAITING, State.PLANNING):
                # who waits for a declaration, or for order alone, does so for a while, and holds nobody longer (10.6)
                graph.setdefault(actor.ref, () if actor.holding.ends else actor.awaits)
                self._true(actor)
        if not self.world.lagging:
            self._acyclic(graph)

    def _accounted(self, actors: list[ResourceActor]) -> None:
        before, self._accounts = self._accounts, {}
        for actor in actors:
            now = actor.now()
            seconds = sum(span.seconds for span in actor.spans.spans) + now - actor._entered
            self._accounts[actor] = (actor.spans, now, seconds)
            spans, then, earlier = before.get(actor, (None, 0.0, 0.0))
            if spans is actor.spans and abs((seconds - earlier) - (now - then)) > 1e-6:
                self.fail(f"accounts for {seconds - earlier:.3f} of {now - then:.3f} s", actor.ref)

    def _true(self, actor: ResourceActor) -> None:
        prefix = "waits for "
        if self.world.lagging or not actor.reason.startswith(prefix):
            return
        job = actor.reason[len(prefix) :].split(" ")[0]
        ended = self.world.truth.ended_jobs.get(job)
        if keys.JOBS + job in self.world.truth.values:
            return
        if ended is None or self.world.host.now - ended > self.LAG_S:
            self.fail(f"says that it {actor.reason}, which is not there", actor.ref)

    def _acyclic(self, graph: dict[Ref, tuple[Ref, ...]]) -> None:
        for start, here in graph.items():
            seen = {start}
            todo = list(here)
            while todo:
                one = todo.pop()
                if one == start:
                    self.fail(f"waits for itself through {[str(r) for r in here]}", start)
                if one not in seen:
                    seen.add(one)
                    todo += graph.get(one, ())
