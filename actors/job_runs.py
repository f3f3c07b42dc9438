"""The two kinds of jobs, as seen by the actor that owns them: how they run, what they record.

Guarantees: a run may be begun again at any time (its requests are idempotent); it tells its actor exactly one
of done, retry or fail per attempt.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from actors.core import keys
from actors.core.errors import ErrorClass, Failure
from actors.core.machine import Event
from actors.core.model import Action, Job, Json, JsonObject
from actors.core.monitors import Target, watched
from actors.core.resume import merge
from actors.job_waits import Outputs
from actors.messages import (
    HeatDone,
    HeatFailed,
    HeatProgress,
    HeatRequest,
    MonitorsRendered,
    Register,
    RenderMonitors,
    TargetStatus,
    Unregister,
)
from actors.ports import WriteSet
from actors.transactions import heat_results, record_heat, record_monitoring

if TYPE_CHECKING:
    from actors.resource import ResourceActor


class Run(Protocol):
    """A job under way. `bill`: how its seconds count."""

    bill: str

    def begin(self, attempt: int) -> None:
        """Start, or start again after an answer did not come."""

    def receive(self, message: object) -> None:
        """An answer that may be for this run."""

    def record(self) -> tuple[WriteSet, JsonObject]:
        """The transaction for its result, and job_state after it."""

    def abandon(self) -> None:
        """The workflow failed: let go of what should not go on."""


def located(actor: ResourceActor, job: Job, failure: Failure) -> Failure:
    """The failure with the key of the declaration and the template, which a backend cannot know."""
    where, template = actor.paths.config, actor.template(job)
    if template is not None and f"template {template.id}" not in failure.text:
        where += f": template {template.id!r}"
    return replace(failure, text=f"{where}: {failure.text}")


def _tenant_of_stack(actor: ResourceActor) -> str:
    """Where the stack of a resource was built, as recorded; "" if none was."""
    entry = actor.read.get(actor.paths.heat_stack)
    try:
        record = keys.decode_object(actor.paths.heat_stack, entry.value) if entry is not None else {}
    except keys.BadValue:
        return ""
    return str(record.get("tenant_id") or "") if record.get("stack_id") else ""


class HeatRun:
    """A heat job: one request to the pool."""

    bill = "heat"

    def __init__(self, actor: ResourceActor, job: Job, outputs: Outputs) -> None:
        self._actor, self._job, self._outputs = actor, job, outputs
        self._rid = actor.rid()
        self._done: HeatDone | None = None
        self._wanted = str(job.resource_input.get("tenant_id") or actor.desk.options.admin_tenant)
        # a stack stays in its tenant, whatever is declared since: there it is deleted, and nowhere else is one made
        self._tenant = _tenant_of_stack(actor) or self._wanted
        # one that failed, too: whoever has it tried again may have corrected the template meanwhile
        outcome = actor.desk.world.outcome(job.ref)
        self._again = outcome is not None and outcome.version == job.version
        # what was read after Heat showed a later version still says that ours is the newest
        newest = actor.declared is not None and actor.declared.version == job.version
        self._bygone = actor.overtaken if newest else 0

    def begin(self, attempt: int) -> None:
        """Ask the pool; asked again, another member is asked the same."""
        actor, job = self._actor, self._job
        template = actor.template(job)
        if template is None and job.action in (Action.CREATE, Action.MODIFY):
            actor.fail(
                Failure(ErrorClass.INVALID, "MissingTemplate", f"{actor.paths.config}: no heat template")
            )
            return
        if self._tenant != self._wanted and job.action is not Action.LOGICAL_DELETE:
            text = f"tenant_id is {self._wanted!r}, but its stack is in {self._tenant!r}"
            actor.fail(Failure(ErrorClass.INVALID, "TenantChanged", f"{actor.paths.config}: {text}"))
            return
        template_id, source = (template.id, template.source) if template is not None else ("", "")
        request = HeatRequest(
            self._rid,
            job.ref,
            job.version,
            job.action,
            self._tenant,
            template_id,
            source,
            job.params,
            self._outputs,
            again=self._again,
            bygone=self._bygone,
            term=actor.term,
        )
        actor.reason = f"Heat stack {keys.stack_name(job.ref)}"
        # always the same member: it knows what it is still doing about this stack, and is replaced if it hangs
        actor.tell(actor.desk.heat(self._tenant), request)
        actor.arm(actor.desk.options.heat_silence_s, "overdue")

    def receive(self, message: object) -> None:
        """Progress, success or failure of this very request."""
        actor = self._actor
        match message:
            case HeatProgress() if message.rid == self._rid:
                actor.reason = f"Heat stack {keys.stack_name(self._job.ref)} {message.status}"
                actor.arm(actor.desk.options.heat_silence_s, "overdue")
                actor.report()
            case HeatDone() if message.rid == self._rid:
                self._done = message
                for warning in message.warnings:
                    actor.log.warning("%s version %d: %s", self._job.ref, self._job.version, warning)
                actor.event(Event.DONE)
            case HeatFailed() if message.rid == self._rid:
                actor.overtaken = message.shown or actor.overtaken
                failure = located(actor, self._job, message.failure)
                actor.retry(failure) if failure.retryable else actor.fail(failure)

    def record(self) -> tuple[WriteSet, JsonObject]:
        """T2."""
        assert self._done is not None, "recorded only after HeatDone"
        actor, job, done = self._actor, self._job, self._done
        if job.action is Action.LOGICAL_DELETE:
            stack = keys.encode_deleted_stack(job.ref, self._tenant)
        else:
            stack = keys.encode_heat_stack(job.ref, self._tenant, done.status, done.reason, done.outputs)
        orchestration = not actor.desk.world.monitors_by_job
        results = merge(actor.results, heat_results(job, done.outputs, orchestration=orchestration))
        return record_heat(actor.paths, actor.jobs, stack, results), results

    def abandon(self) -> None:
        """The stack stays as Heat left it: that is what an operator needs to see."""


class MonitorRun:
    """A monitoring job: render the document, watch, wait until everything is as wanted (contract 6.2, 10.13)."""

    bill = "device"

    def __init__(self, actor: ResourceActor, job: Job, outputs: Outputs) -> None:
        self._actor, self._job, self._outputs = actor, job, outputs
        self._rid = actor.rid()
        self._began = actor.now()
        self._sends = 0
        self._targets: tuple[Target, ...] | None = None
        self._last: dict[str, str] = {}
        self._active: dict[str, str] = {}

    def begin(self, attempt: int) -> None:
        """Stop watching, or have the document rendered and watch."""
        actor, job = self._actor, self._job
        if job.action is not Action.CREATE:
            actor.tell(actor.desk.shard, Unregister(job.ref))
            actor.event(Event.DONE)
        elif self._targets is not None:
            self._check()  # the timer fired, or a pool member was replaced
        else:
            self._render(attempt)

    def _render(self, attempt: int) -> None:
        actor, job = self._actor, self._job
        template = actor.template(job)
        if template is None:
            text = f"{actor.paths.config}: no monitoring template"
            actor.fail(Failure(ErrorClass.INVALID, "MissingTemplate", text))
            return
        request = RenderMonitors(self._rid, job.ref, template.id, template.source, job.params, self._outputs)
        actor.reason = f"rendering {template.id}"
        actor.tell(actor.desk.snmp(str(job.ref), attempt + self._sends), request)
        self._sends += 1
        actor.arm(actor.desk.options.request_timeout_s, "overdue")

    def receive(self, message: object) -> None:
        """The rendered targets, then their statuses."""
        match message:
            case MonitorsRendered() if message.rid == self._rid and self._targets is None:
                if message.failure is not None:
                    text = f"{self._actor.paths.config}: {message.failure.text}"
                    self._actor.fail(Failure(ErrorClass.INVALID, message.failure.kind, text))
                    return
                self._targets = message.targets
                asked = (self._job.ref, self._job.version, message.targets, self._actor.seen)
                self._actor.tell(self._actor.desk.shard, Register(*asked))
                self._active = {
                    t.name: "ACTIVE" for t in message.targets if t not in watched(message.targets)
                }
                self._check()
            case TargetStatus() if message.version == self._job.version and self._targets is not None:
                detail = f" ({message.detail})" if message.detail else ""
                for target in self._targets:
                    if (target.name, target.device) != (message.name, message.device):
                        continue  # late news of a device that is not asked any more
                    self._last[target.name] = message.status + detail
                    if target.wanted == message.status:
                        self._active[target.name] = target.active_word
                self._check()

    def _check(self) -> None:
        assert self._targets is not None, "checked only after rendering"
        actor, waited = self._actor, self._actor.now() - self._began
        missing = [t for t in self._targets if t.name not in self._active]
        if not missing:
            actor.event(Event.DONE)
            return
        late = [t for t in missing if waited >= t.timeout_s]
        if late:
            failure = Failure(ErrorClass.TERMINAL, "MonitorTimeout", self._describe(late[0]))
            actor.fail(located(actor, self._job, failure))
            return
        actor.reason = self._describe(missing[0])
        actor.arm(min(t.timeout_s for t in missing) - waited + 0.001, "overdue")
        actor.report()

    def _describe(self, target: Target) -> str:
        seen = self._last.get(target.name, "not answered yet")
        subject = f"{target.subject} on {target.host}" if target.subject else target.host
        return f"monitor '{target.name}' ({subject}) is {seen}, wanted {target.wanted} within {target.timeout_s:g} s"

    def record(self) -> tuple[WriteSet, JsonObject]:
        """T3."""
        actor = self._actor
        results: JsonObject = actor.results
        if self._job.action is Action.CREATE:
            state: dict[str, Json] = {t.name: self._active[t.name] for t in self._targets or ()}
            results = merge(results, {"state_monitoring": state})
        return record_monitoring(actor.paths, actor.jobs, results, self._targets), results

    def abandon(self) -> None:
        """What never became as wanted is not watched on."""
        self._actor.tell(self._actor.desk.shard, Unregister(self._job.ref))
