"""ResourceActor: owns the job sequence of one resource. The table of `core.machine`, and its hands.

Guarantees: one workflow at a time; every step is recorded before the next begins; whatever is in doubt is read
again from etcd. Holds nothing that etcd does not hold but results under way, so it may die at any moment.
Does no I/O itself and never blocks: the bridge and the pools do, and every request has a deadline here.
"""

from __future__ import annotations

from collections import deque

from actors.core import backoff, keys, resume
from actors.core.errors import ErrorClass, Failure
from actors.core.holding import Holding
from actors.core.machine import REPLACEABLE, Command, Event, State, step
from actors.core.model import Action, Handler, OnFailure, Ref, Workflow
from actors.core.ordering import Held, templates_of, try_plan
from actors.core.plan import Jobless, PlanError
from actors.core.spans import Spans
from actors.core.waiting import Waiting
from actors.desk import Desk
from actors.job_runs import HeatRun, MonitorRun
from actors.messages import (
    Address,
    Begin,
    Committed,
    Nudge,
    PoolChanged,
    ReadDone,
    Refused,
    Report,
    Settled,
    Tick,
)
from actors.recording import Recorder
from actors.records import action_for, is_behind, read_records, record_keys
from actors.transactions import Paths, handlers_built, paths

#: A mirror that is behind is looked at again after this: at first, and at most.
MIRROR_PAUSE_S = (0.25, 2.0)
#: How each state counts in the bill of a resource; RUNNING counts as heat or device.
BILL = {State.WAITING: "waiting", State.PLANNING: "waiting", State.BACKING_OFF: "backing-off"}
#: States in which an answer of the bridge is awaited.
ASKS_BRIDGE = frozenset(
    {State.LOADING, State.FETCHING, State.RECORDING_PLAN, State.RECORDING_JOB, State.RECORDING_STATE}
)
#: Failures that are retried without end (at the capped interval): an outage is never the resource's fault.
ENDLESS = frozenset({ErrorClass.TRANSIENT, ErrorClass.IN_DOUBT, ErrorClass.QUOTA})


class ResourceActor(Recorder):
    """One per resource in flight, inside its shard's process."""

    in_process = True

    def started(self) -> None:
        """Nothing is known before Begin."""
        super().started()
        self.state = State.NEW
        self.ref = Ref("", "")
        self.awaits: tuple[Ref, ...] = ()
        self.mirror_revision = self.pauses = self.seen = 0
        self._entered = self.now()
        self._events: deque[Event] = deque()
        self._busy = False
        self._told: object = None

    def receive(self, message: object, sender: Address) -> None:
        """Handle one message; a mistake of ours is shown, and what is recorded is read again after a pause."""
        try:
            self._receive(message)
        except Exception as error:
            self.log.exception("%s version %d: %s failed", self.ref, self.version, self.state)
            kind = type(error).__name__
            self.failure = Failure(ErrorClass.TRANSIENT, "InternalError", f"unexpected {kind}, see log")
            self.state = State.BACKING_OFF
            self._do_back_off()
            self.report()

    def _receive(self, message: object) -> None:
        """The closed set of messages that a ResourceActor takes; answers to old requests are dropped."""
        match message:
            case Begin():
                self.desk: Desk = message.desk
                self.ref = message.ref
                self.term = self.desk.term(self.ref)
                self.paths: Paths = paths(self.desk.world.types, self.ref)
                self.holding = Holding(self.desk.options.missing_resource_wait_s)
                self.event(Event.BEGIN)
            case Nudge():
                self.event(Event.SUPERSEDED if self._superseded() else Event.CHANGED)
            case Tick():
                self.fired()
                self.event(Event.DUE if message.what == "due" else Event.OVERDUE)
            case ReadDone() if self.heard(message.rid):
                self._loaded(message) if self.state is State.LOADING else self._fetched(message)
            case Committed() if self.heard(message.rid):
                self._committed(message.revision)
            case Refused() if self.heard(message.rid):
                self._refused(message)
            case PoolChanged() if (self.state in ASKS_BRIDGE) is message.bridge:
                self.event(Event.OVERDUE)
            case _:
                if self.state is State.RUNNING and self.run is not None:
                    self.run.receive(message)

    # -------------------------------------------------------------------------------------------- machine

    def event(self, event: Event) -> None:
        """Take one step of the table; steps that follow from it are taken in turn, never nested."""
        self._events.append(event)
        if self._busy:
            return
        self._busy = True
        try:
            while self._events:
                self._step(self._events.popleft())
        finally:
            self._busy = False
            self._events.clear()
        self.report()

    def _step(self, event: Event) -> None:
        found = step(self.state, event)
        if found is None:
            self.log.error("%s: impossible event %s in state %s; reading again", self.ref, event, self.state)
            found = (State.LOADING, (Command.LOAD,))
        after, commands = found
        if after is not self.state:
            self._bill()
            self.state = after
        for command in commands:
            self.disarm()
            getattr(self, f"_do_{command.name.lower()}")()

    def _bill(self) -> None:
        run = self.run if self.state is State.RUNNING else None
        kind, now = (run.bill if run is not None else BILL.get(self.state, "own")), self.now()
        if self.state is State.SETTLED:
            self.spans = Spans()  # what follows is another version's
        else:
            self.spans.add(kind, now - self._entered)
        self._entered = now

    def report(self) -> None:
        """Tell the shard, which keeps what people see and wakes whoever waits."""
        awaits = self.awaits if self.state in (State.PLANNING, State.WAITING) else ()
        self.spans.blocked_by(awaits)
        news = (self.version, self.state, self.reason, self.error, awaits)
        if news != self._told:
            self._told = news
            rest = (self.reason, self.spans.bill(), self.error, awaits, self.desk.world.revision)
            self.tell(self.desk.shard, Report(self.ref, self.version, self.state.value, *rest))

    def _superseded(self) -> bool:
        """Newest wins until something is changed; a workflow that has begun is finished first (10.5)."""
        news = resume.outdates(self.desk.world.declaration(self.ref), self.declared, self.version)
        return news and self.state in REPLACEABLE and not resume.has_begun(self.jobs, self.results)

    # ------------------------------------------------------------------------------------------- answers

    def _committed(self, revision: int) -> None:
        self.seen = revision
        if self.state is State.RECORDING_PLAN and isinstance(self.made, Workflow):
            self.jobs = tuple((job, revision) for job in self.made.jobs)
            self.results = {}
            self.event(Event.COMMITTED)
        elif self.state is State.RECORDING_PLAN:
            self.event(Event.WITHDRAWN)
        elif self.state is State.RECORDING_JOB:
            last = self.jobs[0][0].is_last
            self.jobs = self.jobs if last else self.jobs[1:]
            self.attempts = 0
            self.event(Event.COMMITTED_LAST if last else Event.COMMITTED)
        else:
            self.event(Event.COMMITTED)

    def _refused(self, message: Refused) -> None:
        self.event(Event.REFUSED) if message.failure is None else self.retry(message.failure)

    def retry(self, failure: Failure) -> None:
        """Back off and begin again, or give up where that is no use."""
        self.failure = failure
        again = failure.retryable and self.attempts < self.desk.options.retry_attempts_max
        self.event(Event.RETRY) if again or failure.error_class in ENDLESS else self.fail(failure)

    def fail(self, failure: Failure) -> None:
        """This version cannot be reached: record it, or go on where the job may fail (10.27)."""
        self.failure = failure
        if self.state is State.RUNNING and self.jobs[0][0].on_failure is OnFailure.IGNORE:
            self.log.warning("%s: %s failed, which is ignored: %s", self.ref, self.jobs[0][0].id, failure)
            self.event(Event.DONE)
        else:
            self.event(Event.FAILED)

    # ------------------------------------------------------------------------------------------- commands

    def _do_load(self) -> None:
        self.reason, self.awaits, self.run, self.ended = "reading its records", (), None, False
        self.mirror_revision = self.desk.world.revision  # of the mirror that says which jobs to read
        self.read_keys(record_keys(self.paths, (job.id for job in self.desk.world.jobs_of(self.ref))))

    def _loaded(self, message: ReadDone) -> None:
        self.seen = message.revision
        if is_behind(self.paths, message, self.desk.world, self.mirror_revision):
            self.reason = "waiting for the mirror of etcd to catch up"
            self.pauses += 1
            self.arm(backoff.delay_s(self.pauses, *MIRROR_PAUSE_S, str(self.ref)), "overdue")
            return
        self.pauses, self.unmet, self.read, world = 0, False, message.entries, self.desk.world
        self.declared, self.created = world.declaration(self.ref), world.created(self.ref)
        try:
            decision = resume.resume(read_records(self.ref, self.paths, self.declared, message.entries))
        except (keys.BadValue, KeyError, ValueError) as error:
            self.retry(Failure(ErrorClass.TRANSIENT, "BadRecord", str(error)))
            return
        match decision:
            case resume.Fresh():
                self.fresh, self.version = decision, decision.declared.version
                self.jobs, self.results = (), {}
                self.recall_attempts()
                self.event(Event.FRESH)
            case resume.Continue():
                self.jobs, self.results = decision.jobs, decision.results
                self.version = decision.jobs[0][0].version
                self.recall_attempts()
                self.event(Event.RESUMED)
            case resume.Finish():
                self.jobs, self.results = (decision.last,), decision.results
                self.version = decision.last[0].version
                self.event(Event.COMPLETE)
            case resume.Forget():
                self.event(Event.GONE)
            case resume.Nothing() if self.paths.request in self.read and self.declared is not None:
                self.fresh, self.version = resume.Fresh(self.declared), self.declared.version
                self.jobs, self.results, self.attempts = (), {}, 0
                self.event(Event.FRESH)
            case _:
                self.unmet = self.paths.request in self.read
                self.event(Event.NOTHING)

    def _do_plan(self) -> None:
        assert self.fresh is not None, "PLANNING follows FRESH"
        declared, world = self.fresh.declared, self.desk.world
        if self._paused():
            self.event(Event.HELD)
            return
        records = read_records(self.ref, self.paths, declared, self.read)
        built = handlers_built(self.read, self.paths)
        self.action = action_for(declared, records, built)
        try:
            asked, ordered = records.requested, self.holding.keeps_order(self.now())
            known = (world, declared, records.accepted, self.action)
            made = try_plan(*known, built=built, ordered=ordered, asked=asked)
        except PlanError as error:
            failure = error.failure
            self.fail(Failure(ErrorClass.INVALID, failure.kind, f"{self.paths.config}: {failure.text}"))
            return
        if isinstance(made, Held):
            ring = self.action is Action.LOGICAL_DELETE or self.ref in Waiting(world).reach(made.awaits)
            self.event(Event.WITHDRAW) if self.fresh.stale and ring else self._hold(made)
            return
        self.made, self.reason = made, "recording its jobs"
        self.templates = templates_of(world, declared)
        self.event(Event.JOBLESS if isinstance(made, Jobless) else Event.PLANNED)

    def _hold(self, held: Held) -> None:
        left = self.holding.left_s(held, self.now())
        if left <= 0:
            limit = self.desk.options.missing_resource_wait_s
            text = f"{self.paths.config}: {held.reason}, waited {limit:g} s"
            self.fail(Failure(ErrorClass.INVALID, "MissingResource", text))
            return
        self.reason, self.awaits = held.reason, held.awaits
        self.arm(left, "due")
        self.event(Event.HELD)

    def _do_check(self) -> None:
        if self._superseded():
            self.event(Event.SUPERSEDED)  # the news came while the plan was being written
            return
        live = (waits := self.waits).live()
        if not self.desk.held(self.ref) and (failure := waits.doomed(live is not None)):
            self.fail(failure)
        elif live is not None:
            self.reason, self.awaits = live
        else:
            self.awaits = ()
            self.event(Event.READY)

    def _paused(self) -> bool:
        """Whether no new job may be begun; the shard tells when that changes."""
        if held := self.desk.held(self.ref):
            self.reason, self.awaits = held, ()
        return bool(held)

    def _do_fetch(self) -> None:
        if self._superseded():
            self.event(Event.SUPERSEDED)  # the news came while the stop of watching was being written
            return
        if self._paused():
            self.event(Event.HELD)
            return
        needed = self.waits.outputs_needed(self.results)
        if not needed:
            self._fetched(ReadDone(self.asked, 0, {}))
            return
        self.reason = f"reading outputs of {len(needed)} stacks"
        self.read_keys(tuple(keys.HEAT_STACKS + self.desk.world.types.path(ref) for ref in needed))

    def _fetched(self, message: ReadDone) -> None:
        if self.waits.outrun(message.revision, self.results):
            self.event(Event.OVERDUE)
            return
        try:
            found = self.waits.outputs(message.entries, self.results)
        except keys.BadValue as error:
            self.retry(Failure(ErrorClass.TRANSIENT, "BadRecord", str(error)))
            return
        if isinstance(found, Failure):
            self.fail(found)
        elif isinstance(found, Ref):
            self.reason, self.awaits = f"{found} has no stack yet", (found,)
            self.event(Event.HELD)
        else:
            job = self.jobs[0][0]
            self.run = (HeatRun if job.handler is Handler.HEAT else MonitorRun)(self, job, found)
            self.event(Event.FETCHED)

    def _do_run(self) -> None:
        assert self.run is not None, "RUNNING follows FETCHED"
        self.run.begin(self.attempts)

    def _do_back_off(self) -> None:
        self.attempts, options = self.attempts + 1, self.desk.options
        lasting = self.failure is not None and self.failure.error_class is ErrorClass.QUOTA
        base_s = options.retry_cap_s if lasting else options.retry_base_s
        delay = backoff.delay_s(self.attempts, base_s, options.retry_cap_s, f"{self.ref}:{self.version}")
        self.reason = f"retry {self.attempts} in {delay:.1f} s after {self.failure}"
        self.log.warning("%s version %d: %s", self.ref, self.version, self.reason)
        self.record_attempts()
        self.arm(delay, "due")

    def _do_settle(self) -> None:
        self.reason, self.attempts = "", 0
        self.holding = Holding(self.desk.options.missing_resource_wait_s)
        marked = resume.marked_anew(self.desk.world.declaration(self.ref), self.declared)
        again = marked or (self.declared is None and self.ended)
        self.tell(self.desk.shard, Settled(self.ref, self.version, again, self.created, self.unmet))
