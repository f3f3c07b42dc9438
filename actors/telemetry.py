"""Telemetry: the process with the HTTP port (metrics, health, read-only API, dashboard) and the `outlets` to others.

Guarantees: reads only, and nothing of the engine waits for it: if it dies, everything else goes on. Asks the
other processes for their counters at most once a second, and mirrors etcd only from the first question on that
needs it. A port that cannot be opened is logged, told to the Supervisor, and tried again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from actors.core import keys
from actors.core.exposition import Sample, lasting, merge, render
from actors.core.knowledge import Knowledge
from actors.core.model import Ref
from actors.http import api
from actors.http.server import Request, Server
from actors.messages import (
    Address,
    Boot,
    Mirror,
    Ping,
    Pong,
    Read,
    ReadDone,
    Readings,
    Refused,
    Snapshot,
    StatusQuery,
    StatusReply,
    Tick,
    Topology,
)
from actors.messages.telemetry import HttpAt, MetricsQuery, MetricsReply, VersionEnded
from actors.metering import process_samples
from actors.outlets import Outlets
from actors.ports import Delete
from actors.runtime import alarm
from actors.runtime.host import Lane
from actors.runtime.io import IoActor
from actors.subscription import Subscription

#: The number under which it subscribes at the bridge: no shard has it.
SUBSCRIBER = -1
#: Processes that have not answered by then are left out of this answer.
METRICS_WAIT_S = 0.5
METRICS_EVERY_S = 1.0
STATUS_WAIT_S = 3.0
STATUS_EVERY_S = 0.5
ROWS_MAX = 2000
RETRY_S = 5.0
#: Histories that are read for one answer, at most.
HISTORIES_MAX = 500


@dataclass(slots=True)
class Collecting:
    """A question to several processes: who still has to answer, and who waits for the whole."""

    rid: str
    missing: set[Address]
    waiting: list[Callable[[], None]] = field(default_factory=list)


class Telemetry(IoActor):
    """One per controller."""

    lanes: ClassVar = {"io": Lane(1, 10)}

    def started(self) -> None:
        """Nothing is known before Boot."""
        self._boot: Boot | None = None
        self._generation = 0
        self._supervisor: Address = None
        self._topology: Topology | None = None
        self._server: Server | None = None
        self._known: Knowledge | None = None
        self._subscription = Subscription(self, SUBSCRIBER)
        self._complete, self._stale = False, set[str]()
        self._wanting: list[Request] = []
        self._replies: dict[Address, MetricsReply] = {}
        self._past: list[Sample] = []  # counted by processes that are gone
        self._metrics: Collecting | None = None
        self._asked_at, self._status_at = -1e9, -1e9
        self._status: StatusReply | None = None
        self._status_waiting: list[Callable[[], None]] = []
        self._reads: dict[str, Callable[[], None]] = {}
        self._number = self._unanswered = 0
        self._outlets: Outlets | None = None

    def receive(self, message: object, sender: Address) -> None:
        """The closed set of messages that Telemetry takes."""
        match message:
            case Boot() if self._boot is None:
                self._boot, self._supervisor = message, sender
                self._outlets = Outlets(message)
                self._serve()
            case Topology() if self._boot is not None:
                self._generation = message.generation
                self._rewire(message)
            case Snapshot() if self._subscription.takes_page(message):
                self._snapshot(message)
            case Mirror() if self._subscription.takes_changes(message):
                self._mirror(message)
            case Readings() | VersionEnded() if self._outlets is not None:
                self._outlets.take(message)
            case MetricsReply():
                self._counted(message, sender)
            case StatusReply():
                self._told(message)
            case ReadDone():
                self._read(message)
            case Refused():
                self._reads.pop(message.rid, lambda: None)()
            case Tick():
                self._ticked(message.what)
            case Ping():
                self.tell(sender, Pong(message.seq, os.getpid(), self._generation))

    def posted(self, items: list[object]) -> None:
        """Requests from the HTTP side, and what became of the port."""
        for item in items:
            match item:
                case Request():
                    self._answer(item)
                case HttpAt():
                    self.tell(self._supervisor, item)
                    if item.problem:
                        self.log.error("the HTTP port cannot be opened: %s", item.problem)
                        self.after(RETRY_S, Tick("serve"))
                    else:
                        self.log.info("dashboard and API at http://%s/", item.address)

    def stopping(self) -> None:
        """What waits to be sent is sent, if that is quick."""
        if self._outlets is not None:
            self._outlets.close()

    def _serve(self) -> None:
        assert self._boot is not None, "Boot comes first"
        options = self._boot.options
        if options.http_port is None:
            return
        token, before = self._boot.wiring.token(), options.http_port_before
        server = Server(options.http_host, options.http_port, token, self.post, before=before)
        self._server = server
        asyncio.run_coroutine_threadsafe(server.start(), self.start_loop())

    def _ticked(self, what: str) -> None:
        kind, _, rid = what.partition(" ")
        if kind == "serve":
            self._serve()
        elif kind == "metrics" and self._metrics is not None and self._metrics.rid == rid:
            self._collected()
        elif kind == "status":
            if self.now() - self._status_at >= STATUS_WAIT_S:
                self._go_on()  # nobody answered, and that is what is told
        else:
            self._subscription.ticked(what)

    def _rewire(self, topology: Topology) -> None:
        old, self._topology = self._topology, topology
        alive = {topology.bridge, *topology.heat, *topology.snmp, *topology.shards}
        dead = [self._replies.pop(address) for address in [*self._replies] if address not in alive]
        self._past = merge([*self._past, *(s for reply in dead for s in lasting(reply.samples))])
        if old is not None and old.bridge != topology.bridge and self._known is not None:
            self._reads.clear()  # the one before will not answer any more
            self._subscribe()

    def _rid(self, what: str) -> str:
        self._number += 1
        return f"{what} {self._number}"

    # ------------------------------------------------------------------------------------------ answering

    def _answer(self, request: Request) -> None:
        """Gather what the answer needs, then make it."""
        match request.name:
            case "metrics":
                self._with_metrics(lambda: self._with_status(lambda: request.reply(200, self._exposition())))
            case "healthz":
                self._with_status(lambda: request.reply(*api.health(self._fresh())))
            case "readyz":
                self._with_status(lambda: request.reply(*api.readiness(self._fresh())))
            case "status":
                self._with_status(
                    lambda: request.reply(*api.status(self._fresh(), self._controller, request.query))
                )
            case _:
                self._with_world(request)

    @property
    def _controller(self) -> str:
        return self._boot.owner if self._boot is not None else ""

    def _fresh(self) -> StatusReply | None:
        return self._status if self.now() - self._status_at < STATUS_WAIT_S else None

    def _view(self, request: Request) -> None:
        known, boot = self._known, self._boot
        assert known is not None, "the mirror was asked for"
        assert boot is not None, "Boot comes first"
        known.now_s = self.now() + boot.wall_offset_s
        known.live, known.asked = api.live(self._fresh()), self._fresh() is not None
        view = api.View(known, boot.options.heat_tick_s)
        wanted = view.histories(request.name, request.query)[:HISTORIES_MAX]
        self._with_histories(wanted, lambda: request.reply(*view.answer(request.name, request.query)))

    # ------------------------------------------------------------------------------------------- gathering

    def _with_status(self, then: Callable[[], None]) -> None:
        if self.now() - self._status_at < STATUS_EVERY_S:
            then()
            return
        self._status_waiting.append(then)
        if len(self._status_waiting) == 1:
            rid = self._rid("telemetry")
            self.tell(self._supervisor, StatusQuery(rid, ROWS_MAX))
            self.after(STATUS_WAIT_S, Tick(f"status {rid}"))

    def _told(self, reply: StatusReply) -> None:
        self._status, self._status_at = reply, self.now()
        self._go_on()

    def _go_on(self) -> None:
        waiting, self._status_waiting = self._status_waiting, []
        for then in waiting:
            then()

    def _with_metrics(self, then: Callable[[], None]) -> None:
        if self._metrics is not None:
            self._metrics.waiting.append(then)
            return
        topology = self._topology
        if topology is None or self.now() - self._asked_at < METRICS_EVERY_S:
            then()
            return
        asked = self._members()
        self._asked_at = self.now()
        self._metrics = Collecting(self._rid("metrics"), set(asked), [then])
        for address in asked:
            self.tell(address, MetricsQuery(self._metrics.rid))
        self.after(METRICS_WAIT_S, Tick(f"metrics {self._metrics.rid}"))

    def _members(self) -> tuple[Address, ...]:
        t = self._topology
        return (t.bridge, *t.heat, *t.snmp, *t.shards) if t is not None else ()

    def _counted(self, reply: MetricsReply, sender: Address) -> None:
        self._replies[sender] = reply
        if self._metrics is not None and reply.rid == self._metrics.rid:
            self._metrics.missing.discard(sender)
            if not self._metrics.missing:
                self._collected()

    def _collected(self) -> None:
        done, self._metrics = self._metrics, None
        self._unanswered = len(done.missing) if done is not None else 0
        for then in done.waiting if done is not None else ():
            then()

    def _exposition(self) -> str:
        samples = [*self._past, *(sample for reply in self._replies.values() for sample in reply.samples)]
        status = self._status
        if status is not None:
            samples += [
                Sample("restarts_total", (("role", r),), float(n)) for r, n in status.restarts.items()
            ]
            samples.append(Sample("paused", (), float(status.counts.get("paused", 0))))
        processes: dict[str, int] = {}
        for address in self._members():
            reply = self._replies.get(address)
            if reply is not None:
                same = sum(name.startswith(reply.role) for name in processes)
                processes[f"{reply.role} {same}"] = reply.pid
        processes |= {"supervisor": os.getppid(), "telemetry": os.getpid()}
        samples += [sample for name, pid in processes.items() for sample in process_samples(name, pid)]
        samples.append(Sample("messages_unanswered", (), float(self._unanswered)))
        if self._outlets is None or self._boot is None:
            return render(merge(samples))
        text = self._outlets.text(self.now() + self._boot.wall_offset_s)
        return render(merge([*samples, *self._outlets.samples()])) + text

    # ---------------------------------------------------------------------------------------- the mirror

    def _with_world(self, request: Request) -> None:
        if self._complete:
            self._with_status(lambda: self._view(request))
            return
        # etcd may be away for a night: of who has asked since then only those are answered who still wait
        self._wanting = [*(one for one in self._wanting if not one.abandoned), request]
        if self._known is None and self._boot is not None and self._topology is not None:
            self._known = Knowledge(self._boot.options.types, limited=alarm.limited)
            self._subscribe()

    def _subscribe(self) -> None:
        assert self._topology is not None, "subscribing needs the topology"
        self._subscription.begin(self._topology.bridge)

    def _snapshot(self, page: Snapshot) -> None:
        known = self._known
        assert known is not None, "a snapshot answers a subscription"
        if page.number == 1:
            self._stale = set(known.world.keys_known())
        for entry in page.entries:
            known.put(entry.key, entry.value, entry.mod_revision, entry.create_revision)
            self._stale.discard(entry.key)
        if page.last:
            for key in self._stale:
                known.delete(key)
            known.world.revision, self._complete = page.revision, True
            wanting, self._wanting = self._wanting, []
            for request in wanting:
                self._with_world(request)

    def _mirror(self, message: Mirror) -> None:
        known = self._known
        assert known is not None, "changes answer a subscription"
        for changes in message.changes:
            for change in changes.puts_and_deletes:
                if isinstance(change, Delete):
                    known.delete(change.key)
                else:
                    known.put(change.key, change.value, change.mod_revision, change.create_revision)
            known.world.revision = changes.revision

    def _with_histories(self, refs: list[Ref], then: Callable[[], None]) -> None:
        topology, known = self._topology, self._known
        if not refs or topology is None or known is None:
            then()
            return
        types = known.world.types
        wanted = [root + types.path(ref) for ref in refs for root in (keys.HISTORY, keys.ATTEMPTS)]
        rid = self._rid("histories")
        self._reads[rid] = then
        self.tell(topology.bridge, Read(rid, tuple(wanted)))

    def _read(self, message: ReadDone) -> None:
        known = self._known
        for entry in message.entries.values():
            if known is not None:
                known.put(entry.key, entry.value, entry.mod_revision)
        self._reads.pop(message.rid, lambda: None)()
