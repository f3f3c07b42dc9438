"""SnmpPollerActor: asks devices by SNMP and renders monitoring documents. Stateless.

Guarantees: every SnmpPoll is answered, silence included (`core.polling` decides what to believe); a request may be
repeated (what is under way is not begun again) or go to any member of the pool. Thousands may be under way: one
asyncio loop, no thread per poll.
"""

from __future__ import annotations

import os
from itertools import chain

from actors import rendering
from actors.core.monitors import Target, target
from actors.core.options import Options
from actors.core.polling import PollAnswer, undone, unreachable
from actors.messages import (
    Address,
    Boot,
    MonitorsRendered,
    Ping,
    Pong,
    RenderMonitors,
    SnmpAnswer,
    SnmpPoll,
    Topology,
)
from actors.ports import Agent
from actors.runtime.host import Busy
from actors.runtime.io import IoActor
from actors.snmp_poll import poll


class SnmpPollerActor(IoActor):
    """One member of the pool: a process with an asyncio loop."""

    def started(self) -> None:
        """Nothing is known before Boot."""
        self._options: Options | None = None
        self._agent: Agent | None = None
        self._generation = 0
        self._under_way: set[tuple[Address, str]] = set()

    def receive(self, message: object, sender: Address) -> None:
        """The closed set of messages that an SnmpPollerActor takes."""
        match message:
            case Boot() if self._options is None:
                self._options, self._agent = message.options, message.wiring.agent()
            case Topology() if self._options is not None:
                self._generation = message.generation
            case SnmpPoll():
                self._poll(message, sender)
            case RenderMonitors() if self._options is not None:  # before Boot: it will be asked again
                self.tell(sender, self._render(message))
            case Ping():
                self.tell(sender, Pong(message.seq, os.getpid(), self._generation))

    def _poll(self, message: SnmpPoll, sender: Address) -> None:
        agent, request, key = self._agent, message.request, (sender, message.rid)
        if key in self._under_way:
            return  # asked again for want of patience: the answer comes
        if agent is None:
            self.tell(sender, SnmpAnswer(message.rid, undone(request, "the poller is starting")))
            return

        def answered(outcome: PollAnswer | BaseException) -> None:
            self._under_way.discard(key)
            if isinstance(outcome, BaseException):
                self.log.error("polling %s raised", request.host, exc_info=outcome)
                outcome = unreachable(request, f"unexpected error: {type(outcome).__name__}")
            self.tell(sender, SnmpAnswer(message.rid, outcome))

        try:
            self.submit_async(lambda: poll(agent, request), answered)
            self._under_way.add(key)
        except Busy:
            self.tell(sender, SnmpAnswer(message.rid, undone(request, "too many polls are under way")))

    def _render(self, message: RenderMonitors) -> MonitorsRendered:
        try:
            return MonitorsRendered(message.rid, self._targets(message))
        except Exception as error:  # noqa: BLE001 - whatever a template can do is its own mistake
            failure = rendering.failure_of(error, message.ref, message.template_id, self.log)
            return MonitorsRendered(message.rid, (), failure)

    def _targets(self, message: RenderMonitors) -> tuple[Target, ...]:
        assert self._options is not None, "asked only after Boot"
        options = self._options
        values, missing = rendering.resolve(message.params, message.outputs)
        for warning in chain.from_iterable(missing.values()):
            self.log.warning("%s template %s: %s", message.ref, message.template_id, warning)
        monitors = rendering.render_monitors(message.template, values)
        community, types = options.default_community_name, options.monitor_types
        return tuple(target(m.name, m.type, m.properties, community, types) for m in monitors)
