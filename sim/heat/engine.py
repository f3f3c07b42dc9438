"""Stacks and their transitions, as a function of the time (research/heat.md 3.5, 3.6, 6.4).

Guarantees: deterministic for a given clock and id source. Everything due is settled when a call
begins, so no timer is needed. Refusals are `HeatError`s with Heat's types and texts. Not thread-safe.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum

from sim.heat import plan
from sim.heat.cache import TemplateCache
from sim.heat.fault import HeatError, not_supported, unknown_stack
from sim.heat.hot import Template, check_name, check_version
from sim.heat.parameters import JsonObject, bind
from sim.heat.records import FAR, Record, Resource

#: Deleted stacks that can still be read by their id.
DELETED_KEPT = 1000


class Fate(Enum):
    """How the next action is made to end: by itself, never, or in FAILED."""

    NATURAL = "natural"
    STUCK = "stuck"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Request:
    """What a create or update asks for. None: not said."""

    template: JsonObject | None
    parameters: JsonObject = field(default_factory=dict)
    timeout_min: int | None = None
    disable_rollback: bool | None = None
    tags: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """`resource_s`: seconds per resource; `legacy`: refuse an update during an action (409, as without
    convergence); `max_stacks`: quota per tenant, -1 for none; `extra_s`: further seconds that an action (its
    name) of a stack (its name) takes."""

    resource_s: float = 0.0
    legacy: bool = False
    max_stacks: int = -1
    extra_s: Callable[[str, str], float] = lambda action, name: 0.0


class Engine:
    """All stacks of all tenants. `changed` is called with every record whose lasting state changed."""

    def __init__(
        self,
        now: Callable[[], float],
        new_id: Callable[[], str],
        settings: Settings | None = None,
        changed: Callable[[Record], None] = lambda record: None,
    ) -> None:
        self.settings = settings or Settings()
        self._now = now
        self._pace = plan.Pace(self.settings.resource_s, new_id)
        self._changed = changed
        self._templates = TemplateCache()
        self._stacks: dict[str, Record] = {}
        self._tenants: dict[str, dict[str, Record]] = {}
        self._names: dict[tuple[str, str], list[Record]] = {}
        self._running: dict[str, dict[str, Record]] = {}
        self._deleted: dict[str, Record] = {}
        self._ends: list[tuple[float, int, int, Record]] = []
        self._order = 0

    # ------------------------------------------------------------------------------------------- reading

    def living(self, tenant: str) -> Iterable[Record]:
        """All stacks of a tenant that are not deleted, oldest first."""
        self.settle()
        return self._tenants.get(tenant, {}).values()

    def running(self, tenant: str) -> Iterable[Record]:
        """Those that are IN_PROGRESS."""
        self.settle()
        return self._running.get(tenant, {}).values()

    def named(self, tenant: str, name: str) -> Iterable[Record]:
        """Those of that name, oldest first (Heat does not keep names unique)."""
        self.settle()
        return tuple(self._names.get((tenant, name), ()))

    def deleted(self, tenant: str) -> Iterable[Record]:
        """Those that were deleted lately."""
        self.settle()
        return [record for record in self._deleted.values() if record.tenant == tenant]

    def identity(self, tenant: str, name_or_id: str, *, with_deleted: bool = True) -> Record:
        """The stack of that name (the oldest) or id. Raises HeatError(EntityNotFound)."""
        self.settle()
        named = self._names.get((tenant, name_or_id))
        if named:
            return named[0]
        found = self._stacks.get(name_or_id)
        if found is None and with_deleted:
            found = self._deleted.get(name_or_id)
        if found is None or found.tenant != tenant:
            raise unknown_stack(name_or_id)
        return found

    def get(self, tenant: str, name: str, stack_id: str, *, with_deleted: bool = True) -> Record:
        """The stack of that name and id, a deleted one too. Raises HeatError(EntityNotFound)."""
        self.settle()
        found = self._stacks.get(stack_id)
        if found is None and with_deleted:
            found = self._deleted.get(stack_id)
        if found is None or found.tenant != tenant or found.name != name:
            raise unknown_stack(name)
        return found

    # ------------------------------------------------------------------------------------------- actions

    def create(
        self, tenant: str, name: str, request: Request, fate: Fate = Fate.NATURAL, *, twin: bool = False
    ) -> Record:
        """Begin a create. `twin`: in spite of a stack of that name, as Heat does under concurrency."""
        self.settle()
        check_version(request.template)
        check_name(name)
        if self._names.get((tenant, name)) and not twin:
            raise HeatError(409, "StackExists", f"The Stack ({name}) already exists.")
        self._check_quota(tenant)
        record = self.draft(tenant, name, request)
        self._start(record, plan.build(record, record.created, self._pace), "CREATE", fate)
        self._admit(record)
        self._changed(record)
        return record

    def draft(self, tenant: str, name: str, request: Request) -> Record:
        """A checked stack that is not (yet) one of ours: what a preview shows. Raises HeatError."""
        template, given = self.check(request), dict(request.parameters)
        return Record(
            self._pace.new_id(),
            tenant,
            name,
            template,
            given,
            bind(template.parameters, given),
            request.timeout_min,
            request.disable_rollback is not False,
            request.tags or (),
            self._now(),
        )

    def check(self, request: Request) -> Template:
        """The template of a request, checked. Raises HeatError."""
        assert request.template is not None
        return self._templates.read(request.template)

    def update(
        self,
        record: Record,
        request: Request,
        fate: Fate = Fate.NATURAL,
        *,
        patch: bool = False,
    ) -> None:
        """Begin an update. `patch`: keep template, parameters and tags that are not given anew."""
        self._check_updatable(record)
        document = request.template if request.template is not None else record.template.document
        template = self._templates.read(document)
        given = {**(record.given if patch else {}), **request.parameters}
        bound = bind(template.parameters, given)
        before = (record.template, record.given, record.resources)
        bound_before, action_before = record.bound, record.action
        record.template, record.given, record.bound, record.action = template, given, bound, "UPDATE"
        try:
            steps = plan.build(record, self._now(), self._pace)
        except HeatError:
            record.template, record.given, record.bound = before[0], before[1], bound_before
            record.action = action_before
            raise
        record.before = before
        if request.timeout_min is not None:
            record.timeout_min = request.timeout_min
        if request.disable_rollback is not None:
            record.disable_rollback = request.disable_rollback
        if request.tags is not None or not patch:
            record.tags = request.tags or ()
        record.updated = self._now()
        self._start(record, steps, "UPDATE", fate)
        self._changed(record)

    def delete(self, record: Record, fate: Fate = Fate.NATURAL) -> None:
        """Begin a delete, whatever is under way."""
        self._start(record, plan.sweep(record, "DELETE", self._now(), self._pace), "DELETE", fate)
        self._changed(record)

    def act(self, record: Record, action: str) -> None:
        """CHECK, SUSPEND or RESUME."""
        self._start(record, plan.sweep(record, action, self._now(), self._pace), action, Fate.NATURAL)
        self._changed(record)

    def cancel_update(self, record: Record, *, rollback: bool) -> None:
        """End an update that is under way. Raises HeatError(NotSupported) if there is none."""
        if record.stack_status != "UPDATE_IN_PROGRESS":
            raise not_supported(f"Cancelling update when stack is {record.stack_status}")
        if rollback:
            self._roll_back(record, self._now())
        else:
            record.outcome = ("FAILED", "Stack UPDATE cancelled")
            self._finish(record, self._now())
        self._changed(record)

    # ------------------------------------------------------------------------------------------- the time

    def settle(self) -> None:
        """End every action that is due."""
        while self._ends and self._ends[0][0] <= self._now():
            ends, _, generation, record = heapq.heappop(self._ends)
            if record.generation == generation:
                self._finish(record, ends)
                self._changed(record)

    def next_end(self) -> float | None:
        """When the next action ends, or None."""
        return self._ends[0][0] if self._ends else None

    def adopt(self, records: Iterable[JsonObject]) -> None:
        """Take over stacks from an earlier life; what was under way has failed."""
        for value in records:
            record = self._templates.record(value)
            if record.deleted is not None:
                self._deleted[record.id] = record
                continue
            self._admit(record)
            if record.status == "IN_PROGRESS":
                record.outcome = ("FAILED", f"Engine went down during stack {record.action}")
                self._finish(record, self._now())
                self._changed(record)

    # ------------------------------------------------------------------------------------------- inside

    def _check_quota(self, tenant: str) -> None:
        limit = self.settings.max_stacks
        if 0 <= limit <= len(self._tenants.get(tenant, ())):
            message = f"You have reached the maximum stacks per tenant, {limit}. Please delete some stacks."
            raise HeatError(400, "RequestLimitExceeded", message)

    def _check_updatable(self, record: Record) -> None:
        if record.action == "DELETE":
            raise not_supported("Updating a stack when it is deleting")
        if record.action == "SUSPEND":
            raise not_supported("Updating a stack when it is suspended")
        if self.settings.legacy and record.status == "IN_PROGRESS":
            message = f"Stack {record.name} already has an action ({record.action}) in progress."
            raise HeatError(409, "ActionInProgress", message)

    def _admit(self, record: Record) -> None:
        self._stacks[record.id] = record
        self._tenants.setdefault(record.tenant, {})[record.id] = record
        self._names.setdefault((record.tenant, record.name), []).append(record)
        if record.status == "IN_PROGRESS":
            self._running.setdefault(record.tenant, {})[record.id] = record

    def _start(self, record: Record, steps: plan.Plan, action: str, fate: Fate) -> None:
        now = self._now()
        record.action, record.status, record.reason = action, "IN_PROGRESS", f"Stack {action} started"
        record.resources = steps.resources
        ends = steps.ends + self.settings.extra_s(action, record.name)
        record.outcome = ("FAILED", steps.failure) if steps.failure else ("COMPLETE", "")
        if record.timeout_min is not None and ends > now + 60 * record.timeout_min:
            ends, record.outcome = now + 60 * record.timeout_min, ("FAILED", "Timed out")
        if fate is Fate.FAIL:
            record.outcome = ("FAILED", f"Resource {action} failed: Error: resources: injected failure")
        record.note(now, None, record.stack_status, record.reason)
        self._running.setdefault(record.tenant, {})[record.id] = record
        self._schedule(record, FAR if fate is Fate.STUCK else ends)

    def _schedule(self, record: Record, ends: float) -> None:
        record.generation += 1
        self._order += 1
        if ends < FAR:
            heapq.heappush(self._ends, (ends, self._order, record.generation, record))

    def _finish(self, record: Record, now: float) -> None:
        record.generation += 1
        status, reason = record.outcome
        for resource in record.resources.values():
            _end_resource(record, resource, now)
        if status == "FAILED" and not record.disable_rollback and record.action in ("CREATE", "UPDATE"):
            self._roll_back(record, now)
            return
        record.status = status
        record.reason = reason or f"Stack {record.action} completed successfully"
        record.before = None
        record.note(now, None, record.stack_status, record.reason)
        self._running.get(record.tenant, {}).pop(record.id, None)
        if record.stack_status == "DELETE_COMPLETE":
            self._bury(record, now)

    def _roll_back(self, record: Record, now: float) -> None:
        """Back to what was before the update, or to nothing after a failed create."""
        if record.before is not None:
            record.template, record.given, resources = record.before
            record.bound = bind(record.template.parameters, record.given)
        else:
            resources = {}
        record.before = None
        record.resources = resources
        record.action, record.status, record.reason = "ROLLBACK", "IN_PROGRESS", "Stack ROLLBACK started"
        record.outcome = ("COMPLETE", "")
        record.note(now, None, record.stack_status, record.reason)
        self._schedule(record, now + self._pace.resource_s)

    def _bury(self, record: Record, now: float) -> None:
        record.deleted = now
        record.resources = {}
        del self._stacks[record.id]
        del self._tenants[record.tenant][record.id]
        named = self._names[(record.tenant, record.name)]
        named.remove(record)
        if not named:
            del self._names[(record.tenant, record.name)]
        self._deleted[record.id] = record
        while len(self._deleted) > DELETED_KEPT:
            del self._deleted[next(iter(self._deleted))]


def _end_resource(record: Record, resource: Resource, now: float) -> None:
    """Settle a resource when its stack's action ends: done, failed, or cut short."""
    if resource.status != "IN_PROGRESS":
        return
    if resource.ends <= now and not resource.fails:
        resource.status, resource.reason = "COMPLETE", "state changed"
    else:
        resource.status = "FAILED"
        resource.reason = resource.fails or f"Stack {record.action} ended"
        if resource.fails and resource.action == "CREATE":
            resource.physical_id = ""  # it failed before there was anything
    record.note(now, resource, f"{resource.action}_{resource.status}", resource.reason)
