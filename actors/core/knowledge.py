"""What is known of a whole installation, for answering people: the mirror, the histories, and live reports.

Guarantees: everything but `live` comes from etcd, so the same answers can be given without any controller;
`live` only ever adds what etcd cannot know (what a job is doing at this moment). Decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from actors.core import keys, pauses
from actors.core.history import DRIFT
from actors.core.history import read as read_history
from actors.core.job_ids import resource_of
from actors.core.json_text import parse
from actors.core.keys import BadValue, ResourceType
from actors.core.limiting import CpuLimit, unlimited
from actors.core.lines import Line, read_line
from actors.core.members import whole
from actors.core.model import Action, Handler, Job, Json, Ref
from actors.core.ordering import Held, try_plan
from actors.core.outcome import DELETE_FAILED, Realised, choose_action
from actors.core.ownership import vshard
from actors.core.pauses import Pause
from actors.core.plan import PlanError
from actors.core.recorded_job import RecordedJob
from actors.core.resume import in_order
from actors.core.stages import FINAL
from actors.core.world import World

#: Below these, besides what a World mirrors.
EXTRA = (keys.HISTORY, keys.ATTEMPTS)
_JOB_ID = re.compile(r"\b(?:create|modify|delete|logical_delete):\w+_worker:(\w+):([^:\s]+):\d+:\w{5}\b")


@dataclass(frozen=True, slots=True)
class Live:
    """What a running controller says of one resource. `in_stage_s`: seconds so far."""

    version: int
    stage: str
    reason: str
    in_stage_s: float
    error: str = ""
    monitoring: Mapping[str, str] = field(default_factory=dict)
    awaits: tuple[Ref, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Status:
    """Where one resource is. `since_s`: seconds in an unfinished stage, None if that is not known; `awaits`: whom
    it waits for; `live`: whether a controller says so."""

    ref: Ref
    version: int
    stage: str
    reason: str
    since_s: float | None = None
    awaits: tuple[Ref, ...] = ()
    error: str = ""
    live: bool = False


class Knowledge:
    """The mirror and what stands beside it. Fed like a World."""

    def __init__(
        self, types: Iterable[ResourceType], now_s: float = 0.0, limited: CpuLimit = unlimited
    ) -> None:
        self.world = World(types, limited)
        self.now_s = now_s
        self.live: Mapping[Ref, Live] = {}
        #: Whether a controller was asked: what it did not tell of is as etcd holds it.
        self.asked = False
        #: Virtual shard → the controller that owns it; None: that was not looked at.
        self.owners: Mapping[int, str] | None = None
        self._histories: dict[Ref, bytes] = {}
        self._attempts: dict[Ref, bytes] = {}
        self._jobs: dict[str, bytes] = {}
        self._pauses: dict[str, Pause] = {}

    def put(self, key: str, value: bytes, mod_revision: int, create_revision: int = 0) -> None:
        """Take over one value."""
        extra = self._extra(key)
        if extra is not None:
            ref = self.world.types.ref(key, extra[0])
            if ref is not None:
                extra[1][ref] = value
            return
        if key.startswith(keys.JOBS) and keys.is_text(key):
            self._jobs[key] = value
        if key.startswith(keys.PAUSE) and keys.is_text(key):
            scope = key[len(keys.PAUSE) :]
            self._pauses[scope] = pauses.read(scope, value)
        self.world.put(key, value, mod_revision, create_revision)

    def delete(self, key: str) -> None:
        """Forget one key."""
        extra = self._extra(key)
        if extra is not None:
            ref = self.world.types.ref(key, extra[0])
            if ref is not None:
                extra[1].pop(ref, None)
            return
        self._jobs.pop(key, None)
        self._pauses.pop(key[len(keys.PAUSE) :] if key.startswith(keys.PAUSE) else "", None)
        self.world.delete(key)

    def _extra(self, key: str) -> tuple[str, dict[Ref, bytes]] | None:
        if key.startswith(keys.HISTORY):
            return keys.HISTORY, self._histories
        return (keys.ATTEMPTS, self._attempts) if key.startswith(keys.ATTEMPTS) else None

    # ------------------------------------------------------------------------------------------- reading

    def name(self, ref: Ref) -> str:
        """The name that its body gives, or ""."""
        name = (self.world.body(ref) or {}).get("name")
        return name if isinstance(name, str) else ""

    def tenant(self, ref: Ref) -> str:
        """The tenant that its body gives, or ""."""
        return str((self.world.body(ref) or {}).get("tenant_id") or "")

    def refs(self) -> list[Ref]:
        """Everything that is declared, or of which something is left over."""
        return list(dict.fromkeys([*self.world.refs(), *self.world.leftovers()]))

    def jobs(self, ref: Ref) -> tuple[Job, ...]:
        """The unfinished jobs, in the order they run; unreadable ones are left out."""
        found = []
        for light in self.world.jobs_of(ref):
            key = keys.JOBS + light.id
            try:
                found.append((keys.decode_job(key, self._jobs[key]), light.revision))
            except (BadValue, KeyError):
                continue
        return tuple(job for job, _ in in_order(found))

    def unowned(self, ref: Ref) -> bool:
        """Whether no controller owns it."""
        return self.owners is not None and vshard(str(ref)) not in self.owners

    def monitored(self, ref: Ref) -> dict[str, Json]:
        """What `/monitoring` says of it, without the version; empty if there is nothing that can be read."""
        raw = self.world.monitoring(ref)
        try:
            value = parse(raw) if raw is not None else {}
        except ValueError:
            return {}
        return {k: v for k, v in value.items() if k != "version"} if isinstance(value, dict) else {}

    def monitoring(self, ref: Ref) -> Mapping[str, Json]:
        """What monitoring sees: as a controller says, else as etcd holds it."""
        told = self.live.get(ref)
        return told.monitoring if told is not None and told.monitoring else self.monitored(ref)

    def drift(self, ref: Ref) -> dict[str, str]:
        """Its targets that are not seen as they should be: name → what is wanted. Only of what is built."""
        registered, seen = self.world.targets(ref), self.monitoring(ref)
        if registered is None or self.world.needs_work(ref):
            return {}
        return {t.name: t.wanted for t in registered[1] if seen.get(t.name, t.wanted) != t.wanted}

    def pauses(self) -> tuple[Pause, ...]:
        """Everything that is paused, by scope."""
        return tuple(pause for _, pause in sorted(self._pauses.items()))

    def attempts(self, ref: Ref) -> int:
        """How often the present version was tried again."""
        try:
            recorded = parse(self._attempts.get(ref, b"{}"))
        except ValueError:
            return 0
        return whole(recorded.get("attempts")) if isinstance(recorded, dict) else 0

    def history(self, ref: Ref) -> tuple[Line, ...]:
        """The outcomes in its history, oldest first."""
        return tuple(line for line in self.events(ref) if line.action != DRIFT)

    def events(self, ref: Ref) -> tuple[Line, ...]:
        """All lines of its history, oldest first."""
        raw = self._histories.get(ref)
        return tuple(read_line(ref, line) for line in read_history(raw)) if raw else ()

    def last(self, ref: Ref, version: int) -> Line | None:
        """How that version ended, if it is the last that did."""
        lines = self.history(ref)
        return lines[-1] if lines and lines[-1].version == version else None

    def histories(self) -> Iterable[Ref]:
        """Every resource with a history."""
        return self._histories.keys()

    def status(self, ref: Ref) -> Status:
        """Where it is: as its controller says, else as far as etcd tells."""
        told, recorded = self.live.get(ref), self._recorded(ref)
        if told is None or told.version != recorded.version:
            return recorded
        if told.stage in FINAL or told.stage == "paused":
            return replace(recorded, live=True) if recorded.stage == told.stage else recorded
        # its controller names of many users only the first that is in the way
        more = recorded.awaits if told.stage == recorded.stage == "waiting" else ()
        awaits = tuple(dict.fromkeys((*told.awaits, *more)))
        return Status(
            ref,
            told.version,
            told.stage,
            without_job_ids(told.reason),
            told.in_stage_s,
            awaits,
            told.error,
            live=True,
        )

    def _recorded(self, ref: Ref) -> Status:
        world = self.world
        declared, outcome = world.declaration(ref), world.outcome(ref)
        version = declared.version if declared is not None else (outcome.version if outcome else 0)
        jobs = self.jobs(ref)
        if not world.needs_work(ref):
            if outcome is None:
                return Status(ref, version, "unknown", "nothing is recorded of it")
            stage, reason = "failed" if outcome.error else "settled", settled(world, ref)
            return Status(ref, version, stage, reason, error=outcome.error)
        scope = world.paused(ref)
        if scope:
            return Status(ref, version, "paused", f"paused ({scope})")
        if jobs:
            return self._begun(ref, jobs)
        return self._unplanned(ref, version)

    def _begun(self, ref: Ref, jobs: tuple[Job, ...]) -> Status:
        job, attempts = jobs[0], self.attempts(ref)
        live = [d for d in job.dependency if self.world.live(d) and f":{ref}:" not in d]
        awaits = tuple(dict.fromkeys(r for r in map(ref_of_job, live) if r is not None))
        if awaits:
            return Status(ref, job.version, "waiting", f"waits for {awaits[0]}", awaits=awaits)
        if attempts:
            reason = f"{what(job)} was tried {attempts} times and is tried again"
            return Status(ref, job.version, "backing-off", reason)
        return Status(ref, job.version, "running", what(job))

    def _unplanned(self, ref: Ref, version: int) -> Status:
        world, declared = self.world, self.world.declaration(ref)
        if declared is None:
            left = world.outcome(ref)
            if left is not None and left.worker_state == DELETE_FAILED and not world.requested(ref):
                return Status(ref, left.version, "failed", settled(world, ref), error=left.error)
            reason = "is not declared any more; what is left of it is to be removed"
            return Status(ref, version, "queued", reason)
        done, built = world.outcome(ref), world.targets(ref) is not None
        realised = Realised(done.version, done.worker_state) if done is not None else None
        action = choose_action(declared, realised, built=built) or Action.MODIFY
        try:
            made = try_plan(world, declared, None, action)
        except PlanError as error:
            return Status(ref, version, "planning", error.failure.text)
        if isinstance(made, Held):
            return Status(ref, version, "planning", made.reason, awaits=made.awaits)
        return Status(ref, version, "queued", "is ready to be begun; no controller has recorded its jobs yet")


def settled(world: World, ref: Ref) -> str:
    """What people see of a resource that is built: its outcome, and what was found of its stack since."""
    outcome, drift = world.outcome(ref), world.drift(ref)
    state = outcome.worker_state if outcome is not None else ""
    return f"{state}; {drift.text}" if drift is not None else state


def what(job: Job | RecordedJob) -> str:
    """What a running job does, for people."""
    if job.handler is Handler.HEAT:
        return f"Heat {_VERBS[job.action]} stack {keys.stack_name(job.ref)}"
    verb = "stops being" if job.action is not Action.CREATE else "is being"
    return f"what Heat built {verb} looked at on its device"


_VERBS = {
    Action.CREATE: "creates",
    Action.MODIFY: "updates",
    Action.DELETE: "deletes",
    Action.LOGICAL_DELETE: "deletes",
}


def without_job_ids(text: str) -> str:
    """`waits for port:327f…` instead of `waits for create:heat_worker:port:327f…:1:ornfc`."""
    return _JOB_ID.sub(r"\1:\2", text)


def ref_of_job(job_id: str) -> Ref | None:
    """The resource of a job id (contract 2.3); None for what is no job id."""
    found = resource_of(job_id)
    return found[0] if found is not None else None


def ref_of(text: str) -> Ref | None:
    """The inverse of `str(ref)`."""
    kind, colon, rid = text.partition(":")
    return Ref(kind, rid) if colon and kind and rid else None
