"""The command line: `run` (the default) and `port`.

Guarantees: a wrong argument or setting is one line and exit code 2; a run that ends by Ctrl-C or SIGTERM leaves
no process, port or temporary folder; exit codes are in `EXIT_CODES`.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from actors.display import Display, settled
from actors.messages import Applied, Apply, Boot, StatusQuery, StatusReply
from actors.runtime import system
from actors.runtime.logs import LogConfig
from actors.supervisor import Supervisor
from actors.wiring import wiring
from config.documents import DocumentError
from config.examples import load_declarations, load_templates
from config.sections import Snapshot
from config.settings import SettingsError, load
from config.types import TypesError, load_types

EXIT_CODES = {
    0: "done",
    1: "failed",
    2: "wrong use or settings",
    70: "the system died and could not be restarted",
}
EXAMPLE = Path(__file__).parents[1] / "config" / "examples" / "gateway.yaml"
#: How often a person is told.
STATUS_EVERY_S = 0.25
STATUS_TIMEOUT_S = 5.0


class Services(Protocol):
    """What stands in for what is not configured (`sim.standalone`)."""

    def start(self) -> Snapshot:
        """Start; the settings with addresses filled in."""

    def mend(self) -> None:
        """Restart what died."""

    def stop(self) -> None:
        """End."""

    def control(self, line: str) -> dict[str, Any]:
        """A command for the embedded devices of a running system."""


MakeServices = Callable[[Snapshot, Callable[[str], None]], Services]


class Stopped(KeyboardInterrupt):
    """SIGTERM: the same as Ctrl-C."""


def main(arguments: Sequence[str], make_services: MakeServices) -> int:
    """Parse and run one command; returns the exit code."""
    parsed = _parser().parse_args(arguments)
    try:
        settings = load(parsed.config, overrides=_overrides(parsed))
        if parsed.command == "port":
            return _port(settings, make_services, parsed.what, parsed.name)
        return Run(settings, make_services, parsed).run()
    except (SettingsError, TypesError, DocumentError) as error:
        print(f"gatewright: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run.py", description="Gatewright builds declared network resources and watches them."
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (TOML)")
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="where standalone mode keeps its data")
    commands = parser.add_subparsers(dest="command", metavar="command")
    run = commands.add_parser("run", help="build the declared resources and watch them (the default)")
    for each in (parser, run):
        each.add_argument("--declare", type=Path, metavar="FILE", help="declarations to apply (YAML)")
        each.add_argument("--once", action="store_true", help="end when everything is built and watched")
    commands.add_parser("test", help="run all checks")
    port = commands.add_parser("port", help="pull or plug a port of the embedded devices")
    port.add_argument("what", choices=("down", "up"))
    port.add_argument("name", help="for instance xe-0/0/3.1025")
    return parser


def _overrides(parsed: argparse.Namespace) -> dict[str, dict[str, Any]]:
    return {"paths": {"state_dir": parsed.state_dir.absolute()}} if parsed.state_dir else {}


def _port(settings: Snapshot, make_services: MakeServices, what: str, name: str) -> int:
    answer = make_services(settings, print).control(f"port {what} {name}")
    if not answer.get("ok"):
        print(f"gatewright: {answer.get('error', answer)}", file=sys.stderr)
        return 1
    print(f"{name} is {what} now; watch the running system see it")
    return 0


class Run:
    """One run of the main job: services, actors, declarations, and a person who watches."""

    def __init__(self, settings: Snapshot, make_services: MakeServices, parsed: argparse.Namespace) -> None:
        self._settings = settings
        self._display = Display()
        self._services = make_services(settings, self._display.say)
        self._once = bool(parsed.once)
        self._types = load_types()
        self._apply = self._to_declare(parsed.declare, settings)
        self._system: system.System | None = None
        self._log = None if settings.log.format == "json" or not sys.stdout.isatty() else "gatewright.log"
        self._starts: list[float] = []

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
        try:
            self._display.say("starting")
            self._settings = self._services.start()
            self._start_system()
            return self._watch()
        except KeyboardInterrupt:
            self._display.say("stopping")
            return 0
        except RuntimeError as error:
            self._display.say(f"error: {error}")
            return 1
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave something behind
            self._display.end_of_building()
            if self._system is not None:
                self._system.stop()
            self._services.stop()
            self._display.say("stopped; nothing is left running")

    def _start_system(self) -> None:
        self._starts.append(time.monotonic())
        options = self._settings.options(
            tuple(self._types), terminal=self._log is None and sys.stderr.isatty()
        )
        level = logging.getLevelName(self._settings.log.level.upper())
        self._system = system.start(
            Supervisor, log_config=LogConfig(level=level, as_json=options.log_json, fd=self._log_fd())
        )
        owner, wall_offset_s = f"{os.uname().nodename}/{os.getpid()}", time.time() - time.monotonic()
        self._system.tell(Boot(options, wiring(self._settings), owner, wall_offset_s))
        self._display.say(f"actor system of {len(self._system.pids())} processes")
        if self._apply is None:
            return
        applied = self._system.ask(self._apply, 60.0, Applied)
        if applied.failure is not None:
            raise RuntimeError(f"declaring failed: {applied.failure}")
        total = len(self._apply.documents)
        self._display.say(f"declared {applied.written} of {total} documents (the others were there)")

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
                reply = self._status()
                if reply is None:
                    continue
                self._display.show(reply, building=building)
                if building and settled(reply) and self._all_seen(reply):
                    building = False
                    self._display.end_of_building()
                    self._display.bill(reply)
                    if self._once:
                        return 1 if "failed" in reply.counts else 0
                    self._display.say("watching; Ctrl-C ends it")

    def _all_seen(self, reply: StatusReply) -> bool:
        return all(row.seen for row in reply.rows)

    def _status(self) -> StatusReply | None:
        assert self._system is not None, "asked only while running"
        try:
            return self._system.ask(
                StatusQuery(f"status {time.monotonic():.6f}"), STATUS_TIMEOUT_S, StatusReply
            )
        except system.NoAnswerError:
            return None
        except system.SystemGoneError:
            self._restart()
            return None

    def _restart(self) -> None:
        """The tree died (its root, or the admin process): everything is in etcd, so begin again."""
        recent = [t for t in self._starts if time.monotonic() - t < 60.0]
        if len(recent) > 3:
            raise RuntimeError("the actor system died four times within a minute; giving up")
        self._display.say("the actor system died; starting it again")
        if self._system is not None:
            self._system.stop()
        self._start_system()


def _terminated(_signal: int, _frame: object) -> None:
    raise Stopped
