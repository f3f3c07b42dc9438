"""One HeatActor over the fake, on a manual clock where every call takes its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from actors.core.errors import ErrorClass, PortError
from actors.core.model import Action, Param, ParamType, Ref
from actors.core.options import Options
from actors.heat_pool import HeatActor
from actors.messages import (
    Boot,
    HeatCompared,
    HeatDone,
    HeatFailed,
    HeatHealth,
    HeatProgress,
    HeatRequest,
    Wiring,
)
from actors.ports import REQUEST_ID
from actors.runtime import inline
from actors.runtime.host import Finished
from actors.runtime.inline import InlineHost
from sim.fake_stacks import FakeStacks
from sim.heat.engine import Fate, Settings

TEMPLATE = """heat_template_version: 2013-05-23
parameters: {v: {type: string}}
resources: {a: {type: 'ESI::Test::Knob', properties: {v: {get_param: v}}}}
outputs: {v: {value: {get_attr: [a, v]}}}
"""
CALL_S = 0.1
STACK_S = 2.0
CREATE, GONE = Action.CREATE, Action.LOGICAL_DELETE


def ref(number: int = 0) -> Ref:
    """A resource."""
    return Ref("network", f"00000000-0000-4000-8000-{number:012d}")


@dataclass
class Rig:
    """One HeatActor over a fake Heat; every call takes CALL_S, every stack STACK_S."""

    options: Options = field(default_factory=lambda: Options(types=()))
    down: bool = False

    def __post_init__(self) -> None:
        self.host = InlineHost(pickling=False)
        self.fates: dict[str, Fate] = {}
        self.stacks = FakeStacks(
            lambda: self.host.now,
            Settings(STACK_S),
            fault=self._fault,
            fate=lambda action, name: self.fates.get(action, Fate.NATURAL),
        )
        self.me = self.host.external("requester")
        self.supervisor = self.host.external("supervisor")
        self.heat = self.host.spawn(HeatActor)
        nothing: Any = None
        boot = Boot(self.options, Wiring(nothing, lambda: self.stacks, nothing), "me")
        self.host.tell(self.heat, boot, sender=self.supervisor)
        self.answers: dict[str, tuple[float, Any]] = {}
        self.told: list[HeatProgress] = []

    def _fault(self, point: str, name: str) -> None:
        if self.down:
            raise PortError(ErrorClass.TRANSIENT, "ConnectFailure", "refused")

    def ask(
        self,
        rid: str,
        number: int = 0,
        version: int = 1,
        action: Action = CREATE,
        tenant: str = "t",
        value: str = "",
        term: int = 0,
        again: bool = False,
    ) -> None:
        """Send a request."""
        params = (Param("v", ParamType.VALUE, value or f"value {version}"),)
        request = HeatRequest(
            rid, ref(number), version, action, tenant, "t", TEMPLATE, params, {}, again=again, term=term
        )
        self.host.tell(self.heat, request, sender=self.me)

    def run(self, seconds: float, step_s: float = 0.05) -> None:
        """Let time pass."""
        end = self.host.now + seconds
        while self.host.now < end - 1e-9:
            self.host.advance(step_s)
            for message in self.host.take(self.me):
                if isinstance(message, HeatProgress):
                    self.told.append(message)
                elif isinstance(message, HeatDone | HeatFailed | HeatCompared):
                    self.answers[message.rid] = (self.host.now, message)

    def done(self, rid: str, limit_s: float = 120.0) -> Any:
        """Run until that request is answered."""
        end = self.host.now + limit_s
        while rid not in self.answers:
            assert self.host.now < end, f"{rid} is never answered"
            self.run(0.05)
        return self.answers[rid][1]

    def health(self) -> list[HeatHealth]:
        """What the supervisor was told."""
        return [m for m in self.host.take(self.supervisor) if isinstance(m, HeatHealth)]


@pytest.fixture(autouse=True)
def calls_take_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Submitted work is done at once but reported after CALL_S."""

    def finish(cell: Any, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        try:
            outcome = work()
        except Exception as error:
            outcome = error
        if outcome is not HANGS:
            host = cell.inline
            host.schedule(host.now + CALL_S, cell._address, Finished(then, outcome), cell._address)

    monkeypatch.setattr(inline._Cell, "_finish", finish)
    yield
    REQUEST_ID.set("")


#: What a call returns in place of ever returning.
HANGS: Any = object()
