"""One poll of one device over the `Agent` port, by the rules of `core.polling`.

Guarantees: `poll` never raises for what a device or the network does, walks ifName at most once, sends a
bounded number of requests, and reports a value only from a PDU that the rules believe. It keeps no state
between polls: that travels in PollRequest and PollAnswer.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from actors.core.asking import FULL_CHUNK, IF_NAME, PROBE, UNKNOWN, Plan, Row, Value
from actors.core.errors import PortError
from actors.core.polling import (
    NO_NEWS,
    NOT_FOUND,
    Epoch,
    PollAnswer,
    PollRequest,
    indexes_in,
    read,
    settle,
    undone,
    unreachable,
)
from actors.ports import Agent, DeviceAddress

#: Failures that say nothing of the device: our socket could not be opened, or is closed.
_OURS = frozenset({"Socket", "Closed"})
#: Failures that the agent tells at once.
_SAID = frozenset({"TooBig", "AgentError"})
#: What one poll may spend on PDUs that fail though the device is there: one for each that is refused, which each that
#: succeeds makes good, and this for each that is not answered, since that takes all its tries.
_SILENCE: Final = 16
_BUDGET: Final = 3 * _SILENCE


async def poll(agent: Agent, request: PollRequest) -> PollAnswer:
    """Ask the device everything that `request` wants (contract 6.2, 6.7; fields in `core.polling`)."""
    device = DeviceAddress(request.host, request.port, request.community_name)
    conversation = _Conversation(agent, device, max(1, request.chunk), request.epoch)
    plan = request.plan
    try:
        await conversation.ask(plan)
    except PortError as error:
        answer = undone if error.failure.kind in _OURS else unreachable
        return answer(request, str(error.failure))
    walked, missing = False, NO_NEWS
    follows = request.may_follow and conversation.distrust
    if plan.indexes and (follows or (request.may_walk and (conversation.distrust or plan.lacking))):
        try:
            plan = Plan(request.queries, indexes_in(await agent.walk(device, IF_NAME), plan.indexes))
            walked, missing = True, NOT_FOUND
        except PortError as error:
            # The old indexes stay: a failed walk must not lose what was learned.
            conversation.note(f"walk of ifName: {error.failure}")
            missing = UNKNOWN
    # Where no name is wanted there is nothing to index: a restarted agent is just asked again.
    if walked or (conversation.distrust and not plan.indexes):
        await _ask_again(conversation, plan)
    rows, values = plan.rows, conversation.values
    if conversation.distrust:
        rows = [row for row in rows if row in values]
        missing = NO_NEWS if missing == NO_NEWS else UNKNOWN
    found = settle(request, rows, values, missing)
    return PollAnswer(
        reachable=True,
        reason=conversation.reason,
        # Distrusted values keep the old epoch, so that the next poll distrusts them again until re-indexed.
        epoch=request.epoch if conversation.distrust else conversation.epoch,
        learned=plan.indexes if walked else None,
        found=found,
        ticks=tuple(map(conversation.ticks.get, range(len(found)))) if request.numbers else (),
        reindexed=walked,
        walked=missing != NO_NEWS,
        chunk=conversation.next_chunk(),
    )


async def _ask_again(conversation: _Conversation, plan: Plan) -> None:
    """The poll after the table was learned anew: its own first answer is the reference."""
    if conversation.distrust:
        conversation.chunk = FULL_CHUNK
    conversation.reset()
    try:
        await conversation.ask(plan)
    except PortError as error:
        conversation.note(str(error.failure))


@dataclass(slots=True)
class _Conversation:
    """The requests of one poll. `epoch` is the reference and then what was seen last."""

    agent: Agent
    device: DeviceAddress
    chunk: int
    epoch: Epoch | None
    budget: int = _BUDGET
    heard: bool = False
    shrunk: bool = False
    distrust: str = ""
    reason: str = ""
    values: dict[Row, Value] = field(default_factory=dict)
    ticks: dict[int, int | None] = field(default_factory=dict)

    def note(self, reason: str) -> None:
        """Keep the last explanation of what is missing."""
        self.reason = reason

    def reset(self) -> None:
        """Forget what was said in another epoch."""
        self.epoch, self.distrust, self.reason, self.values = None, "", "", {}

    async def ask(self, plan: Plan) -> None:
        """Ask for all rows, a chunk per PDU, until one cannot be believed. What is not answered is asked again in
        halves after the others, so that a row that the agent cannot tell hides no other.

        Raises PortError only if the device has not answered anything in this poll.
        """
        todo = deque([(0, len(plan.rows))])
        while todo:
            begin, end = todo.popleft()
            part, oids = plan.part(begin, min(self.chunk, end - begin))
            middle, stop = begin + len(part) // 2, begin + len(part)
            try:
                reply = await self.agent.get(self.device, oids)
            except PortError as error:
                if await self._smaller(len(part), error):
                    todo.appendleft((begin, end))
                    continue
                if self.budget <= 0 or not part:
                    return
                if stop < end:
                    todo.appendleft((stop, end))
                if len(part) > 1:
                    todo += (begin, middle), (middle, stop)
                continue
            self.heard = True
            look = read(part, reply, self.epoch)
            self.ticks.update((row.at, look.epoch.uptime_ticks) for row in part)
            if look.distrust:
                self.distrust = self.reason = look.distrust
                self.values = {row: value for row, value in self.values.items() if not row.name}
                self.values.update(look.values)
                return
            self.epoch = look.epoch if self.epoch is None else self.epoch.then(look.epoch)
            self.values.update(look.values)
            self.budget = min(_BUDGET, self.budget + 1)
            if stop < end:
                todo.appendleft((stop, end))

    async def _smaller(self, asked: int, error: PortError) -> bool:
        """Decide about a PDU that failed: True, if it is worth asking all with fewer rows.

        An agent that finds an answer too big says so, or it stays silent to big requests only: that is
        told from a dead device by asking for the header alone, once.
        """
        if error.failure.kind == "TooBig" and asked > 0:
            self.heard = smaller = True
        elif not self.heard and asked > 0:
            await self.agent.get(self.device, PROBE.part(0, 1)[1])
            self.heard = smaller = True
        elif not self.heard:
            raise error
        else:
            smaller = False
        if smaller and asked > 1:
            self.chunk, self.shrunk = asked // 2, True
            return True
        self.note(str(error.failure))
        self.budget -= 1 if error.failure.kind in _SAID else _SILENCE
        # so many at once are no accident: the next poll isolates those that are to blame
        if self.budget <= 0:
            self.chunk, self.shrunk = max(1, asked // 2), True
        return False

    def next_chunk(self) -> int:
        """The chunk for the next poll: after a poll without trouble one more row, up to FULL_CHUNK.

        Growing slowly heals a shrink that only packet loss had caused.
        """
        return self.chunk if self.shrunk or self.reason else min(FULL_CHUNK, self.chunk + 1)
