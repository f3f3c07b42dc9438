"""The stacks that are in progress: one question per tenant and tick tells which of them have ended.

Guarantees: at most one such question per tenant is under way; a stack is told to have ended only by an answer
that was asked for after it had gone into progress. Used on the actor's thread only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from actors.core.heat_tick import next_delay_s
from actors.heat_calls import Call, Calls
from actors.messages import Tick
from actors.runtime.host import Timer


class Owner(Protocol):
    """What is needed of the actor."""

    def now(self) -> float:
        """The runtime's clock."""

    def after(self, delay_s: float, payload: object) -> Timer:
        """Deliver `payload` to the actor later."""

    @property
    def log(self) -> logging.Logger:
        """Its logger."""


@dataclass(slots=True)
class _Tenant:
    """`stacks`: stack id → rid. `changed`: when something last did; `delay_s`: the last one, 0 after a change.

    `tick` is armed for `due`, unless the question is `asked` (waits for its turn or is under way). `unheard`: why the
    last one brought no answer.
    """

    stacks: dict[str, str] = field(default_factory=dict)
    changed: float = 0.0
    delay_s: float = 0.0
    call_s: float = 0.0
    unheard: str = ""
    tick: Timer | None = None
    due: float = 0.0
    asked: bool = False


class Waits:
    """All stacks of all tenants. `ended` is called with the rid of each that is not in progress any more."""

    def __init__(self, owner: Owner, calls: Calls, tick_s: float, ended: Callable[[str], None]) -> None:
        self._owner = owner
        self._calls = calls
        self._tick_s = tick_s
        self._ended = ended
        self._tenants: dict[str, _Tenant] = {}
        #: rid → the one stack that it waits for
        self._stacks: dict[str, tuple[str, str]] = {}

    def add(self, tenant: str, stack_id: str, rid: str) -> None:
        """Wait for that stack, and for no other of that request."""
        self.forget(rid)
        one = self._tenants.setdefault(tenant, _Tenant())
        one.stacks[stack_id] = rid
        self._stacks[rid] = (tenant, stack_id)
        self._changed(tenant, one)

    def forget(self, rid: str) -> None:
        """Do not wait for the stack of this request, if it waits for one."""
        tenant, stack_id = self._stacks.pop(rid, ("", ""))
        one = self._tenants.get(tenant)
        if one is not None and one.stacks.get(stack_id) == rid:
            del one.stacks[stack_id]

    def unheard(self, rid: str) -> str:
        """Why it is not known how the stack of this request is, if it waits for one: "" if that is known."""
        tenant, _ = self._stacks.get(rid, ("", ""))
        one = self._tenants.get(tenant)
        return one.unheard if one is not None else ""

    def poll(self, tenant: str) -> None:
        """The tick that was armed is due."""
        one = self._tenants.get(tenant)
        if one is None or one.asked:
            return
        one.tick = None
        if not one.stacks:
            del self._tenants[tenant]
            return
        one.asked = True
        self._calls.add(tenant, lambda: self._ask(tenant, one))

    def _changed(self, tenant: str, one: _Tenant) -> None:
        one.changed, one.delay_s = self._owner.now(), 0.0
        if not one.asked:
            self._arm(tenant, one)

    def _arm(self, tenant: str, one: _Tenant) -> None:
        """Ask again after a while, or sooner than was planned."""
        now = self._owner.now()
        one.delay_s = next_delay_s(
            one.delay_s,
            quiet_s=now - one.changed,
            in_flight=len(one.stacks),
            call_s=one.call_s,
            tick_s=self._tick_s,
        )
        if one.tick is not None:
            if one.due <= now + one.delay_s:
                return
            one.tick.cancel()
        one.due = now + one.delay_s
        one.tick = self._owner.after(one.delay_s, Tick(f"poll {tenant}"))

    def _ask(self, tenant: str, one: _Tenant) -> Call:
        asked, began = dict(one.stacks), self._owner.now()
        return Call(
            lambda stacks: stacks.in_progress(tenant),
            lambda outcome: self._answered(tenant, asked, began, outcome),
        )

    def _answered(self, tenant: str, asked: dict[str, str], began: float, outcome: object) -> None:
        one, now = self._tenants[tenant], self._owner.now()
        one.asked, one.call_s = False, now - began
        over = []
        one.unheard = ""
        if isinstance(outcome, frozenset):
            over = [rid for sid, rid in asked.items() if sid not in outcome and one.stacks.get(sid) == rid]
        else:
            one.unheard = f"asked how it is, Heat says {outcome}"
            self._owner.log.warning("status of the stacks of tenant %s: %s", tenant, outcome)
        for rid in over:
            self.forget(rid)
            self._ended(rid)
        if over:
            one.changed, one.delay_s = now, 0.0
        self._arm(tenant, one)
