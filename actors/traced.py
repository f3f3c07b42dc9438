"""A ResourceActor that also tells of each version when it ends, for traces. Used only where traces are wanted.

Guarantees: the actor behaves as the bare one; one message per outcome, at most once, so a version whose outcome was
written but not confirmed (its process died right then) has no trace; what is kept meanwhile is bounded.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from actors import resource
from actors.core import keys
from actors.core.history import ERROR_MAX
from actors.core.job_ids import resource_of
from actors.core.machine import Event, State
from actors.core.model import Job, Ref
from actors.core.plan import Jobless
from actors.core.tracing import JOBS_MAX, LINKS_MAX, RETRIES_MAX, Ending, JobTime, Retry
from actors.messages.telemetry import VersionEnded
from actors.ports import WriteSet


@dataclass(slots=True)
class Trail:
    """What one version leaves behind, besides its stretches. `job`: the one at hand; `resumed` None: not known yet."""

    job: str = ""
    jobs: deque[JobTime] = field(default_factory=lambda: deque(maxlen=JOBS_MAX))
    depends: dict[Ref, int] = field(default_factory=dict)
    retries: deque[Retry] = field(default_factory=lambda: deque(maxlen=RETRIES_MAX))
    retried: int = 0
    resumed: bool | None = None
    outcome: str = ""

    def worked(self, since_s: float, until_s: float) -> None:
        """The job was at hand from then to then."""
        if self.jobs and self.jobs[-1].id == self.job:
            since_s = self.jobs.pop().began_s
        self.jobs.append(JobTime(self.job, since_s, until_s))

    def depends_on(self, ref: Ref, version: int) -> None:
        """It used what that version made, or waited for it."""
        if len(self.depends) < LINKS_MAX:
            self.depends.setdefault(ref, version)


class ResourceActor(resource.ResourceActor):
    """Notes what the bare actor does, step by step. Named as that is, in the log too."""

    def started(self) -> None:
        """Nothing is noted."""
        super().started()
        self._trail = Trail()

    def event(self, event: Event) -> None:
        """As ever; jobs that were there before this life has planned any are those of another life."""
        if event in (Event.RESUMED, Event.COMPLETE) and self._trail.resumed is None:
            self._trail.resumed = True
        super().event(event)

    def _bill(self) -> None:
        since_s, settled = self._entered, self.state is State.SETTLED
        super()._bill()
        if settled:
            self._trail = Trail()  # what follows is another version's
            return
        if self._trail.job:
            self._trail.worked(self.desk.wall_s(since_s), self.desk.wall_s(self._entered))
        self._trail.job = self.jobs[0][0].id if self.jobs else ""

    def _note(self, job: Job) -> None:
        for dependency in job.dependency:
            of = resource_of(dependency)
            if of is not None and of[0] != self.ref:
                self._trail.depends_on(*of)
        for ref in dict.fromkeys(ref for param in job.params for ref in param.resources):
            outcome = self.desk.world.outcome(ref)
            if outcome is not None and ref != self.ref:
                self._trail.depends_on(ref, outcome.version)

    def _do_load(self) -> None:
        self._trail.outcome = ""
        super()._do_load()

    def _do_record_plan(self) -> None:
        self._trail.resumed = False
        super()._do_record_plan()

    def _do_run(self) -> None:
        self._note(self.jobs[0][0])
        super()._do_run()

    def _do_back_off(self) -> None:
        super()._do_back_off()
        self._trail.retried += 1
        self._trail.retries.append(Retry(self.desk.wall_s(self.now()), str(self.failure or "")[:ERROR_MAX]))

    def _do_record_jobless(self) -> None:
        if isinstance(self.made, Jobless):
            self._trail.outcome = self.made.worker_state
        super()._do_record_jobless()

    def _commit_outcome(self, write_set: WriteSet, outcome: str) -> None:
        self._trail.outcome = outcome
        super()._commit_outcome(write_set, outcome)

    def _do_settle(self) -> None:
        super()._do_settle()
        if not self._trail.outcome:
            return
        try:
            self.tell(self.desk.shard, VersionEnded(self._ending()))
        except Exception:
            self.log.exception("%s version %d has no trace", self.ref, self.version)

    def _ending(self) -> Ending:
        for job, _ in self.jobs:
            self._note(job)
        trail, body = self._trail, self.declared.body if self.declared is not None else {}
        given = self.jobs[0][0].resource_input if self.jobs else body
        return Ending(
            self.ref,
            self.version,
            self.action.value,
            trail.outcome,
            self.error,
            str(given.get("tenant_id") or ""),
            self.desk.wall_s(self._entered),  # as it settled
            tuple(self.spans.spans),
            tuple(job for job in trail.jobs if (of := resource_of(job.id)) and of[1] == self.version),
            tuple(trail.retries),
            trail.retried,
            dict(trail.depends),
            self._rebuilt(),
            bool(trail.resumed),
        )

    def _rebuilt(self) -> int:
        """The revision of the outcome of this very version that stood before, 0 if there was none."""
        before = self.read.get(self.paths.state)
        try:
            same = before is not None and keys.decode_state(before.key, before.value)[0] == self.version
        except keys.BadValue:
            return 0
        return before.mod_revision if before is not None and same else 0
