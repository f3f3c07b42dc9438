"""The ports, counted: wrappers that note kind, duration and class of error of every request.

Guarantees: the wrapped port behaves as the bare one, errors included; counting is safe from any thread. The
clock is monotonic and used for nothing but durations.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import psutil

from actors.core.errors import PortError
from actors.core.exposition import Meter, Sample
from actors.messages.telemetry import MetricsQuery, MetricsReply
from actors.ports import Agent, Changes, CommitResult, DeviceAddress, Stacks, Store, Watch, WatchEvent

T = TypeVar("T")


class SafeMeter:
    """A Meter for the threads of one process."""

    def __init__(self, role: str) -> None:
        self._role = role
        self._meter = Meter()
        self._lock = threading.Lock()
        self._written = 0
        self._watched = 0

    def timed(self, port: str, kind: str, work: Callable[[], T]) -> T:
        """Do it, and note how it went."""
        began = time.monotonic()
        try:
            return work()
        except PortError as error:
            self.failed(port, error)
            raise
        finally:
            self.took(port, kind, time.monotonic() - began)

    def took(self, port: str, kind: str, seconds: float) -> None:
        """A request has ended."""
        with self._lock:
            self._meter.count(f"{port}_requests_total", kind=kind)
            self._meter.observe(f"{port}_request_seconds", seconds, kind=kind)

    def failed(self, port: str, error: PortError) -> None:
        """A request has failed."""
        with self._lock:
            self._meter.count(f"{port}_errors_total", **{"class": error.failure.error_class.value})

    def begin(self, name: str, /, **labels: str) -> None:
        """As Meter.begin."""
        with self._lock:
            self._meter.begin(name, **labels)

    def count(self, name: str, by: float = 1.0, /, **labels: str) -> None:
        """As Meter.count."""
        with self._lock:
            self._meter.count(name, by, **labels)

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """As Meter.set."""
        with self._lock:
            self._meter.set(name, value, **labels)

    def observe(self, name: str, seconds: float, /, **labels: str) -> None:
        """As Meter.observe."""
        with self._lock:
            self._meter.observe(name, seconds, **labels)

    def revision(self, *, written: int = 0, watched: int = 0) -> None:
        """How far etcd is, by our own writes and by the watch."""
        with self._lock:
            self._written, self._watched = max(self._written, written), max(self._watched, watched)
            self._meter.set("etcd_revision", max(self._written, self._watched))
            self._meter.set("etcd_watch_lag_revisions", max(0, self._written - self._watched))

    def reply(self, query: MetricsQuery, more: Sequence[Sample] = ()) -> MetricsReply:
        """The answer to Telemetry."""
        with self._lock:
            samples = self._meter.samples()
        return MetricsReply(query.rid, self._role, os.getpid(), (*samples, *more))


class MeteredStore:
    """A Store, counted. What is not counted goes straight through."""

    def __init__(self, store: Store, meter: SafeMeter) -> None:
        self._store = store
        self._meter = meter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def page(self, prefix: str, **options: Any) -> Any:
        """Counted."""
        return self._meter.timed("etcd", "page", lambda: self._store.page(prefix, **options))

    def read(self, keys: Sequence[str]) -> Any:
        """Counted."""
        return self._meter.timed("etcd", "read", lambda: self._store.read(keys))

    def commit(self, sets: Sequence[Any], *fence: Any, **options: Any) -> CommitResult:
        """Counted, with the keys that were written."""
        result = self._meter.timed("etcd", "commit", lambda: self._store.commit(sets, *fence, **options))
        written = sum(len(one.writes) for one, ok in zip(sets, result.accepted, strict=False) if ok)
        self._meter.count("etcd_writes_total", written)
        if written:
            self._meter.revision(written=result.revision)
        return result

    def watch(self, prefix: str, *, revision: int, sink: Callable[[WatchEvent], None]) -> Watch:
        """Counted, with the revision that has been delivered."""
        meter = self._meter
        meter.revision(watched=revision)

        def counted(event: WatchEvent) -> None:
            if isinstance(event, Changes):
                meter.count("etcd_changes_total", len(event.puts_and_deletes))
                meter.revision(watched=event.revision)
            sink(event)

        return self._store.watch(prefix, revision=revision, sink=counted)


class MeteredStacks:
    """Stacks, counted."""

    def __init__(self, stacks: Stacks, meter: SafeMeter) -> None:
        self._stacks = stacks
        self._meter = meter

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._stacks, name)
        if name.startswith("_") or not callable(method):
            return method
        return lambda *args, **options: self._meter.timed("heat", name, lambda: method(*args, **options))


class MeteredAgent:
    """An Agent, counted."""

    def __init__(self, agent: Agent, meter: SafeMeter) -> None:
        self._agent = agent
        self._meter = meter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._agent, name)

    async def get(self, device: DeviceAddress, oids: Sequence[str]) -> Mapping[str, int | bytes | str | None]:
        """Counted."""
        return await self._timed("get", self._agent.get(device, oids))

    async def walk(self, device: DeviceAddress, root: str) -> Mapping[str, int | bytes | str | None]:
        """Counted."""
        return await self._timed("walk", self._agent.walk(device, root))

    async def _timed(self, kind: str, work: Awaitable[T]) -> T:
        began = time.monotonic()
        try:
            return await work
        except PortError as error:
            self._meter.failed("snmp", error)
            raise
        finally:
            self._meter.took("snmp", kind, time.monotonic() - began)


def metered_store(store: Store, meter: SafeMeter) -> Store:
    """The same store, counted."""
    counted: Any = MeteredStore(store, meter)
    return counted  # type: ignore[no-any-return]  # it passes on what it does not define itself


def metered_stacks(stacks: Stacks, meter: SafeMeter) -> Stacks:
    """The same stacks, counted."""
    counted: Any = MeteredStacks(stacks, meter)
    return counted  # type: ignore[no-any-return]  # it passes everything on


def metered_agent(agent: Agent, meter: SafeMeter) -> Agent:
    """The same agent, counted."""
    counted: Any = MeteredAgent(agent, meter)
    return counted  # type: ignore[no-any-return]  # it passes on what it does not define itself


def process_samples(name: str, pid: int) -> list[Sample]:
    """Memory, processor time and descriptors of one process; nothing if it is gone."""
    labels = (("process", name),)
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            cpu: Any = process.cpu_times()
            return [
                Sample("process_resident_bytes", labels, float(process.memory_info().rss)),
                Sample("process_cpu_seconds_total", labels, cpu.user + cpu.system),
                Sample("process_open_files", labels, float(process.num_fds())),
                Sample("process_open_files_limit", labels, float(process.rlimit(psutil.RLIMIT_NOFILE)[0])),
            ]
    except psutil.Error:
        return []
