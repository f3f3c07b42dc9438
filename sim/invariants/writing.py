"""Promises about what is written to etcd, and by whom."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from actors.core import keys
from actors.core.model import Ref
from actors.core.outcome import CREATE_COMPLETED, DELETE_COMPLETED, MODIFY_COMPLETED
from actors.core.ownership import shard_key, vshard
from sim import catalog
from sim.invariants.base import Invariant
from sim.truth import OURS, Write, Writer
from sim.world import World

#: How old what a device said may be when it is published, in seconds: pauses and outages included.
FRESH_S = 400.0


class SingleWriter(Invariant):
    """Every value below /state, /monitoring, /esi-worker, /jobs and /gatewright of a resource is written by the
    bridge that owns the resource at that very revision, and the product never writes a declaration."""

    def revised(self, writes: Sequence[Write], writer: Writer | None) -> None:
        """Each revision."""
        self.checks += 1
        for write in writes:
            if write.root in OURS and write.ref is not None:
                if writer is None:
                    if not write.deleted:
                        self.fail(f"{write.key} was written by nobody we know", write.ref)
                    continue
                owner = self.world.truth.owner(write.ref)
                if owner is None or writer.held.get(owner.key) != owner:
                    self.fail(f"{write.key} was written by {writer.process}; the owner is {owner}", write.ref)
            elif writer is not None and write.root in (keys.CONFIG, keys.TEMPLATES):
                self.fail(f"{writer.process} wrote the declaration {write.key}", write.ref)


class Fencing(Invariant):
    """Every write carries the fence of its resource's owner, and after a newer term's first write no older term
    writes."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._newest: dict[str, int] = {}

    def revised(self, writes: Sequence[Write], writer: Writer | None) -> None:
        """Each revision of ours."""
        if writer is None:
            return
        guards = {write.key: one.guards for one in writer.sets for write in one.writes}
        for write in writes:
            if write.root not in OURS or write.ref is None:
                continue
            self.checks += 1
            fence = shard_key(vshard(str(write.ref)))
            if not any(guard.key == fence and guard.mod_revision for guard in guards.get(write.key, ())):
                self.fail(f"{writer.process} wrote {write.key} without a fence", write.ref)
            held = writer.held.get(fence)
            term = held.create_revision if held is not None else 0
            if term < self._newest.get(fence, 0):
                self.fail(f"term {term} wrote {write.key} after term {self._newest[fence]}", write.ref)
            self._newest[fence] = term


class VersionOrder(Invariant):
    """The version in /state never decreases, never exceeds that in /config, and has one value only."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._last: dict[Ref, int] = {}

    def revised(self, writes: Sequence[Write], writer: Writer | None) -> None:
        """Each /state."""
        for write in writes:
            if write.ref is None:
                continue
            if write.deleted and write.root in (keys.CONFIG, keys.STATE):
                self._last.pop(write.ref, None)  # another life begins
            if write.root != keys.STATE or write.deleted:
                continue
            self.checks += 1
            version, last = write.value["version"], self._last.get(write.ref, 0)
            declared = self.world.truth.config(write.ref)
            if declared is None or write.ref in self.world.api.reborn:
                continue
            self._last[write.ref] = version
            if version > declared["version"]:
                self.fail(f"/state is at {version}, /config at {declared['version']}", write.ref)
            asked = write.ref in self.world.api.operator.asked
            if version == last and write.value != write.old and not asked:
                self.fail(f"/state of version {version} was written twice, with another value", write.ref)
            if version < last:
                self.fail(f"/state went back from version {last} to {version}", write.ref)


class OneOutcome(Invariant):
    """Jobs are recorded only for the version that is declared at that very revision, and what was built is recorded
    as built in the revision that ends its last job: nothing is planned from the past, nothing is finished twice."""

    def revised(self, writes: Sequence[Write], writer: Writer | None) -> None:
        """Each job and each /state."""
        if writer is None:
            return
        ended = {write.ref for write in writes if write.root == keys.JOBS and write.deleted}
        for write in writes:
            ref = write.ref
            if ref is None or write.deleted or ref in self.world.api.reborn:
                continue
            if write.root == keys.JOBS and write.old is None:
                self.checks += 1
                declared, version = self.world.truth.config(ref), write.value[1]["version"]
                if declared is not None and declared["version"] != version:
                    self.fail(f"{write.key} is recorded while {declared['version']} is declared", ref)
            elif write.root == keys.STATE and not write.value["error"]:
                self.checks += 1
                outcome = write.value["state"]["worker_state"]
                if outcome in (CREATE_COMPLETED, MODIFY_COMPLETED) and ref not in ended:
                    self.fail(f"{outcome} of version {write.value['version']} ends no job", ref)


class StateBeforeMonitoring(Invariant):
    """/monitoring at version N is written only while /state stands at N, without an error."""

    def revised(self, writes: Sequence[Write], writer: Writer | None) -> None:
        """Each /monitoring."""
        for write in writes:
            if write.root != keys.MONITORING or write.deleted or write.ref is None:
                continue
            self.checks += 1
            state = self.world.truth.state(write.ref)
            if state is None or state["version"] != write.value["version"] or state.get("error"):
                self.fail(f"/monitoring {write.value} while /state is {state}", write.ref)


class NoLies(Invariant):
    """COMPLETED means that Heat said so for this very version, with these very outputs; a deletion is complete
    only when no stack is left; UP and DOWN mean that the right port of the right device was so lately."""

    def revised(self, writes: Sequence[Write], writer: Writer | None) -> None:
        """Each /state and /monitoring."""
        for write in writes:
            if write.deleted or write.ref is None or writer is None:
                continue
            if write.root == keys.STATE and not write.value.get("error"):
                self._state(write.ref, write.value)
            elif write.root == keys.MONITORING:
                self._monitoring(write.ref, write.value)

    def _state(self, ref: Ref, value: dict[str, object]) -> None:
        self.checks += 1
        state = value["state"]
        assert isinstance(state, dict)
        name, outcome = keys.stack_name(ref), state["worker_state"]
        stack = self.world.truth.stacks[name]
        if outcome == DELETE_COMPLETED:
            living = self.world.stacks_named(name)
            if living and not stack.meddled:
                self.fail(f"deleted, but stack {living[0].id} is {living[0].stack_status}", ref)
        elif "heat_outputs" in state:
            said = {one["output_key"]: one["output_value"] for one in json.loads(state["heat_outputs"])}
            known = stack.outputs.get(f"v{value['version']}", [])
            if said not in known:
                self.fail(f"{outcome} with outputs {said}; Heat gave {known} for that version", ref)
        elif ref.type in catalog.WITH_STACK and outcome.endswith("_COMPLETED"):
            self.fail(f"{outcome} without outputs of its stack", ref)

    def _monitoring(self, ref: Ref, value: dict[str, object]) -> None:
        declared = self.world.truth.values.get(keys.ACCEPTED + self.world.path(ref))
        if declared is None:
            return
        body, since = declared["body"], self.world.host.now - FRESH_S
        for name, status in value.items():
            if name == "version":
                continue
            self.checks += 1
            subject = body["name"] if ref.type == "port" else ""
            if status in ("UP", "DOWN"):
                if not self.world.truth.was(body["ip"], subject, str(status), since):
                    self.fail(f"{name} is said to be {status}; {body['ip']} {subject} was not", ref)
            elif not self.world.faults.hits and status == "FAIL":
                self.fail(f"{name} is said to FAIL, and nothing has failed", ref)


class FewWrites(Invariant):
    """A version of a resource costs at most 5 revisions, attempts and monitoring aside; what faults undo is
    written again a bounded number of times."""

    LIMIT = 5
    WITH_FAULTS = 12

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._count: Counter[tuple[Ref, int]] = Counter()

    def revised(self, writes: Sequence[Write], writer: Writer | None) -> None:
        """Each revision of ours."""
        for write in writes:
            asked = write.root == keys.RECONCILE and not write.deleted
            if asked or (write.root == keys.ACCEPTED and write.deleted):
                for place in [known for known in self._count if known[0] == write.ref]:
                    del self._count[place]
        if writer is None:
            return
        apart = (keys.MONITORING, keys.ATTEMPTS)
        ours = (write.ref for write in writes if write.root in OURS and write.root not in apart)
        limit = self.WITH_FAULTS if self.world.faults.hits else self.LIMIT
        for ref in dict.fromkeys(ours):
            accepted = self.world.accepted(ref) if ref is not None else None
            if ref is None or accepted is None or ref in self.world.api.reborn:
                continue
            self.checks += 1
            place = (ref, accepted["version"])
            self._count[place] += 1
            if self._count[place] > limit:
                self.fail(f"{self._count[place]} revisions for one version", ref)
