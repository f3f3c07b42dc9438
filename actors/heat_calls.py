"""The calls of one HeatActor: whose turn it is, whether Heat is asked at all, and what becomes of hung ones.

Guarantees: at most `slots` calls at once and a part of them per tenant, in turns (`core.fairness`); while the
breaker is open calls wait here instead of failing one by one; a call that never returns is given up after
`call_max_s`, and its thread with it. Used on the actor's thread only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from actors.core.breaker import Breaker
from actors.core.errors import ErrorClass, Failure, PortError
from actors.core.fairness import Turns
from actors.ports import Stacks
from actors.runtime.host import Busy

#: Classes that speak against the endpoint and not against the request.
_UNWELL = frozenset({ErrorClass.TRANSIENT, ErrorClass.IN_DOUBT})
#: What may wait: far more than resources can be in flight.
WAITING_MAX = 100_000
#: So many times `slots` hung threads are left behind before the process gives itself up.
HUNG_TIMES = 4

Work = Callable[[Stacks], object]
Then = Callable[[object], None]
#: Says what to call, when its turn has come; None: nothing any more.
Prepare = Callable[[], "Call | None"]


@dataclass(frozen=True, slots=True)
class Call:
    """`work` runs on a thread; `then` gets its result or a Failure, on the actor's thread."""

    work: Work
    then: Then
    write: bool = False


class Owner(Protocol):
    """What is needed of the actor."""

    def now(self) -> float:
        """The runtime's clock."""

    def submit(self, work: Callable[[], object], then: Callable[[object], None]) -> None:
        """See IoActor."""

    def wake(self, delay_s: float) -> None:
        """Have `pump` called after that time."""

    def health(self, breaker: Breaker, down_s: float) -> None:
        """The breaker opened, or closed after so long."""

    @property
    def log(self) -> logging.Logger:
        """Its logger."""

    def exhausted(self) -> None:
        """Too many threads hang."""


@dataclass(slots=True, eq=False)
class _UnderWay:
    tenant: str
    call: Call
    began: float


class Calls:
    """All calls to one endpoint."""

    def __init__(self, owner: Owner, stacks: Stacks, slots: int, call_max_s: float, name: str) -> None:
        self._owner = owner
        self._stacks = stacks
        self._call_max_s = call_max_s
        self._turns: Turns[Prepare] = Turns(slots, max(1, slots * 3 // 4), WAITING_MAX)
        self._under_way: set[_UnderWay] = set()
        self._hung = 0
        self._waking = False
        self.breaker = Breaker(name)

    def add(self, tenant: str, prepare: Prepare) -> None:
        """Have `prepare` called when it is this tenant's turn. Raises FullError."""
        self._turns.add(tenant, prepare)
        self.pump()

    def waiting(self, tenant: str) -> int:
        """Calls of this tenant that wait for their turn."""
        return self._turns.ahead(tenant)

    def pump(self) -> None:
        """Send what may be sent now."""
        while self.breaker.allows(self._owner.now()):
            taken = self._turns.take()
            if taken is None:
                return
            tenant, prepare = taken
            call = prepare()
            if call is None:
                self._turns.done(tenant)
            else:
                self._send(tenant, call)
        if self._turns.waiting and not self._waking and not self.breaker.probing:
            self._waking = True
            self._owner.wake(max(0.001, self.breaker.retry_at - self._owner.now()))

    def woken(self) -> None:
        """The time asked for by `wake` is over."""
        self._waking = False
        self.pump()

    def sweep(self) -> None:
        """Give up what hangs."""
        limit = self._owner.now() - self._call_max_s
        for one in [one for one in self._under_way if one.began < limit]:
            self._hung += 1
            text = f"no end of the call after {self._call_max_s:g} s"
            error_class = ErrorClass.IN_DOUBT if one.call.write else ErrorClass.TRANSIENT
            self._ended(one, Failure(error_class, "Hung", text))
        if self._hung >= HUNG_TIMES * self._turns.slots:
            self._owner.exhausted()

    def _send(self, tenant: str, call: Call) -> None:
        one = _UnderWay(tenant, call, self._owner.now())
        self._under_way.add(one)
        self.breaker = self.breaker.sent()
        stacks = self._stacks
        try:
            self._owner.submit(lambda: call.work(stacks), lambda outcome: self._returned(one, outcome))
        except Busy:
            self._ended(one, Failure(ErrorClass.TRANSIENT, "Busy", "no thread is free"))

    def _returned(self, one: _UnderWay, outcome: object) -> None:
        if one not in self._under_way:
            self._hung -= 1  # it was given up, and its thread is free again
            return
        if isinstance(outcome, PortError):
            outcome = outcome.failure
        elif isinstance(outcome, BaseException):
            outcome = self.unforeseen(outcome)
        self._ended(one, outcome)

    def unforeseen(self, error: BaseException) -> Failure:
        """What nobody expected of Heat, or of ourselves, is logged and tried again later."""
        self._owner.log.error("a call to Heat raised", exc_info=error)
        return Failure(ErrorClass.TRANSIENT, type(error).__name__, "unexpected error, see log")

    def _ended(self, one: _UnderWay, outcome: object) -> None:
        self._under_way.discard(one)
        self._turns.done(one.tenant)
        before = self.breaker
        if isinstance(outcome, Failure) and outcome.error_class in _UNWELL:
            self.breaker = before.failed(self._owner.now(), str(outcome))
        else:
            self.breaker = before.succeeded()
        if before.open != self.breaker.open:
            self._owner.health(self.breaker, self._owner.now() - before.since if before.open else 0.0)
        try:
            one.call.then(outcome)
        finally:
            self.pump()
