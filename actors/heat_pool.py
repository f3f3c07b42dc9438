"""HeatActor: drives stacks to where they should be. Stateless: whatever it holds may be lost at any time.

Guarantees: looks before every create and after every end; a request sent twice, or to two members of the pool,
still ends in one stack (`core.stackdrive`); one stack has one writer at a time, and the latest request wins.
Questions are shared: one list call looks at many stacks, one per tick tells which of a tenant are in progress;
outputs are computed by Heat once, at the end. Every request is answered with HeatDone or HeatFailed, was taken
over by a later one for the same stack, lost its owner, or the process died; a living one says so every few seconds.
Nothing is begun for who does not own the resource, as far as that is known. Does not retry what failed for good.
"""

from __future__ import annotations

import os
from typing import ClassVar

from actors import heat_drift, rendering
from actors.core.breaker import Breaker
from actors.core.errors import ErrorClass, Failure
from actors.core.fairness import FullError, Turns
from actors.core.options import Options
from actors.core.stackdrive import Next, Step
from actors.handover import Calling
from actors.heat_calls import Calls
from actors.heat_drive import Drive, unrecordable
from actors.heat_looks import Looks, Work
from actors.heat_tenure import NOT_OURS, Tenures
from actors.heat_waits import Waits
from actors.messages import (
    Address,
    Boot,
    HeatCompare,
    HeatDone,
    HeatFailed,
    HeatHealth,
    HeatProgress,
    HeatRequest,
    Owned,
    Ping,
    Pong,
    Tenure,
    Tick,
    Topology,
)
from actors.ports import Stack, Stacks
from actors.runtime.host import Lane
from actors.runtime.io import IoActor

#: How many times one drive writes to Heat before it gives up and leaves the rest to the requester.
WRITES_MAX = 5
#: How many answers may leave things in doubt before that.
TROUBLES_MAX = 5
#: Pause before looking again after an answer that left things in doubt; grows with each.
DOUBT_PAUSE_S = 0.5
#: Pause before the second DELETE of a stack; twice as long before each further one.
DELETE_PAUSE_S = 1.0
PROGRESS_EVERY_S = 10.0
#: Requests that are rendered before the actor looks at its messages again.
ADMIT_MAX = 20
#: Requests that may wait for admission.
WAITING_MAX = 50_000

#: What is settled by looking again; while Heat does not answer at all, so is what is only TRANSIENT.
_UNSETTLED = (ErrorClass.IN_DOUBT, ErrorClass.CONFLICT, ErrorClass.NOT_FOUND)


class HeatActor(IoActor):
    """One member of the pool: a process with threads that call Heat."""

    #: Threads are started when needed; `Calls` keeps fewer under way, the rest is for those that hang.
    lanes: ClassVar = {"io": Lane(threads=2600, queue=20_000)}

    def started(self) -> None:
        """Nothing is known before Boot."""
        self._calls: Calls | None = None
        self._generation = 0
        self._supervisor: Address = None
        self._drives: dict[str, Drive] = {}
        self._writers: dict[tuple[str, str], Drive] = {}
        self._tenures = Tenures()
        self._ticking = self._admitting = False
        self._calling = Calling(self, self._drives, self._writers, self._forget)

    def receive(self, message: object, sender: Address) -> None:
        """The closed set of messages that a HeatActor takes."""
        match message:
            case Boot() if self._calls is None:
                self._supervisor = sender
                self._boot(message.options, message.wiring.stacks())
            case Topology() if self._calls is not None:
                self._generation = message.generation
            case HeatRequest():
                self._begin(message, sender)
            case HeatCompare() if self._calls is not None:
                heat_drift.compare(self._calls, message, lambda answer: self.tell(sender, answer))
            case Owned() | Tick("rest"):
                self._calling.receive(message, sender)
            case Tenure():
                self._tenures.last = message
            case Tick():
                self._tick(message.what)
            case Ping():
                self.tell(sender, Pong(message.seq, os.getpid(), self._generation))

    def _boot(self, options: Options, stacks: Stacks) -> None:
        self._options = options
        self._jobs: Turns[Drive] = Turns(
            options.heat_stacks_max, options.heat_stacks_per_tenant_max, WAITING_MAX
        )
        self._calls = Calls(self, stacks, options.heat_threads, options.heat_call_max_s, "Heat")
        allow = lambda drive: self._tenures.allow(drive, self.now())  # noqa: E731
        self._looks = Looks(self._calls, self._found, self._in_trouble, self._start, allow)
        self._waits = Waits(self, self._calls, options.heat_tick_s, self._ended)

    # ------------------------------------------------------------------------ what Calls and Waits ask for

    def wake(self, delay_s: float) -> None:
        """See heat_calls.Owner."""
        self.after(delay_s, Tick("pump"))

    def health(self, breaker: Breaker, down_s: float) -> None:
        """See heat_calls.Owner. The time in which Heat could not be asked is not held against any stack."""
        if breaker.open:
            self.log.warning("Heat is not asked any more: %s", breaker.reason)
        else:
            self.log.warning("Heat answers again, after %.1f s", down_s)
        for drive in self._drives.values():
            drive.deadline += down_s
        waiting, under_way = self._jobs.waiting, self._jobs.under_way
        message = HeatHealth(not breaker.open, self.now() - down_s, breaker.reason, waiting, under_way)
        self.tell(self._supervisor, message)

    def exhausted(self) -> None:
        """See heat_calls.Owner."""
        self.log.critical("too many calls to Heat hang: giving this process up")
        self.stop_self()

    def _tick(self, what: str) -> None:
        assert self._calls is not None, "nothing ticks before Boot"
        kind, _, rest = what.partition(" ")
        match kind:
            case "pump":
                self._calls.woken()
            case "poll":
                self._waits.poll(rest)
            case "admit":
                self._admitting = False
                self._admit()
            case "look" if rest in self._drives:
                self._looks.look(self._drives[rest])
            case "clock":
                self._clock()

    # ------------------------------------------------------------------------------------ begin and end

    def _begin(self, request: HeatRequest, sender: Address) -> None:
        known = self._drives.get(request.rid)
        if known is not None:
            known.reply_to = sender
            return
        if self._calls is None:
            self.tell(sender, HeatFailed(request.rid, Failure(ErrorClass.TRANSIENT, "NotReady", "starting")))
            return
        drive = Drive(request, sender, self.now())
        earlier = self._writers.get((drive.tenant, drive.name))
        if earlier is not None:
            self._take_over(earlier, drive)
        self._drives[request.rid] = self._writers[drive.tenant, drive.name] = drive
        try:
            self._jobs.add(drive.tenant, drive)
        except FullError as error:
            self._fail(drive, Failure(ErrorClass.TRANSIENT, "Busy", str(error)))
            return
        if not self._ticking:
            self._ticking = True
            self.after(PROGRESS_EVERY_S / 2, Tick("clock"))
        self._admit()

    def _take_over(self, earlier: Drive, drive: Drive) -> None:
        """A later request for the same stack: the earlier one ends, without an answer, at its next step."""
        self.log.info("%s: version %d takes over", drive.name, drive.request.version)
        writing = earlier if earlier.busy else earlier.predecessor
        if writing is not None and writing.busy:
            drive.predecessor, writing.successor = writing, drive
        self._forget(earlier)

    def _forget(self, drive: Drive) -> None:
        drive.over = True
        self._drives.pop(drive.request.rid, None)
        if self._writers.get((drive.tenant, drive.name)) is drive:
            del self._writers[drive.tenant, drive.name]
        self._waits.forget(drive.request.rid)
        if drive.admitted:
            self._jobs.done(drive.tenant)
            drive.admitted = False
            self._admit_soon()

    def _admit_soon(self) -> None:
        if self._jobs.waiting and not self._admitting:
            self._admitting = True
            self.after(0.0, Tick("admit"))

    def _admit(self) -> None:
        """Begin with those whose turn it is, a few at a time: rendering takes a while."""
        for _ in range(ADMIT_MAX):
            taken = self._jobs.take()
            if taken is None:
                return
            tenant, drive = taken
            if drive.over:
                self._jobs.done(tenant)
                continue
            drive.admitted = True
            if drive.predecessor is None or not drive.predecessor.busy:
                self._start(drive)
        self._admit_soon()

    def _start(self, drive: Drive) -> None:
        request, drive.predecessor = drive.request, None
        try:
            timeout_min = drive.specify()
        except Exception as error:  # noqa: BLE001 - whatever a template can do is its own mistake
            self._fail(drive, rendering.failure_of(error, request.ref, request.template_id, self.log))
            return
        drive.patience_s = timeout_min * 60 + self._options.heat_grace_s
        drive.deadline = self.now() + drive.patience_s
        self.log.debug("%s %s version %d (%s)", request.action, drive.name, request.version, drive.request_id)
        self._looks.look(drive)

    def _finish(self, drive: Drive, answer: HeatDone | HeatFailed) -> None:
        self._forget(drive)
        self.tell(drive.reply_to, answer)

    def _fail(self, drive: Drive, failure: Failure, shown: int = 0) -> None:
        self.log.info("%s: %s (%s)", drive.name, failure, drive.request_id)
        self._finish(drive, HeatFailed(drive.request.rid, failure, shown))

    def _done(self, drive: Drive, reason: str, stack: Stack | None = None) -> None:
        outputs = stack.outputs if stack is not None else ()
        answer = HeatDone(drive.request.rid, drive.status, reason, outputs, tuple(drive.warnings))
        bad = unrecordable(outputs)
        self._fail(drive, bad) if bad else self._finish(drive, answer)

    # -------------------------------------------------------------------------------------------- steps

    def _in_trouble(self, drive: Drive, failure: Failure) -> None:
        """Doubt and conflict are settled by looking again; the rest is the requester's."""
        assert self._calls is not None, "no drive begins before Boot"
        drive.trouble = failure
        silent = failure.error_class in (*_UNSETTLED, ErrorClass.TRANSIENT) and self._calls.breaker.open
        if silent:
            self._looks.look(drive)  # it waits with all others until Heat answers again
        elif (failure.error_class in _UNSETTLED or failure is NOT_OURS) and drive.troubles < TROUBLES_MAX:
            drive.troubles += 1
            self.after(DOUBT_PAUSE_S * drive.troubles, Tick(f"look {drive.request.rid}"))
        else:
            self._fail(drive, failure)

    def _found(self, drive: Drive, found: list[Stack]) -> None:
        seen = drive.noticed(found)
        step = drive.decide(seen)
        if len(seen) > 1:
            self.log.warning("%s (%s)", drive.twins(seen, step), drive.request_id)
        self._act(drive, step)

    def _act(self, drive: Drive, step: Step) -> None:
        tenant, name, spec, sid = drive.tenant, drive.name, drive.spec, step.stack_id
        match step.next:
            case Next.CREATE if spec is not None:
                self._write(drive, step, lambda stacks: stacks.create(spec))
            case Next.UPDATE if spec is not None:
                self._write(drive, step, lambda stacks: stacks.update(spec, sid))
            case Next.DELETE | Next.FAIL if drive.may_pass(step):
                self.after(DELETE_PAUSE_S * 2.0**drive.writes, Tick(f"look {drive.request.rid}"))
            case Next.DELETE:
                self._write(drive, step, lambda stacks: stacks.delete(tenant, name, sid))
            case Next.WAIT:
                self._waits.add(tenant, sid, drive.request.rid)
            case Next.FINISH if spec is not None and (spec.template.get("outputs") or not drive.acted):
                got = lambda stack: self._got(drive, stack)  # noqa: E731
                self._looks.get(drive, sid, got, outputs="outputs" in spec.template)
            case Next.FINISH:
                self._done(drive, drive.reason)
            case Next.GONE:
                drive.status = "DELETE_COMPLETE"
                self._done(drive, "")
            case Next.REFUSE if drive.identity and not drive.recognised and not step.shown:
                self._looks.get(drive, sid, lambda stack: self._recognised(drive, step, stack), outputs=False)
            case _:
                failure = step.failure or Failure(ErrorClass.TRANSIENT, "Undecided", str(step.next))
                self._fail(drive, failure, step.shown)

    def _write(self, drive: Drive, step: Step, work: Work) -> None:
        """A create (which gives the stack's id), update or delete; Heat has its full time for it from now on."""
        drive.writes += 1
        if drive.writes > WRITES_MAX:
            self._fail(drive, drive.unsettled(WRITES_MAX))
            return

        def begun(new: object) -> None:
            drive.status = f"{step.next.upper()}_IN_PROGRESS"
            drive.deadline = self.now() + drive.patience_s
            self._waits.add(drive.tenant, step.stack_id or str(new), drive.request.rid)

        self._looks.call(drive, work, begun, write=True, acts=step.next is not Next.DELETE)

    def _recognised(self, drive: Drive, step: Step, stack: Stack) -> None:
        """The parameters of a stack that bears our name but not our mark."""
        if drive.recognise(stack):
            self.log.warning("%s is ours by its parameters; somebody dropped its tags", drive.name)
            self._looks.look(drive)
        else:
            self._fail(drive, step.failure or Failure(ErrorClass.TERMINAL, "NotOurs", drive.name))

    def _got(self, drive: Drive, stack: Stack) -> None:
        """The outputs, of a stack that may have changed since it was looked at."""
        step = drive.decide([drive.seen(stack)])
        if step.next is Next.FINISH and drive.made_of_others(stack):
            step = Step(Next.UPDATE, step.stack_id)
        if step.next is Next.FINISH:
            self._done(drive, drive.reason, stack)
        else:
            self._act(drive, step)

    def _ended(self, rid: str) -> None:
        """A stack that was waited for is not in progress any more."""
        drive = self._drives.get(rid)
        if drive is not None:
            self._looks.look(drive)

    # --------------------------------------------------------------------------------------------- time

    def _clock(self) -> None:
        """Now and then: what takes too long, and a sign of life for all others."""
        assert self._calls is not None, "nothing ticks before Boot"
        now, down = self.now(), self._calls.breaker.told(self.now())
        self._calls.sweep()
        for drive in list(self._drives.values()):
            silence = f"Heat is {down}" if down else self._waits.unheard(drive.request.rid)
            if now > drive.deadline and not down and not drive.busy:
                self._fail(drive, drive.late(silence))
            elif now - drive.told_at >= PROGRESS_EVERY_S - 0.001:
                drive.told_at = now
                self.tell(
                    drive.reply_to,
                    HeatProgress(drive.request.rid, drive.told(silence, self._jobs.ahead(drive.tenant))),
                )
        self._ticking = bool(self._drives)
        if self._ticking:
            self.after(PROGRESS_EVERY_S / 2, Tick("clock"))
