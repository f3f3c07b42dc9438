"""Plays a recording: its config writes into a fresh real etcd, under the real process tree, in the recorded order.

Guarantees: what was declared between two answers of the surroundings is declared in one burst, as fast as etcd takes
it, and nothing is answered before all of it is planned: so each declaration has to be planned with exactly the jobs
under way that were under way when it was recorded, however fast this machine is. What did not happen in time is a
problem in the result, never a silent skip. Nothing is left running.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from actors import rendering
from actors.core import keys
from actors.core.json_text import compact
from actors.core.keys import stack_name
from actors.core.model import Action, Handler, Job, JsonObject, Ref
from actors.core.options import Options
from actors.messages import Boot, Wiring
from actors.ports import Changes, Delete, Entry, Put, Store, WatchEvent, WriteSet
from actors.runtime import system
from actors.runtime.logs import LogConfig
from actors.supervisor import Supervisor
from actors.wiring import etcd
from config.monitor_types import load_monitor_types
from config.sections import EtcdSection, Snapshot
from sim.etcd_server import default_cache_dir, find_etcd, start_etcd
from sim.replay import stand_ins
from sim.replay.monitors import monitors_of
from sim.replay.recording import Recording, Step, Version

STEP_TIMEOUT_S = 20.0
QUIET_S = 1.5


@dataclass(slots=True)
class Played:
    """What happened: every change of every key, and every request to Heat."""

    history: list[tuple[int, str, bytes | None]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    watched: set[Version] = field(default_factory=set)  # with a monitor that is polled
    seconds: float = 0.0


class Observer:
    """The history of the etcd, as it grows, and what it means."""

    def __init__(self, run: Recording) -> None:
        self._run = run
        self._news = threading.Condition()
        self.history: list[tuple[int, str, bytes | None]] = []
        self.planned: set[Version] = set()
        self.outcomes: set[Version] = set()
        self.stacks: Counter[Ref] = Counter()

    def sink(self, event: WatchEvent) -> None:
        """Called by the watch."""
        if not isinstance(event, Changes):
            return
        with self._news:
            for change in event.puts_and_deletes:
                self._take(event.revision, change)
            self._news.notify_all()

    def _take(self, revision: int, change: Entry | Delete) -> None:
        if isinstance(change, Delete):
            self.history.append((revision, change.key, None))
            return
        self.history.append((change.mod_revision, change.key, change.value))
        if change.key.startswith(keys.JOBS):
            job = keys.decode_job(change.key, change.value)
            self.planned.add((job.ref, job.version))
        elif (ref := self._run.types.ref(change.key, keys.STATE)) is not None:
            self.outcomes.add((ref, keys.decode_state(change.key, change.value)[0]))
        elif (ref := self._run.types.ref(change.key, keys.JOB_STATE)) is not None:
            # not heat_stacks: a value that is the same as before is not written again
            self.stacks[ref] += "heat_outputs" in keys.decode_object(change.key, change.value)

    def wait_for_more(self, timeout_s: float) -> bool:
        """Whether anything more was written in that time."""
        length = len(self.history)
        return self.wait(lambda: len(self.history) > length, timeout_s)

    def wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Whether the condition came true in time."""
        with self._news:
            return self._news.wait_for(condition, timeout_s)


class Conductor:
    """One performance. `folder`: empty, for etcd's data and for what is shared with the stand-ins."""

    def __init__(self, run: Recording, folder: Path) -> None:
        self._run = run
        self._folder = folder
        self._observer = Observer(run)
        self._played = Played(history=self._observer.history)
        #: Versions whose plans are still to be seen.
        self._declared: list[Version] = []

    def play(self) -> Played:
        """From nothing to the end of the recording. Raises OSError or RuntimeError if it cannot begin."""
        began = time.monotonic()
        self._write_plan()
        server = start_etcd(find_etcd(default_cache_dir()), self._folder / "etcd", allow_unsafe=True)
        tree: system.System | None = None
        store: Store | None = None
        try:
            settings = Snapshot(etcd=EtcdSection(endpoints=(f"http://{server.endpoint}",)))
            log = os.open(self._folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            tree = system.start(Supervisor, log_config=LogConfig(fd=log))
            store = etcd(settings)
            store.watch("/", revision=store.page("/", limit=1).revision, sink=self._observer.sink)
            tree.tell(Boot(self._options(), self._wiring(settings), "replay"))
            for step in self._run.steps:
                self._take(step, store)
            self._await_plans()
            self._calm_down()
        finally:
            if tree is not None:
                tree.stop()
            if store is not None:
                store.close()
            server.stop()
        requests = self._folder / stand_ins.REQUESTS
        lines = requests.read_text().splitlines() if requests.exists() else []
        self._played.requests = [json.loads(line) for line in lines]
        self._played.seconds = time.monotonic() - began
        return self._played

    def _options(self) -> Options:
        return Options(
            types=tuple(self._run.types),
            monitor_types=load_monitor_types(),
            heat_tick_s=0.05,
            snmp_interval_active_s=0.05,
            snmp_interval_s=0.2,
            missing_resource_wait_s=STEP_TIMEOUT_S / 2,
        )

    def _wiring(self, settings: Snapshot) -> Wiring:
        folder = str(self._folder)
        return Wiring(
            partial(etcd, settings), partial(stand_ins.stacks, folder), partial(stand_ins.agent, folder)
        )

    # ---------------------------------------------------------------------------------------------- steps

    def _take(self, step: Step, store: Store) -> None:
        ref, version = step.ref, step.version
        if step.what == "config":
            write = Delete(step.key) if step.value is None else Put(step.key, compact(step.value))
            store.commit([WriteSet((write,))])
            if ref is not None and (ref, version) in self._run.jobs:
                self._declared.append((ref, version))
            return
        self._await_plans()
        if step.what == "heat" and ref is not None:
            before = self._observer.stacks[ref]
            gone = step.value.get("stack_status") == "DELETE_COMPLETE"
            self._release(f"{stack_name(ref)} {'deleted' if gone else version}")
            self._await(
                f"the stack of {ref} version {version} is recorded",
                lambda: self._observer.stacks[ref] > before,
            )
        elif ref is not None:
            self._release(f"monitors {ref} {version}")
            self._await(
                f"{ref} version {version} has an outcome", lambda: (ref, version) in self._observer.outcomes
            )

    def _await_plans(self) -> None:
        """What ends later was waited for by all that was declared before."""
        for ref, version in self._declared:
            self._await(
                f"{ref} version {version} is planned",
                lambda one=(ref, version): one in self._observer.planned,  # type: ignore[misc]
            )
        self._declared.clear()

    def _release(self, token: str) -> None:
        with (self._folder / stand_ins.RELEASED).open("a", encoding="utf-8") as file:
            file.write(token + "\n")

    def _await(self, what: str, condition: Callable[[], bool]) -> None:
        if not self._observer.wait(condition, STEP_TIMEOUT_S):
            self._played.problems.append(f"within {STEP_TIMEOUT_S:g} s it did not happen that {what}")

    def _calm_down(self) -> None:
        """Wait until nothing is written any more: the last `/monitoring` values come after the last outcome."""
        while self._observer.wait_for_more(QUIET_S):
            continue

    # ----------------------------------------------------------------------------------------------- plan

    def _write_plan(self) -> None:
        stacks = {}
        for (ref, version), value in self._run.answers.items():
            gone = value.get("stack_status") == "DELETE_COMPLETE"
            stacks[f"{stack_name(ref)} {'deleted' if gone else version}"] = value
        plan = {"stacks": stacks, "devices": self._devices()}
        (self._folder / stand_ins.PLAN).write_text(json.dumps(plan))

    def _devices(self) -> dict[str, list[dict[str, Any]]]:
        devices: dict[str, list[dict[str, Any]]] = {}
        outputs: dict[Ref, tuple[JsonObject, ...]] = {}
        for (ref, _), value in self._run.answers.items():
            outputs[ref] = tuple(value.get("output", ())) or outputs.get(ref, ())
        for (ref, version), jobs in self._run.jobs.items():
            for job in jobs:
                if job.handler is Handler.MONITORING and job.action is Action.CREATE:
                    for monitor in self._monitors(job, outputs):
                        self._played.watched.add((ref, version))
                        monitor["token"] = f"monitors {ref} {version}"
                        devices.setdefault(monitor.pop("host"), []).append(monitor)
        return devices

    def _monitors(self, job: Job, outputs: dict[Ref, tuple[JsonObject, ...]]) -> list[dict[str, Any]]:
        return monitors_of(self._run, job, rendering.resolve(job.params, outputs)[0])
