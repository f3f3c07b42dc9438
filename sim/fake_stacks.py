"""The `Stacks` port in memory, over the same engine as the embedded Heat server.

Guarantees: the same behaviour as `HeatStacks` on that server, refusals and texts included; deterministic for
a given clock; nothing waits: with no latency an action is over at the next call. Any thread may call.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from actors.core.errors import ErrorClass, PortError, classify_heat
from actors.core.redact import redact, secret_values
from actors.ports import Stack, StackSpec
from sim.heat.engine import Engine, Fate, Request, Settings
from sim.heat.fault import HeatError
from sim.heat.outputs import resolve
from sim.heat.parameters import shown
from sim.heat.records import Record

#: Told of each point of each request and the stack's name ("" for in_progress): "find", "create", "update",
#: "delete", "in_progress", "get" before it takes effect, with ".done" after. May raise PortError.
FaultHook = Callable[[str, str], None]
#: How an action ("CREATE", "UPDATE", "DELETE") on the stack of that name ends.
FateHook = Callable[[str, str], Fate]
#: Values that must not show in a refusal.
Secrets = Callable[[], frozenset[str]]
T = TypeVar("T")


def _no_fault(_point: str, _name: str) -> None:
    return


def _natural(_action: str, _name: str) -> Fate:
    return Fate.NATURAL


class FakeStacks:
    """Stacks of all tenants. `now`: seconds of the test's clock; `settings`: how long things take.

    `engine` is open to tests: two stacks of one name are made by `engine.create(..., twin=True)`.
    """

    def __init__(
        self,
        now: Callable[[], float],
        settings: Settings | None = None,
        *,
        admin_tenant: str = "admin",
        fault: FaultHook = _no_fault,
        fate: FateHook = _natural,
    ) -> None:
        self._admin_tenant = admin_tenant
        self._fault = fault
        self._fate = fate
        self._lock = threading.Lock()
        self._ids = 0
        self.engine = Engine(now, self._new_id, settings)
        #: How many requests of each kind were made.
        self.requests: dict[str, int] = {}

    def find(self, tenant: str, *names: str) -> tuple[Stack, ...]:
        """See `ports.Stacks`. The fault hook is told of each name."""

        def look() -> tuple[Stack, ...]:
            found = [one for name in names for one in self.engine.named(self._project(tenant), name)]
            return tuple(_stack(one, outputs=False) for one in found)

        return self._request("find", names, look)

    def create(self, spec: StackSpec) -> str:
        """See `ports.Stacks`."""

        def make() -> str:
            fate = self._fate("CREATE", spec.name)
            return self.engine.create(self._project(spec.tenant), spec.name, _asked(spec), fate).id

        return self._request("create", (spec.name,), make, lambda: _secrets(spec))

    def update(self, spec: StackSpec, stack_id: str) -> None:
        """See `ports.Stacks`."""

        def change() -> None:
            record = self._living(spec.tenant, spec.name, stack_id)
            self.engine.update(record, _asked(spec), self._fate("UPDATE", spec.name))

        self._request("update", (spec.name,), change, lambda: _secrets(spec))

    def delete(self, tenant: str, name: str, stack_id: str) -> None:
        """See `ports.Stacks`."""

        def remove() -> None:
            record = self._living(tenant, name, stack_id)
            self.engine.delete(record, self._fate("DELETE", name))

        try:
            self._request("delete", (name,), remove)
        except PortError as error:
            if error.failure.error_class is not ErrorClass.NOT_FOUND:
                raise

    def in_progress(self, tenant: str) -> frozenset[str]:
        """See `ports.Stacks`."""
        project = self._project(tenant)
        return self._request(
            "in_progress", ("",), lambda: frozenset(record.id for record in self.engine.running(project))
        )

    def get(self, tenant: str, name: str, stack_id: str, *, outputs: bool) -> Stack:
        """See `ports.Stacks`."""

        def look() -> Stack:
            record = self._living(tenant, name, stack_id)
            parameters = shown(record.template.parameters, record.bound)
            return replace(_stack(record, outputs=outputs), parameters=parameters)

        return self._request("get", (name,), look)

    def _request(
        self, point: str, names: Sequence[str], work: Callable[[], T], secrets: Secrets = frozenset
    ) -> T:
        """One request: counted, with its faults, and with refusals as PortErrors."""
        with self._lock:
            self.requests[point] = self.requests.get(point, 0) + 1
            for name in names:
                self._fault(point, name)
            try:
                answer = work()
            except HeatError as error:
                failure = classify_heat(error.status, error.type, may_have_acted=False, message=error.message)
                raise PortError(failure, error.type, redact(error.message, secrets())) from None
            for name in names:
                self._fault(f"{point}.done", name)
            return answer

    def _living(self, tenant: str, name: str, stack_id: str) -> Record:
        return self.engine.get(self._project(tenant), name, stack_id, with_deleted=False)

    def _project(self, tenant: str) -> str:
        return tenant or self._admin_tenant

    def _new_id(self) -> str:
        self._ids += 1
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"fake heat {self._ids}"))


def _asked(spec: StackSpec) -> Request:
    return Request(
        spec.template, dict(spec.parameters), spec.timeout_min, disable_rollback=True, tags=spec.tags
    )


def _secrets(spec: StackSpec) -> frozenset[str]:
    return secret_values(spec.template, spec.parameters) | spec.secrets


def _stack(record: Record, *, outputs: bool) -> Stack:
    resolved = tuple(resolve(record)) if outputs else ()
    return Stack(
        record.id,
        record.name,
        record.action,
        record.status,
        record.reason,
        record.tags,
        resolved,
        str(record.updated or ""),
    )
