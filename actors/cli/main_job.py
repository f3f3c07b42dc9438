"""The main job: services, actors, declarations, and a person who watches.

Guarantees: a run that ends by Ctrl-C or SIGTERM leaves no process, port or temporary folder. SIGTERM drains:
nothing new is begun, what is under way is at a legal restart point in etcd whenever the system stops.
"""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from actors.cli import rendezvous
from actors.cli.context import MakeServices, overrides_of
from actors.cli.rendezvous import Running
from actors.display import Display, settled
from actors.messages import Applied, Apply, Boot, StatusQuery, StatusReply
from actors.runtime import system
from actors.runtime.logs import LogConfig
from actors.runtime.notify import Notifier
from actors.supervisor import Supervisor
from actors.wiring import wiring
from config import otel_extra, tls
from config.documents import DocumentError
from config.examples import load_declarations, load_templates
from config.sections import Snapshot
from config.settings import SettingsError, load
from config.type_source import types_of
from config.types import TypesError

EXAMPLE = Path(__file__).parents[2] / "config" / "examples" / "gateway.yaml"
#: How often a person is told.
STATUS_EVERY_S = 0.25
STATUS_TIMEOUT_S = 5.0
#: A source of types that does not answer is not asked again at a reload.
RELOAD_PATIENCE_S = 1.0
#: How long a declaration may go unanswered until it is asked again; doubled each time.
DECLARE_FIRST_S = 2.0
DECLARE_CAP_S = 60.0


class Unrestartable(RuntimeError):
    """The actor system keeps dying: exit code 70."""


class Stopped(KeyboardInterrupt):
    """SIGTERM: the same as Ctrl-C."""


def command_line(parsed: argparse.Namespace, command: str) -> str:
    """How the same system is asked from another terminal: with the options that this one was started with."""
    options = (("--state-dir", parsed.state_dir), ("--config", parsed.config))
    given = "".join(f" {name} {shlex.quote(str(value))}" for name, value in options if value)
    return f"python run.py{given} {command}"


class Run:
    """One run of the main job: services, actors, declarations, and a person who watches."""

    def __init__(self, settings: Snapshot, make_services: MakeServices, parsed: argparse.Namespace) -> None:
        otel_extra.check(settings)
        tls.check(settings)
        self._settings = settings
        self._monitors = settings.monitor_types()
        self._display = Display()
        self._services = make_services(settings, self._display.say)
        self._once = bool(parsed.once)
        self._types = types_of(settings.types, self._display.say)
        self._apply = self._to_declare(parsed.declare, settings)
        self._system: system.System | None = None
        self._log = None if settings.log.format == "json" or not sys.stdout.isatty() else "gatewright.log"
        self._starts: list[float] = []
        self._unheard = 0  # questions in a row that the supervisor's process did not answer
        self._http = ""
        self._notifier, self._ready = Notifier(os.environ), False
        self._parsed, self._reload = parsed, False
        self._owner = _owner(alone=not settings.etcd.endpoints)

    def _to_declare(self, file: Path | None, settings: Snapshot) -> Apply | None:
        """What is asked for; the example of the seed in an etcd of our own; nothing in somebody else's."""
        if file is not None:
            return Apply("apply", tuple(load_templates() + load_declarations(file, self._types)))
        if settings.etcd.endpoints:
            return None
        example = load_templates() + load_declarations(EXAMPLE, self._types)
        return Apply("apply", tuple(example), only_missing=True)

    def run(self) -> int:
        """From nothing to everything watched; ends by Ctrl-C, SIGTERM or `--once`."""
        signal.signal(signal.SIGTERM, _terminated)
        signal.signal(signal.SIGHUP, self._hung_up)
        try:
            self._display.say("starting")
            self._settings = self._services.start()
            self._announce("")
            self._begin()
            if self._apply is not None:
                self._declare(self._apply)
            return self._watch()
        except KeyboardInterrupt:
            self._display.say("stopping")
            return 0
        except Unrestartable as error:
            self._display.say(f"error: {error}")
            return 70
        except RuntimeError as error:
            self._display.say(f"error: {error}")
            return 1
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave something behind
            self._notifier.tell("STOPPING=1")
            self._display.end_of_building()
            if self._system is not None:
                self._system.stop()
            self._services.stop()
            rendezvous.remove(self._settings.paths.state_dir)
            if self._system is not None:
                self._display.say("stopped; nothing is left running")

    def _announce(self, http: str) -> None:
        """Let commands in other terminals find this system."""
        settings = self._settings
        running = Running(
            os.getpid(),
            tuple(settings.etcd.endpoints),
            http,
            settings.http.token.reveal(),
            settings.heat.endpoint,
            settings.snmp.devices,
        )
        try:
            rendezvous.write(settings.paths.state_dir, running)
        except SettingsError as error:
            if not http:
                raise
            self._display.say(f"problem: {error}")  # what runs already is not ended by that
        if http:
            rendezvous.remember_port(settings.paths.state_dir, http)
            self._display.say(f"dashboard: http://{http}/   metrics: http://{http}/metrics")

    def _start_system(self) -> None:
        self._starts.append(time.monotonic())
        self._unheard = 0
        options = self._settings.options(
            tuple(self._types), self._monitors, terminal=self._log is None and sys.stderr.isatty()
        )
        before = rendezvous.port_before(self._settings.paths.state_dir)
        options = replace(options, http_port_before=before)
        level = logging.getLevelName(self._settings.log.level.upper())
        self._system = system.start(
            Supervisor, log_config=LogConfig(level=level, as_json=options.log_json, fd=self._log_fd())
        )
        wall_offset_s = time.time() - time.monotonic()
        self._system.tell(Boot(options, wiring(self._settings), self._owner, wall_offset_s))
        self._display.say(f"actor system of {len(self._system.pids())} processes")

    def _declare(self, apply: Apply) -> None:
        """Ask until it is answered: whoever holds the question may die, and what died is mended meanwhile."""
        wait_s, others = DECLARE_FIRST_S, "were there"
        while True:
            assert self._system is not None, "declared only while running"
            try:
                applied = self._system.ask(apply, wait_s, Applied)
            except system.NoAnswerError:
                wait_s, others = (
                    min(2 * wait_s, DECLARE_CAP_S),
                    "were there, or were written at an earlier try",
                )
                self._services.mend()
                reply = self._status()
                if reply is not None:
                    self._display.show(reply, building=True)
            except system.SystemGoneError:
                self._restart()
            else:
                break
        if applied.failure is not None:
            raise RuntimeError(f"declaring failed: {applied.failure}")
        total = len(apply.documents)
        self._display.say(f"declared {applied.written} of {total} documents (the others {others})")

    def _log_fd(self) -> int:
        """A table and log lines do not go together: on a terminal the log goes to a file."""
        if self._log is None:
            return 2
        path = self._settings.paths.state_dir / self._log
        path.parent.mkdir(parents=True, exist_ok=True)
        self._display.say(f"log: {path}")
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _watch(self) -> int:
        building = True
        with self._display:
            while True:
                time.sleep(STATUS_EVERY_S)
                self._services.mend()
                if self._reload:
                    self._take_settings()
                reply = self._status()
                if reply is None:
                    continue
                if reply.http != self._http:
                    self._http = reply.http
                    self._announce(reply.http)
                self._display.show(reply, building=building)
                if building and settled(reply) and self._all_seen(reply):
                    building = False
                    self._display.end_of_building()
                    self._display.bill(reply)
                    if self._once:
                        return 1 if "failed" in reply.counts else 0
                    self._display.say("watching; Ctrl-C ends it")
                    self._teach(reply)

    def _teach(self, reply: StatusReply) -> None:
        """Three commands to try next, on what took longest; where nothing was to be done, on what is watched most."""
        slowest = max(
            reply.rows, key=lambda row: (sum(row.seconds.values()), len(row.monitoring)), default=None
        )
        if slowest is None:
            return
        self._display.say("to try in another terminal:")
        for command in (
            f"explain {slowest.ref.id[:8]}",
            f"graph {slowest.ref.id[:8]} --critical-path",
            "status --watch",
        ):
            self._display.say(f"    {command_line(self._parsed, command)}")

    def _all_seen(self, reply: StatusReply) -> bool:
        return all(row.seen for row in reply.rows)

    def _status(self) -> StatusReply | None:
        assert self._system is not None, "asked only while running"
        try:
            query = StatusQuery(f"status {time.monotonic():.6f}")
            reply = self._system.ask(query, STATUS_TIMEOUT_S, StatusReply)
            self._unheard = 0
            # ready means that the tree answers; that etcd is usable is what /readyz is for
            self._notifier.tell("WATCHDOG=1" if self._ready else "READY=1")
            self._ready = True
            return reply
        except system.NoAnswerError:
            self._look_after(self._system)
            return None
        except system.SystemGoneError:
            self._restart()
            return None

    def _look_after(self, tree: system.System) -> None:
        """Nothing was answered: a shard may be silent, which the supervisor mends; or that hangs, which is for us."""
        try:
            self._unheard = 0 if tree.answers(STATUS_TIMEOUT_S) else self._unheard + 1
        except system.SystemGoneError:
            return  # seen by the next question
        if self._unheard >= self._settings.supervision.heartbeats_missed_max:
            self._display.say("the supervisor does not answer any more")
            self._restart()

    def _hung_up(self, _signal: int, _frame: object) -> None:
        self._reload = True

    def _take_settings(self) -> None:
        """SIGHUP: limits, supervision, log and types as they are in file and environment now.

        The actors are started anew with them, which costs about a second and loses nothing: everything is in etcd.
        """
        self._reload = False
        try:
            fresh = load(self._parsed.config, overrides=overrides_of(self._parsed))
            # asked once: who waits for a source that is away does not watch, and is ended by the watchdog
            once = replace(fresh.types, patience_s=RELOAD_PATIENCE_S)
            types = types_of(once, self._display.say)
            self._monitors = self._settings.monitor_types()
            self._types = types
        except (SettingsError, TypesError, DocumentError) as error:
            self._display.say(f"settings stay as they were: {error}")
            return
        self._settings = replace(
            self._settings,
            limits=fresh.limits,
            supervision=fresh.supervision,
            log=fresh.log,
            types=fresh.types,
        )
        self._display.say("settings read again; starting the actors anew with them")
        if self._system is not None:
            self._system.stop()
        self._starts.clear()
        self._begin()

    def _begin(self) -> None:
        """Start the tree; one that dies while it starts, or does not take its orders, has died like any other."""
        try:
            self._start_system()
        except (system.SystemGoneError, system.NoAnswerError):
            self._restart()

    def _restart(self) -> None:
        """The tree died (its root, or the admin process), or its root hangs: everything is in etcd, so begin again."""
        while True:
            recent = [t for t in self._starts if time.monotonic() - t < 60.0]
            if len(recent) > 3:
                raise Unrestartable("the actor system died four times within a minute; giving up")
            self._display.say("the actor system died; starting it again")
            if self._system is not None:
                self._system.stop()
            try:
                self._start_system()
            except (system.SystemGoneError, system.NoAnswerError):
                continue
            return


def _terminated(_signal: int, _frame: object) -> None:
    raise Stopped


def _owner(*, alone: bool) -> str:
    """The name in which etcd is owned. In an etcd of our own (its folder is locked) we are always the same, so that
    a start after a crash need not wait for the lease of the life before; else no two lives share a name."""
    node = os.uname().nodename
    return f"{node}:standalone" if alone else f"{node}:{os.getpid()}:{time.time_ns():x}"
