"""The recording half of a ResourceActor: which transaction follows from what it knows (T1 to T4 and failures).

Guarantees: every outcome is written together with a line of history, which is bounded; the number of attempts
of a workflow survives a restart. Decides nothing: `core.machine` says when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from actors.core import history, keys
from actors.core.errors import Failure
from actors.core.json_text import compact
from actors.core.members import whole
from actors.core.model import Action, Declared, Handler, Job, JsonObject, Template, Workflow
from actors.core.ordering import templates_of, without_document
from actors.core.outcome import (
    DELETE_COMPLETED,
    completed_state,
    error_text,
    failed_state,
    workflow_action,
)
from actors.core.plan import Jobless
from actors.core.resume import Fresh
from actors.core.spans import Spans
from actors.job_runs import Run
from actors.job_waits import Waits
from actors.messages import Commit, Unregister
from actors.ports import Delete, Entry, Guard, Put, WriteSet
from actors.requester import Requester
from actors.transactions import (
    Paths,
    record_failure,
    record_forget,
    record_jobless,
    record_plan,
    record_state,
    record_withdrawal,
)


class Recorder(Requester):
    """Base of ResourceActor: what it knows of its resource, and how that is written."""

    paths: Paths

    def started(self) -> None:
        """Nothing is known."""
        super().started()
        self.reason = ""
        self.error = ""
        self.failure: Failure | None = None
        self.declared: Declared | None = None
        #: The revision at which `declared` was first written; 0: there is none.
        self.created = 0
        #: The later version that Heat showed before `declared` was read.
        self.overtaken = 0
        self.version = 0
        self.action = Action.CREATE
        self.read: Mapping[str, Entry] = {}
        self.fresh: Fresh | None = None
        self.made: Workflow | Jobless | None = None
        self.jobs: tuple[tuple[Job, int], ...] = ()
        self.results: JsonObject = {}
        self.run: Run | None = None
        self.ended = False  # an outcome was written since the last look
        self.unmet = False  # the last look found a request of which nothing can come
        self.attempts = 0
        self.tried = False
        self.templates: dict[Handler, Template] = {}
        self.spans = Spans()

    @property
    def waits(self) -> Waits:
        """What its next job waits for, and needs of others."""
        return Waits(self.desk.world, *(job for job, _ in self.jobs))

    def template(self, job: Job) -> Template | None:
        """The template that the job was planned with; after a restart the present one (contract 5.1.3)."""
        if job.handler not in self.templates:
            declared = Declared(job.ref, job.version, job.resource_input)
            self.templates = templates_of(self.desk.world, declared)
        return self.templates.get(job.handler)

    def _do_record_plan(self) -> None:
        assert self.fresh is not None, "RECORDING_PLAN follows FRESH"
        assert isinstance(self.made, Workflow), "PLANNED carries a workflow"
        plan = record_plan(self.paths, self.fresh.declared, self.made, self.fresh.stale, self.read)
        self.commit(WriteSet((*plan.writes, *self._taken_up()), plan.guards))

    def _do_record_withdrawal(self) -> None:
        assert self.fresh is not None, "planning follows FRESH"
        self.made, self.reason = None, "withdrawing jobs that have not begun"
        self.commit(record_withdrawal(self.paths, self.fresh.declared, self.fresh.stale, self.read))

    def _do_record_jobless(self) -> None:
        assert self.fresh is not None, "JOBLESS follows FRESH"
        assert isinstance(self.made, Jobless), "JOBLESS carries a Jobless"
        if not self.fresh.declared.revision:
            # with the declaration went whoever would read how it ended (contract 8.6)
            self._do_record_forget(self.fresh.stale)
            return
        state = self.made.worker_state
        if state != DELETE_COMPLETED and (absent := without_document(self.desk.world, self.fresh.declared)):
            text = "%s version %d: nothing is built, as there is no template %s"
            self.log.warning(text, self.ref, self.fresh.declared.version, " and ".join(absent))
        write_set = record_jobless(self.paths, self.fresh.declared, state, self.fresh.stale, self.read)
        if state == DELETE_COMPLETED:  # nothing was built and nothing will remind us of it: leave nothing
            gone = tuple(Delete(k) for k in (self.paths.history, self.paths.attempts, self.paths.drift))
            self.commit(WriteSet((*write_set.writes, *gone, *self._taken_up()), write_set.guards))
        else:
            self._commit_outcome(write_set, state)

    def _do_record_job(self) -> None:
        assert self.run is not None, "RECORDING_JOB follows RUNNING"
        self.reason = "recording the result of its job"
        write_set, self.results = self.run.record()
        self.commit(write_set)

    def _do_record_state(self) -> None:
        self.reason = "recording its outcome"
        last = self.jobs[0]
        self.action = workflow_action([last[0]])
        self._commit_outcome(record_state(self.paths, last, self.results), completed_state(last[0].action))

    def _do_record_forget(self, stale: Sequence[tuple[Job, int]] = ()) -> None:
        self.reason = "removing what was recorded of it"
        self.tell(self.desk.shard, Unregister(self.ref))
        self.commit(record_forget(self.paths, self.read, stale))

    def _do_record_failure(self) -> None:
        assert self.failure is not None, "FAILED carries a failure"
        self.error = error_text(self.failure, [job for job, _ in self.jobs], self.results)
        self.reason = self.error
        self.log.error("%s version %d failed: %s", self.ref, self.version, self.error)
        if self.jobs:
            self.action = workflow_action([job for job, _ in self.jobs])
        if self.run is not None:
            self.run.abandon()
        declared = self.fresh.declared if self.fresh is not None else self.declared
        g2 = not self.desk.world.monitors_by_job
        write_set = record_failure(
            self.paths, self.jobs, declared, self.action, self.error, self.read, orchestration=g2
        )
        self._commit_outcome(write_set, failed_state(self.action))

    # -------------------------------------------------------------------------------- history and attempts

    def _commit_outcome(self, write_set: WriteSet, outcome: str) -> None:
        """Write an outcome with its line of history; the record of attempts has served."""
        self.ended = True
        present = self.read.get(self.paths.history)
        line = history.Line(
            self.version, self.action.value, outcome, self.error, self.desk.wall_s(self.now()), self.spans
        )
        value = history.append(present.value if present is not None else None, line, self.attempts)
        writes: list[Put | Delete] = [*write_set.writes, Put(self.paths.history, value)]
        if self.fresh is not None and self.fresh.stale and not self.jobs:
            # the jobs of an older version that this one would have replaced go with its outcome
            gone = (self.paths.job_state, *(keys.JOBS + job.id for job, _ in self.fresh.stale))
            written = {write.key for write in write_set.writes}
            writes += [Delete(key) for key in gone if key not in written]
        if not self.jobs:  # no plan was recorded
            writes.extend(self._taken_up())
        if self.paths.attempts in self.read or self.tried:
            writes.append(Delete(self.paths.attempts))
        if self.desk.world.drift(self.ref) is not None or self.paths.drift in self.read:
            writes.append(Delete(self.paths.drift))  # what was found is about what stood before
        self.commit(WriteSet(tuple(writes), write_set.guards))

    def _taken_up(self) -> tuple[Delete, ...]:
        """An operator's request ends with the plan that it led to."""
        return (Delete(self.paths.request),) if self.paths.request in self.read else ()

    def record_attempts(self) -> None:
        """Remember across restarts how often this version was tried. Nobody waits for the answer."""
        lives = self._lives()
        if not self.version or lives is None:
            return  # nothing is known of it yet, or nothing is left of it
        value = compact({"version": self.version, "attempts": self.attempts})
        self.tried = True
        # only while the outcome that was read stands: a record that comes late would outlive its version
        state = self.read.get(self.paths.state)
        stands = Guard(self.paths.state, state.mod_revision if state is not None else 0)
        write_set = WriteSet((Put(self.paths.attempts, value),), (stands, lives))
        number = self.desk.vshard(self.ref)
        self.tell(self.desk.bridge, Commit(f"{self.ref} attempts", write_set, number, self.term))

    def _lives(self) -> Guard | None:
        """What holds as long as there is anything to be done for the resource; None if there is nothing."""
        if self.jobs:
            job, revision = self.jobs[0]
            return Guard(keys.JOBS + job.id, revision)
        return Guard(self.paths.config, self.declared.revision) if self.declared is not None else None

    def recall_attempts(self) -> None:
        """The number of attempts as recorded, if it is for this version and larger."""
        entry = self.read.get(self.paths.attempts)
        if entry is None:
            return
        try:
            recorded = keys.decode_object(entry.key, entry.value)
            if recorded.get("version") == self.version:
                self.attempts = max(self.attempts, whole(recorded.get("attempts")))
        except keys.BadValue:
            self.log.warning("%s: unreadable, ignored", entry.key)
