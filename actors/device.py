"""DeviceActor: watches everything that is wanted of one device (contract 6.2, 6.7, 10.13).

Guarantees: one timer and at most one poll under way per device, whatever the number of targets; the first poll
at once; fast until every target is as wanted, then slow; a status is told when it is confirmed
(`core.observing`) and never from silence but as FAIL after consecutive failures. A silent device costs nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.core.backoff import delay_s
from actors.core.model import Ref
from actors.core.monitors import Kind, Target
from actors.core.observing import ObserveOptions, Record, observe
from actors.core.polling import BgpQuery, Epoch, PollAnswer, PollRequest, PortQuery, VrrpQuery
from actors.desk import Desk
from actors.messages import (
    Address,
    DeviceBegin,
    PoolChanged,
    SnmpAnswer,
    SnmpPoll,
    TargetStatus,
    Tick,
    UnwatchTargets,
    WatchTarget,
)
from actors.runtime.actor import BaseActor
from actors.runtime.host import Timer

#: Registrations that arrive together are asked together.
GATHER_S = 0.002
#: A silent device is asked less and less often.
SILENT_BASE_S = 5.0
SILENT_CAP_S = 300.0


@dataclass(slots=True)
class Watched:
    """One target of one resource, and what is believed of it."""

    message: WatchTarget
    record: Record

    @property
    def target(self) -> Target:
        """What is watched."""
        return self.message.target


class DeviceActor(BaseActor):
    """One per monitored address and community, inside its shard's process."""

    in_process = True

    def started(self) -> None:
        """Nothing is known before DeviceBegin."""
        self.device = ""
        self._watched: dict[tuple[Ref, str], Watched] = {}
        self._epoch: Epoch | None = None
        self._indexes: dict[str, int | None] = {}
        self._chunk = 25
        self._rid = ""
        self._polls = 0
        self._asked: frozenset[tuple[Ref, str]] = frozenset()
        self._silent = 0
        self._timer: Timer | None = None

    def receive(self, message: object, sender: Address) -> None:
        """The closed set of messages that a DeviceActor takes."""
        match message:
            case DeviceBegin():
                self.desk: Desk = message.desk
                self.device = message.device
            case WatchTarget():
                self._watch(message)
            case UnwatchTargets():
                for key in [key for key in self._watched if key[0] == message.ref]:
                    del self._watched[key]
                if not self._watched:
                    self.stop_self()
            case Tick():
                self._timer = None
                self._poll()
            case SnmpAnswer() if message.rid == self._rid:
                self._rid = ""
                self._answered(message.answer)
            case PoolChanged() if self._rid:
                self._rid = ""
                self._arm(GATHER_S)

    def _watch(self, message: WatchTarget) -> None:
        key = (message.ref, message.target.name)
        known = self._watched.get(key)
        if known is not None and known.target == message.target:
            # a repeated registration (restart of its shard, new version): what is known is told again
            known.message = message
            if isinstance(known.record.published, str):
                self._tell(known, known.record.published, "")
            return
        self._watched[key] = Watched(message, Record())
        self._silent = 0
        if not self._rid:
            self._arm(GATHER_S)

    def _arm(self, after_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.after(after_s, Tick("poll"))

    # -------------------------------------------------------------------------------------------- polling

    def _poll(self) -> None:
        if not self._watched:
            return
        if self._rid:
            self.log.warning("%s: no answer from the poller; asking again", self.device.partition("|")[0])
        self._polls += 1
        self._rid = f"{self.device}@{self.now():.6f}/{self._polls}"
        self._asked = frozenset(self._watched)
        self.tell(self.desk.snmp(self.device, self._silent), SnmpPoll(self._rid, self._request()))
        self._arm(self.desk.options.snmp_answer_timeout_s)

    def _request(self) -> PollRequest:
        options = self.desk.options
        declared, _, community = self.device.partition("|")
        host, _, port = options.devices.get(declared, declared).partition(":")
        targets = [w.target for w in self._watched.values()]
        ports = dict.fromkeys(t.subject for t in targets if t.kind is Kind.PORT)
        vrrp = dict.fromkeys((t.subject, t.vrid) for t in targets if t.kind is Kind.VRRP)
        peers = dict.fromkeys(t.subject for t in targets if t.kind is Kind.BGP)
        return PollRequest(
            host=host,
            port=int(port) if port else options.snmp_port,
            community_name=community,
            ports=tuple(PortQuery(name, self._indexes.get(name)) for name in ports),
            vrrp=tuple(VrrpQuery(name, vrid, self._indexes.get(name)) for name, vrid in vrrp),
            bgp=tuple(BgpQuery(peer) for peer in peers),
            epoch=self._epoch,
            chunk=self._chunk,
        )

    def _answered(self, answer: PollAnswer) -> None:
        self._epoch, self._indexes, self._chunk = answer.epoch, dict(answer.indexes), answer.chunk
        if answer.reachable:
            self._silent = 0
        else:
            self._silent += 1
            if self._silent == 1:
                self.log.warning("device %s is silent: %s", self.device.partition("|")[0], answer.reason)
        now = self.now()
        for key, watched in list(self._watched.items()):
            if key not in self._asked:
                continue  # registered while the poll was under way
            status = _status(watched.target, answer)
            watched.record, event = observe(watched.record, status, now, ObserveOptions())
            if isinstance(event, str):
                self._tell(watched, event, answer.reason)
        late = any(key not in self._asked for key in self._watched)
        self._arm(GATHER_S if late else self._interval())

    def _interval(self) -> float:
        options = self.desk.options
        unsettled = any(
            w.record.unsettled or w.record.published != w.target.wanted for w in self._watched.values()
        )
        fast = min((w.target.retry_s for w in self._watched.values()), default=options.snmp_interval_active_s)
        fast = min(fast, options.snmp_interval_active_s)
        if self._silent > 1:
            return delay_s(self._silent - 1, min(SILENT_BASE_S, fast), SILENT_CAP_S, self.device)
        return fast if unsettled else options.snmp_interval_s

    def _tell(self, watched: Watched, status: str, detail: str) -> None:
        message, name = watched.message, watched.target.name
        self.tell(message.reply_to, TargetStatus(message.ref, message.version, name, status, detail))


def _status(target: Target, answer: PollAnswer) -> str:
    """What the answer says of this target, in the words of `core.polling`."""
    match target.kind:
        case Kind.PORT:
            return answer.ports.get(target.subject, "UNKNOWN")
        case Kind.VRRP:
            return answer.vrrp.get(VrrpQuery(target.subject, target.vrid), "UNKNOWN")
        case Kind.BGP:
            return answer.bgp.get(target.subject, "UNKNOWN")
        case _:
            return answer.device
