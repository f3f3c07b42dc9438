"""DeviceActor: watches everything that is wanted of one device (contract 6.2, 6.7, 10.13, 10.15).

Guarantees: one timer and at most one poll under way per device, whatever the number of targets; what several
want is asked once; the first poll at once, fast until a target is as wanted, then in slots of its interval that
are spread over all devices (`core.cadence`), missed ones skipped. A status is told when it is confirmed
(`core.observing`), and from silence only FAIL comes, after consecutive failures; a silent device is then only probed,
less and less often unless a job waits, with one line in the log per outage, and read anew at its first answer.
"""

from __future__ import annotations

from actors.core.asking import FULL_CHUNK, PROBE, UNKNOWN, Plan
from actors.core.cadence import Slots, WalkBudget, next_slot_s, probe_delay_s
from actors.core.model import Ref
from actors.core.monitor_types import BadMonitor, MonitorType
from actors.core.monitors import Target, row_of
from actors.core.polling import NO_NEWS, Epoch, PollAnswer, PollRequest, host_and_port
from actors.core.readings import Meters
from actors.desk import Desk
from actors.messages import (
    Address,
    DeviceBegin,
    DeviceHeard,
    PoolChanged,
    Readings,
    SnmpAnswer,
    SnmpPoll,
    TargetStatus,
    Tick,
    UnwatchTargets,
    WatchTarget,
)
from actors.runtime.actor import BaseActor
from actors.runtime.host import Timer
from actors.watched import Shares, Watched, doubtful_last, soon_for_jobs, together, why

#: Registrations that arrive together are asked together, and so is what is due within this time.
GATHER_S = 0.002
TOGETHER_S = 0.25
#: An actor that has nothing to watch ends after this: most updates unregister and register again.
LINGER_S = 300.0

Key = tuple[Ref, str]


class DeviceActor(BaseActor):
    """One per monitored address and community, inside its shard's process."""

    in_process = True

    def started(self) -> None:
        """Nothing is known before DeviceBegin."""
        self.device = ""
        self._watched: dict[Key, Watched] = {}
        self._epoch: Epoch | None = None
        self._indexes: dict[str, tuple[int, ...]] = {}
        self._chunk = FULL_CHUNK
        self._walks = WalkBudget(5.0)
        self._gaps = False  # the last poll had trouble with a part of the device
        self._late_name = False  # wanted since the poll under way was sent: its walk did not look for it
        self._meters = Meters()
        self._readings_due_s: float | None = None
        self._rid = ""
        self._polls = self._lost = self._silent = 0
        self._plan = self._readings_plan = self._sent = PROBE  # statuses, readings, what was sent last
        self._planned: Shares | None = None  # who shares in `_plan`; None: make it anew
        self._asked: Shares | None = None  # None: readings were asked
        self._deadline_s = self._probe_s = 0.0
        self._outage_s: float | None = None
        self._timer: Timer | None = None

    def receive(self, message: object, sender: Address) -> None:
        """The closed set of messages that a DeviceActor takes."""
        match message:
            case DeviceBegin():
                self.desk: Desk = message.desk
                self.device = message.device
                self._walks = WalkBudget(self.desk.options.snmp_interval_active_s)
            case WatchTarget():
                self._watch(message)
            case UnwatchTargets():
                self._unwatch(message)
            case Tick():
                self._timer = None
                self._due()
            case SnmpAnswer() if message.rid == self._rid:
                self._rid = ""
                if message.answer.undone:
                    self._undone(message.answer.reason)
                else:
                    self._lost = 0
                    self._answered(message.answer)
                self._arm()
            case PoolChanged() if self._rid:
                self._deadline_s = self.now()
                self._arm()

    # --------------------------------------------------------------------------------------- registration

    def _watch(self, message: WatchTarget) -> None:
        key, target, now = (message.ref, message.target.name), message.target, self.now()
        known = self._watched.get(key)
        if known is not None and known.target == target:
            if message.version == known.message.version:
                # its shard was replaced: it lost what it had been told, and nothing else has changed
                known.message, known.calm = message, None
                self._tell(known, "")
            else:
                known.renew(message, now)
            self._arm()
            return
        row = row_of(target, self.desk.options.monitor_types)
        if row is None or row.passive:
            self.log.error("%s: no such monitor type any more: %s", message.ref, target.type)
            return
        try:
            watched = Watched.begin(message, row, self.desk.options, now)
        except (KeyError, BadMonitor) as error:
            self.log.warning("%s: %s cannot be looked at (%s)", message.ref, target.type, error)
            return
        if known is not None:
            known.gone = True
        self._watched[key] = watched
        if new := watched.interfaces - self._indexes.keys():
            self._indexes.update(dict.fromkeys(new, ()))
            self._planned = None
            self._walks.fresh()
            self._late_name = bool(self._rid)
        if row.readings and self.desk.readings is not None and self._readings_due_s is None:
            self._readings_due_s = now + self.desk.options.snmp_interval_active_s
        if self._outage_s is not None:
            self._probe_s = now
        self._arm()

    def _unwatch(self, message: UnwatchTargets) -> None:
        for key in [k for k in self._watched if k[0] == message.ref and k[1] in (message.names or (k[1],))]:
            self._watched.pop(key).gone = True
        used = {name for watched in self._watched.values() for name in watched.interfaces}
        self._indexes, self._planned = {n: rows for n, rows in self._indexes.items() if n in used}, None
        if not any(watched.row.readings for watched in self._watched.values()):
            self._readings_due_s = None
        self._arm()

    def _arm(self) -> None:
        """Set the one timer to whatever comes first."""
        if self._timer is not None:
            self._timer.cancel()
        now = self.now()
        if not self._watched:
            self._timer = self.after(LINGER_S, Tick("linger"))
            return
        if self._rid:
            at = self._deadline_s
        elif self._outage_s is not None:
            at = self._probe_s
        else:
            at = min(watched.due_s for watched in self._watched.values())
            if self._readings_due_s is not None:
                at = min(at, self._readings_due_s)
        self._timer = self.after(max(GATHER_S, at - now), Tick("poll"))

    def _due(self) -> None:
        """The timer fired: ask for what is due. While a poll is under way nothing is queued behind it."""
        now = self.now()
        if not self._watched:
            self.stop_self()
            return
        if self._rid:
            if now < self._deadline_s:
                self._arm()
                return
            self._lost += 1
            self.log.warning("%s: no answer from the poller; asking another", self.address)
            self._post()  # the same question: an answer that is merely late counts, or overload would never end
            return
        due = [watched for watched in self._watched.values() if watched.due_s <= now + TOGETHER_S]
        if self._outage_s is not None:
            self._send(PROBE, [])
        elif due:
            self._ask(due)
        elif self._readings_due_s is not None and self._readings_due_s <= now + TOGETHER_S:
            plan = Plan(self._meters.plan(self._measured()), self._indexes)
            self._readings_plan = self._readings_plan.then(plan)
            self._send(self._readings_plan, None)
        else:
            self._arm()

    def _next_s(self, watched: Watched, news: bool, slots: Slots) -> float:
        """When to look at this target again."""
        now = self.now()
        fast_s, waiting = watched.soon_s(self.desk.options), watched.waits(now)
        if not news:
            missing = not self._indexes.get(watched.query.interface, ())
            walk_s = now if missing and waiting else self._walks.next_s(missing=missing)
            return max(now + fast_s, walk_s)
        if waiting or watched.owed or watched.record.unsettled:
            return now + fast_s
        return slots[watched.slot_s]

    # -------------------------------------------------------------------------------------------- polling

    @property
    def address(self) -> str:
        """The device's address as declared: for people."""
        return self.device.partition("|")[0]

    def _measured(self) -> list[tuple[Ref, Target, MonitorType]]:
        return [(key[0], w.target, w.row) for key, w in self._watched.items() if w.row.readings]

    def _ask(self, due: list[Watched]) -> None:
        """A poll of these targets; what several want is one query. Mostly they are the same as the last time."""
        due = doubtful_last(due, self._polls) if self._gaps else due
        if self._planned is None or due != [watched for watched, _ in self._planned]:
            queries, self._planned = together(due)
            self._plan = Plan(queries, self._indexes)
        self._send(self._plan, self._planned)

    def _send(self, plan: Plan, asked: Shares | None) -> None:
        options, now = self.desk.options, self.now()
        declared, _, community = self.device.partition("|")
        host, port = host_and_port(options.devices.get(declared, declared), options.snmp_port)
        self._polls += 1
        self._sent, self._asked = plan, asked
        self._rid = f"{self.device}@{now:.6f}/{self._polls}"
        self._request = PollRequest(
            host=host,
            port=port,
            community_name=community,
            plan=plan,
            epoch=self._epoch if plan.queries else None,
            may_walk=now >= self._walks.next_s(missing=plan.lacking),
            may_follow=plan.lacking and now >= self._walks.next_s(missing=True, moved=True),
            chunk=self._chunk,
        )
        self._post()

    def _post(self) -> None:
        """Send the open question to a poller, and be ready to send it again."""
        self.tell(self.desk.snmp(self.device, self._lost), SnmpPoll(self._rid, self._request))
        self._deadline_s = self.now() + self.desk.options.snmp_answer_timeout_s
        self._arm()

    def _undone(self, reason: str) -> None:
        """The poller could not ask: that is nothing against the device. Another one is asked soon."""
        now, soon_s = self.now(), self.desk.options.snmp_interval_active_s
        if not self._lost:  # one line for all in a row
            self.log.warning("%s: not asked: %s", self.address, reason)
        self._lost, self._probe_s = self._lost + 1, now + soon_s
        for watched in self._watched.values():
            watched.due_s = max(watched.due_s, now + soon_s)
        if self._readings_due_s is not None:
            self._readings_due_s = max(self._readings_due_s, now + soon_s)

    def _answered(self, answer: PollAnswer) -> None:
        if not answer.reachable:
            self._failed(answer.reason)
            return
        if self._outage_s is not None:
            self._returned()
            return
        self._silent = 0
        if self._sent.queries:
            self._learn(answer)
        if self._asked is None:
            self._read(answer)
            return
        slots = Slots(self.now(), self.device)
        for watched, at in self._asked:
            if watched.gone or at >= len(answer.found):
                continue
            status = str(answer.found[at])
            if status == watched.calm:
                watched.due_s = slots[watched.slot_s]  # nearly every look of nearly every port
            else:
                self._look(watched, status, why(status, answer.reason))
                watched.due_s = self._next_s(watched, status != NO_NEWS, slots)
                watched.calmed(status)

    def _learn(self, answer: PollAnswer) -> None:
        """Keep what the answer teaches for the next request."""
        self._epoch, self._chunk, self._gaps = answer.epoch, answer.chunk, answer.reason != ""
        if answer.learned is not None:
            self._indexes = {n: answer.learned.get(n, i) for n, i in self._indexes.items()}
            self._planned = None
        if answer.walked:
            missing = any(q.interface and not self._indexes.get(q.interface) for q in self._sent.queries)
            self._walks.walked(self.now(), missing=missing)
        if self._late_name:
            self._late_name = False
            self._walks.fresh()

    def _look(self, watched: Watched, status: str, detail: str) -> None:
        if status != NO_NEWS and watched.look(status, self.now()):
            self._tell(watched, detail)

    def _read(self, answer: PollAnswer) -> None:
        """Measured values: on to whoever collects them."""
        now, asked = self.now(), self._sent.queries
        points = self._meters.points(self._measured(), asked, answer.found, now, answer.ticks)
        if self.desk.readings is not None and points:
            said = (self.device, self.address, self.desk.wall_s(now), tuple(points))
            self.tell(self.desk.readings, Readings(*said))
        self._readings_due_s = next_slot_s(now, self.desk.options.snmp_readings_interval_s, self.device)

    # ------------------------------------------------------------------------------------------- outages

    def _failed(self, reason: str) -> None:
        """Silence: of every target a failed look. In an outage it counts for new targets at once."""
        now, options = self.now(), self.desk.options
        self._silent += 1
        if self._silent >= options.snmp_failures_max and self._outage_s is None:
            self._outage_s = now
            self._chunk = FULL_CHUNK
            self.log.warning("device %s is silent: %s", self.address, reason)
            self.tell(self.desk.shard, DeviceHeard(self.device, answers=False))
        for watched in self._watched.values():
            for _ in range(options.snmp_failures_max if self._outage_s is not None else 1):
                self._look(watched, UNKNOWN, reason)
            watched.due_s = now + watched.soon_s(options)
        if self._outage_s is not None:
            if soon := soon_for_jobs(self._watched.values(), now, options):
                self._silent = options.snmp_failures_max
            attempt = self._silent - options.snmp_failures_max + 1
            base_s, cap_s = options.snmp_probe_base_s, options.snmp_probe_cap_s
            self._probe_s = now + min([probe_delay_s(attempt, self.device, base_s, cap_s), *soon])
        elif self._asked is None and self._readings_due_s is not None:
            self._readings_due_s = next_slot_s(now, options.snmp_readings_interval_s, self.device)

    def _returned(self) -> None:
        """The first answer after an outage: everything is looked at again, from the index on, at once."""
        now, began = self.now(), self._outage_s or 0.0
        self.log.warning("device %s answers again after %.0f s", self.address, now - began)
        self.tell(self.desk.shard, DeviceHeard(self.device, answers=True))
        self._outage_s, self._silent, self._epoch = None, 0, None
        self._indexes, self._planned = dict.fromkeys(self._indexes, ()), None
        self._walks.fresh()
        for watched in self._watched.values():
            watched.due_s = now

    def _tell(self, watched: Watched, detail: str) -> None:
        message, status = watched.message, watched.record.published
        if status is None:
            return
        watched.owed, watched.calm, watched.said_flapping = False, None, watched.flaps.flapping(self.now())
        said = (status, detail, watched.said_flapping, self.device)
        self.tell(self.desk.shard, TargetStatus(message.ref, message.version, message.target.name, *said))
