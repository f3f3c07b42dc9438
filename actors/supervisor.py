"""Supervisor: creates every process before any I/O starts, keeps them alive, and routes what run.py asks.

Guarantees: a process that dies or does not answer heartbeats is replaced and everybody is told (`Topology`);
more than `restarts_max` replacements within `restarts_window_s` end the whole system with a clear line, since
something is wrong that restarting does not cure. Knows nothing of resources.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from actors import metered
from actors.etcd_bridge import EtcdBridge
from actors.heat_pool import HeatActor
from actors.messages import (
    Address,
    Apply,
    Boot,
    HeatHealth,
    Ping,
    Pong,
    StatusQuery,
    StatusReply,
    Tick,
    Topology,
)
from actors.messages.telemetry import HttpAt
from actors.runtime.actor import BaseActor
from actors.shard import Shard
from actors.snmp_pool import SnmpPollerActor
from actors.telemetry import Telemetry

#: Questions that a lost shard left open are forgotten beyond this.
ASKED_MAX = 100
#: Who has not answered at all yet may still be importing its libraries, which takes long on a busy machine: so many
#: times the heartbeats that others may miss. A process that dies meanwhile is seen at once all the same.
STARTING = 5


def together(replies: Sequence[StatusReply], pids: Mapping[str, int]) -> StatusReply:
    """One status out of those of all shards."""
    counts: Counter[str] = Counter()
    for reply in replies:
        counts.update(reply.counts)
    down = [r.store for r in replies if r.store != "up"]
    return StatusReply(
        rid=replies[0].rid,
        ready=all(r.ready for r in replies),
        store=down[0] if down else "up",
        counts=dict(counts),
        rows=tuple(row for r in replies for row in r.rows),
        problems=tuple(dict.fromkeys(p for r in replies for p in r.problems)),
        pids=dict(pids),
    )


def heat_text(told: Sequence[HeatHealth], wall_offset_s: float) -> str:
    """What a person is told of Heat: each member of the pool says when its circuit breaker opens or closes."""
    down = [one for one in told if not one.up]
    if not down:
        return "up"
    since = datetime.fromtimestamp(min(one.since for one in down) + wall_offset_s, UTC)
    waiting = sum(one.waiting + one.under_way for one in down)
    return f"down since {since:%H:%M:%S} UTC, {waiting} stacks wait: {down[0].reason}"


@dataclass(slots=True)
class Member:
    """One process: which part it plays and how long it has been silent."""

    role: str
    cls: type[BaseActor]
    address: Address
    missed: int = 0
    pid: int = 0


class Supervisor(BaseActor):
    """The root of the tree."""

    def started(self) -> None:
        """Nothing is known before Boot."""
        self._boot: Boot | None = None
        self._members: list[Member] = []
        self._generation = 0
        self._restarts: deque[float] = deque()
        self._seq = 0
        self._replaced: Counter[str] = Counter()
        self._http = ""
        self._heat: dict[Address, HeatHealth] = {}
        self._asked: dict[str, tuple[Address, dict[Address, StatusReply]]] = {}

    def receive(self, message: object, sender: Address) -> None:
        """The closed set of messages that a Supervisor takes."""
        match message:
            case Boot():
                self._begin(message)
            case Tick():
                self._heartbeat()
            case Pong():
                self._heard(message, sender)
            case StatusQuery():
                self._asked[message.rid] = (sender, {})
                for shard in self._of("shard"):
                    self.tell(shard, message)
                if not self._members:
                    self.tell(sender, StatusReply(message.rid, False, "starting", {}, (), ()))
            case StatusReply():
                self._told(message, sender)
            case HeatHealth():
                self._heat[sender] = message
            case HttpAt():
                self._listens(message.address)
            case Apply():
                bridge = self._of("bridge")[0]
                self.tell(bridge, replace(message, reply_to=sender))

    def _listens(self, at: str) -> None:
        """Telemetry has opened its port: another one, if this dies, opens the same, which people know by now."""
        assert self._boot is not None, "Telemetry exists only after Boot"
        self._http, port = at, at.rpartition(":")[2]
        if port:
            self._boot = replace(self._boot, options=replace(self._boot.options, http_port_before=int(port)))

    def _of(self, role: str) -> tuple[Address, ...]:
        return tuple(m.address for m in self._members if m.role == role)

    def _begin(self, boot: Boot) -> None:
        if self._boot is not None:
            return
        self._boot, options = boot, boot.options
        counted = options.http_port is not None or options.traces
        parts: list[tuple[str, type[BaseActor]]] = [
            ("bridge", metered.EtcdBridge if counted else EtcdBridge),
            *[("heat", metered.HeatActor if counted else HeatActor)] * options.heat_actors,
            *[("snmp", metered.SnmpPollerActor if counted else SnmpPollerActor)] * options.snmp_actors,
            *[("shard", metered.Shard if counted else Shard)] * options.shards,
            *([("telemetry", Telemetry)] if counted else []),
        ]
        self._members = [Member(role, cls, self.spawn(cls)) for role, cls in parts]
        self._replaced.update({role: 0 for role, _ in parts})
        for member in self._members:
            self.tell(member.address, boot)
        self._announce()
        self.after(options.heartbeat_s, Tick("heartbeat"))

    def _heard(self, pong: Pong, sender: Address) -> None:
        """A member lives. One that missed what everybody was told once is told again."""
        for member in self._members:
            if member.address != sender:
                continue
            member.missed, member.pid = 0, pong.pid
            if pong.generation != self._generation:
                self.tell(member.address, self._boot)
                self.tell(member.address, self._topology())

    def _announce(self) -> None:
        self._generation += 1
        for member in self._members:
            self.tell(member.address, self._topology())

    def _topology(self) -> Topology:
        telemetry = next(iter(self._of("telemetry")), None)
        return Topology(
            self._generation,
            self._of("bridge")[0],
            self._of("heat"),
            self._of("snmp"),
            self._of("shard"),
            telemetry,
        )

    def _told(self, reply: StatusReply, shard: Address) -> None:
        """Put the answers of all shards together."""
        sender, replies = self._asked.get(reply.rid, (None, {}))
        if sender is None:
            return
        replies[shard] = reply
        if set(replies) >= set(self._of("shard")):
            del self._asked[reply.rid]
            reply = together(list(replies.values()), self._pids())
            assert self._boot is not None, "shards exist only after Boot"
            told = [self._heat[one] for one in self._of("heat") if one in self._heat]
            heat = heat_text(told, self._boot.wall_offset_s)
            self.tell(sender, replace(reply, http=self._http, restarts=dict(self._replaced), heat=heat))

    def _pids(self) -> dict[str, int]:
        return {f"{m.role} {i}": m.pid for i, m in enumerate(self._members) if m.pid}

    def child_exited(self, address: Address) -> None:
        """A process died: replace it."""
        for member in self._members:
            if member.address == address:
                self._replace(member, "died")

    def _replace(self, member: Member, why: str) -> None:
        assert self._boot is not None, "members exist only after Boot"
        options, now = self._boot.options, self.now()
        self._restarts.append(now)
        while self._restarts and now - self._restarts[0] > options.restarts_window_s:
            self._restarts.popleft()
        if len(self._restarts) > options.restarts_max:
            self.log.critical(
                "%d restarts within %g s, the last of %s: giving up",
                len(self._restarts),
                options.restarts_window_s,
                member.role,
            )
            self.stop_self()
            return
        self._replaced[member.role] += 1
        self.log.error("%s (pid %s) %s: starting another", member.role, member.pid or "?", why)
        self._heat.pop(member.address, None)
        member.address, member.missed, member.pid = self.spawn(member.cls), 0, 0
        self.tell(member.address, self._boot)
        self._announce()

    def _heartbeat(self) -> None:
        assert self._boot is not None, "heartbeats begin after Boot"
        options = self._boot.options
        self._seq += 1
        while len(self._asked) > ASKED_MAX:
            del self._asked[next(iter(self._asked))]
        for member in self._members:
            patience = options.heartbeats_missed_max * (1 if member.pid else STARTING)
            if member.missed >= patience:
                old = member.address
                self._replace(member, f"missed {member.missed} heartbeats")
                self.kill_child(old)
                continue
            member.missed += 1
            self.tell(member.address, Ping(self._seq))
        self.after(options.heartbeat_s, Tick("heartbeat"))
