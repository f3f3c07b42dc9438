"""HeatActor: drives stacks to where they should be. Stateless: whatever it holds may be lost at any time.

Guarantees: looks before every create; a request sent twice, or to two members of the pool, still ends in one
stack (`core.stackdrive`); one list call per tenant and tick answers for all stacks that are being waited for;
outputs are computed by Heat once, at the end. Every request is answered with HeatDone or HeatFailed, or the
process died; a living request says so every few seconds (HeatProgress).
Does not retry what failed: that is the requester's decision.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from actors import rendering
from actors.core import stackdrive
from actors.core.errors import ErrorClass, Failure, PortError
from actors.core.keys import stack_name
from actors.core.model import Action
from actors.core.options import Options
from actors.core.redact import redact, secret_values
from actors.core.stackdrive import Next
from actors.messages import (
    Address,
    Boot,
    HeatDone,
    HeatFailed,
    HeatProgress,
    HeatRequest,
    Ping,
    Pong,
    Tick,
)
from actors.ports import Stack, Stacks, StackSpec
from actors.runtime.host import Busy, Lane
from actors.runtime.io import IoActor

#: First look after a stack went into progress; doubles up to the configured tick while nothing changes.
FIRST_TICK_S = 0.002
#: The pause between two looks is at least this many times what the last one took: a slow Heat is asked less.
REST = 3.0
LONGEST_REST_S = 5.0
#: How many times one drive writes to Heat before it gives up and leaves the rest to the requester.
WRITES_MAX = 5
#: Pause before looking again after an answer that left things in doubt.
DOUBT_PAUSE_S = 0.5
PROGRESS_EVERY_S = 10.0


@dataclass(slots=True)
class Drive:
    """One request under way."""

    request: HeatRequest
    reply_to: Address
    spec: StackSpec | None
    deadline: float
    warnings: tuple[str, ...] = ()
    acted: bool = False
    writes: int = 0
    status: str = ""
    why: str = ""
    told_at: float = 0.0

    @property
    def secrets(self) -> frozenset[str]:
        """Values that Heat may quote and nobody may see."""
        return secret_values(self.spec.template, self.spec.parameters) if self.spec else frozenset()

    @property
    def name(self) -> str:
        """The stack's name."""
        return stack_name(self.request.ref)


@dataclass(slots=True)
class Waiting:
    """The stacks of one tenant that are in progress, and when to look next. `stacks`: stack id → rid."""

    stacks: dict[str, str]
    delay_s: float = FIRST_TICK_S
    armed: bool = False
    asked_at: float = 0.0
    took_s: float = 0.0


class HeatActor(IoActor):
    """One member of the pool: a process with threads that call Heat."""

    lanes: ClassVar = {"io": Lane(threads=16, queue=20_000)}

    def started(self) -> None:
        """Nothing is known before Boot."""
        self._options: Options | None = None
        self._stacks: Stacks | None = None
        self._drives: dict[str, Drive] = {}
        self._waiting: dict[str, Waiting] = {}

    def receive(self, message: object, sender: Address) -> None:
        """The closed set of messages that a HeatActor takes."""
        match message:
            case Boot():
                self._options, self._stacks = message.options, message.wiring.stacks()
            case HeatRequest():
                self._begin(message, sender)
            case Tick():
                self._poll(message.what)
            case Ping():
                self.tell(sender, Pong(message.seq, os.getpid()))

    # -------------------------------------------------------------------------------------------- a drive

    def _begin(self, request: HeatRequest, sender: Address) -> None:
        known = self._drives.get(request.rid)
        if known is not None:
            known.reply_to = sender
            return
        if self._stacks is None or self._options is None:
            self.tell(sender, HeatFailed(request.rid, Failure(ErrorClass.TRANSIENT, "NotReady", "starting")))
            return
        drive = Drive(request, sender, None, 0.0)
        self._drives[request.rid] = drive
        timeout_min = rendering.DEFAULT_TIMEOUT_MIN
        if request.action not in (Action.LOGICAL_DELETE, Action.DELETE):
            try:
                drive.spec, drive.warnings = self._specify(request)
            except rendering.RenderError as error:
                text = f"{request.ref} template {request.template_id}: {error}"
                self._fail(drive, Failure(ErrorClass.INVALID, "InvalidTemplate", text))
                return
            timeout_min = drive.spec.timeout_min
        drive.told_at = self.now()
        drive.deadline = self.now() + timeout_min * 60 + self._options.heat_grace_s
        self._look(drive)

    def _specify(self, request: HeatRequest) -> tuple[StackSpec, tuple[str, ...]]:
        values, warnings = rendering.resolve(request.params, request.outputs)
        made = rendering.render_heat(request.template, values)
        tags = stackdrive.tags(request.version)
        name = stack_name(request.ref)
        spec = StackSpec(request.tenant, name, made.template, made.parameters, made.timeout_min, tags)
        return spec, tuple(warnings)

    def _call(self, drive: Drive, work: Callable[[Stacks], object], then: Callable[[object], None]) -> None:
        """Run one call of the port on a thread; PortErrors and a full queue fail the drive."""
        stacks = self._stacks
        assert stacks is not None, "no drive begins before Boot"

        def done(outcome: object) -> None:
            if drive.request.rid not in self._drives:
                return
            if isinstance(outcome, PortError):
                self._port_error(drive, outcome.failure)
            elif isinstance(outcome, BaseException):
                self.log.error("a call for %s raised", drive.name, exc_info=outcome)
                self._fail(
                    drive, Failure(ErrorClass.TRANSIENT, type(outcome).__name__, "unexpected error, see log")
                )
            else:
                then(outcome)

        try:
            self.submit(lambda: work(stacks), done)
        except Busy:
            self._fail(drive, Failure(ErrorClass.TRANSIENT, "Busy", "too many calls to Heat are waiting"))

    def _port_error(self, drive: Drive, failure: Failure) -> None:
        """Doubt and conflict are settled by looking again; the rest is the requester's."""
        unsettled = failure.error_class in (ErrorClass.IN_DOUBT, ErrorClass.CONFLICT, ErrorClass.NOT_FOUND)
        if unsettled and drive.writes < WRITES_MAX:
            drive.writes += 1
            self.after(DOUBT_PAUSE_S, Tick(f"look {drive.request.rid}"))
        else:
            self._fail(drive, failure)

    def _look(self, drive: Drive) -> None:
        tenant, name = drive.request.tenant, drive.name
        self._call(drive, lambda stacks: stacks.find(tenant, name), lambda found: self._found(drive, found))

    def _found(self, drive: Drive, found: object) -> None:
        assert isinstance(found, tuple), "find returns a tuple of stacks"
        seen = [
            stackdrive.seen(s.id, s.action, s.status, redact(s.reason, drive.secrets), s.tags) for s in found
        ]
        step = stackdrive.decide(drive.request.action, drive.request.version, seen, acted=drive.acted)
        if len(seen) > 1:
            self.log.warning(
                "%d stacks are named %s; next: %s %s", len(seen), drive.name, step.next, step.stack_id
            )
        drive.status = f"{seen[0].action}_{seen[0].status}" if seen else ""
        drive.why = seen[0].reason if seen else ""
        self._act(drive, step)

    def _act(self, drive: Drive, step: stackdrive.Step) -> None:
        tenant, name, spec = drive.request.tenant, drive.name, drive.spec
        match step.next:
            case Next.CREATE if spec is not None:
                self._write(
                    drive, lambda stacks: stacks.create(spec), lambda new: self._wait(drive, str(new))
                )
            case Next.UPDATE if spec is not None:
                self._write(
                    drive,
                    lambda stacks: stacks.update(spec, step.stack_id),
                    lambda _: self._wait(drive, step.stack_id),
                )
            case Next.DELETE:
                self._write(
                    drive,
                    lambda stacks: stacks.delete(tenant, name, step.stack_id),
                    lambda _: self._wait(drive, step.stack_id),
                    acts=False,
                )
            case Next.WAIT:
                self._wait(drive, step.stack_id)
            case Next.FINISH:
                self._get(drive, step.stack_id)
            case Next.GONE:
                self._finish(drive, HeatDone(drive.request.rid, "DELETE_COMPLETE", "", ()))
            case _:
                self._fail(drive, step.failure or Failure(ErrorClass.TRANSIENT, "Undecided", str(step.next)))

    def _write(
        self,
        drive: Drive,
        work: Callable[[Stacks], object],
        then: Callable[[object], None],
        *,
        acts: bool = True,
    ) -> None:
        drive.writes += 1
        if drive.writes > WRITES_MAX:
            # a conflict: retried, but not for ever, for Heat may never manage it
            text = f"still {drive.status} after {WRITES_MAX} requests: {drive.why}"
            self._fail(drive, Failure(ErrorClass.CONFLICT, "StackUnsettled", text))
            return
        drive.acted = drive.acted or acts
        self._call(drive, work, then)

    def _get(self, drive: Drive, stack_id: str) -> None:
        tenant, name = drive.request.tenant, drive.name
        self._call(
            drive,
            lambda stacks: stacks.get(tenant, name, stack_id, outputs=True),
            lambda stack: self._got(drive, stack),
        )

    def _got(self, drive: Drive, stack: object) -> None:
        assert isinstance(stack, Stack), "get returns a stack"
        drive.status = f"{stack.action}_{stack.status}"
        reason = redact(stack.reason, drive.secrets)
        seen = stackdrive.seen(stack.id, stack.action, stack.status, reason, stack.tags)
        step = stackdrive.decide(drive.request.action, drive.request.version, [seen], acted=drive.acted)
        if step.next is Next.FINISH:
            done = HeatDone(drive.request.rid, drive.status, reason, stack.outputs, drive.warnings)
            self._finish(drive, done)
        else:
            self._act(drive, step)

    # ------------------------------------------------------------------------------------------- waiting

    def _wait(self, drive: Drive, stack_id: str) -> None:
        waiting = self._waiting.setdefault(drive.request.tenant, Waiting({}))
        waiting.stacks[stack_id] = drive.request.rid
        waiting.delay_s = FIRST_TICK_S
        self._arm(drive.request.tenant, waiting)

    def _arm(self, tenant: str, waiting: Waiting) -> None:
        if not waiting.armed:
            waiting.armed = True
            waiting.delay_s = max(waiting.delay_s, min(REST * waiting.took_s, LONGEST_REST_S))
            self.after(waiting.delay_s, Tick(f"poll {tenant}"))

    def _poll(self, what: str) -> None:
        kind, _, rest = what.partition(" ")
        if kind == "look":
            drive = self._drives.get(rest)
            if drive is not None:
                self._look(drive)
            return
        waiting = self._waiting.get(rest)
        if waiting is None:
            return
        stacks = self._stacks
        assert stacks is not None, "nothing waits before Boot"
        asked, waiting.asked_at = dict(waiting.stacks), self.now()
        self.submit(lambda: stacks.in_progress(rest), lambda outcome: self._polled(rest, asked, outcome))

    def _polled(self, tenant: str, asked: dict[str, str], outcome: object) -> None:
        assert self._options is not None, "nothing waits before Boot"
        waiting = self._waiting[tenant]
        waiting.armed = False
        now, changed = self.now(), False
        waiting.took_s = now - waiting.asked_at
        if isinstance(outcome, frozenset):
            for stack_id, rid in asked.items():
                if stack_id in outcome:
                    continue
                changed = True
                if waiting.stacks.get(stack_id) == rid:
                    del waiting.stacks[stack_id]
                    self._ended(rid, stack_id)
        else:
            self.log.warning("status of stacks in tenant %s: %s", tenant, outcome)
        for rid in list(waiting.stacks.values()):
            self._watch_clock(rid, now)
        if not waiting.stacks:
            del self._waiting[tenant]
            return
        grown = min(self._options.heat_tick_s, waiting.delay_s * 2)
        waiting.delay_s = FIRST_TICK_S if changed else grown
        self._arm(tenant, waiting)

    def _ended(self, rid: str, stack_id: str) -> None:
        drive = self._drives.get(rid)
        if drive is None:
            return
        if drive.request.action in (Action.LOGICAL_DELETE, Action.DELETE):
            self._look(drive)
        else:
            self._get(drive, stack_id)

    def _watch_clock(self, rid: str, now: float) -> None:
        drive = self._drives.get(rid)
        if drive is None:
            return
        if now > drive.deadline:
            text = f"stack {drive.name} is still {drive.status or 'in progress'} after its time-out"
            self._fail(drive, Failure(ErrorClass.TERMINAL, "HeatTimeout", text))
        elif now - drive.told_at >= PROGRESS_EVERY_S:
            drive.told_at = now
            self.tell(drive.reply_to, HeatProgress(rid, drive.status))

    def _finish(self, drive: Drive, answer: HeatDone | HeatFailed) -> None:
        self._drives.pop(drive.request.rid, None)
        waiting = self._waiting.get(drive.request.tenant)
        if waiting is not None:
            for stack_id in [s for s, rid in waiting.stacks.items() if rid == drive.request.rid]:
                del waiting.stacks[stack_id]
        self.tell(drive.reply_to, answer)

    def _fail(self, drive: Drive, failure: Failure) -> None:
        self._finish(drive, HeatFailed(drive.request.rid, failure))
