"""Threads of one process actor, and how their results reach its own thread.

Guarantees: `take` is called on the actor's thread and gets what was posted in order per thread; a wakeup is
never lost; pools and coroutines are bounded and raise `Busy`; a thread that posts faster than the actor reads
is held back instead of filling the memory. All threads are daemons: they die with the process.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from actors.runtime.host import Busy, Finished, Lane

T = TypeVar("T")

#: What may wait for the actor's thread before posting threads are held back.
MAX_WAITING = 100_000
#: What coroutines finish within this time reaches the actor's thread together; the last one under way does not wait.
GATHER_S = 0.01


class Bridge:
    """Everything that comes from threads, on its way to the actor's thread."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._items: deque[object] = deque()
        self._finished: deque[Finished] = deque()
        self._signalled = False

    def post(self, item: object) -> None:
        """From any thread."""
        self._hold_back(self._items)
        self._items.append(item)
        self.signal()

    def finish(self, finished: Finished, *, signal: bool = True) -> None:
        """From a worker thread: its work is done. Without `signal`, that is still to be called."""
        self._finished.append(finished)
        if signal:
            self.signal()

    def signal(self) -> None:
        """Have the actor's thread call `take`."""
        if not self._signalled:
            self._signalled = True
            self._wake()

    def take(self) -> tuple[list[object], list[Finished]]:
        """On the actor's thread: all that has come so far."""
        self._signalled = False
        return _drain(self._items), _drain(self._finished)

    def _hold_back(self, waiting: deque[object]) -> None:
        if len(waiting) < MAX_WAITING or threading.current_thread() is threading.main_thread():
            return
        while len(waiting) >= MAX_WAITING:
            time.sleep(0.002)


def _drain(source: deque[T]) -> list[T]:
    return [source.popleft() for _ in range(len(source))]


class _Pool:
    """The threads of one lane."""

    def __init__(self, name: str, lane: Lane, bridge: Bridge) -> None:
        self._name = name
        self._lane = lane
        self._bridge = bridge
        self._work: queue.SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None]]] = queue.SimpleQueue()
        self._threads = 0
        self._lock = threading.Lock()
        self._unfinished = 0

    def submit(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        with self._lock:
            if self._unfinished >= self._lane.threads + self._lane.queue:
                raise Busy(f"lane {self._name!r} has {self._unfinished} pieces of work")
            self._unfinished += 1
            needed = self._threads < min(self._lane.threads, self._unfinished)
            self._threads += needed
        if needed:
            self._begin()
        self._work.put((work, then))

    def _begin(self) -> None:
        """One more thread; without it those that there are do its work, too, and the next piece of work tries again."""
        try:
            threading.Thread(target=self._run, name=f"{self._name}-{self._threads}", daemon=True).start()
        except RuntimeError as error:  # the system lets us have no more
            with self._lock:
                self._threads -= 1
                if not self._threads:
                    self._unfinished -= 1
                    raise Busy(f"lane {self._name!r} has no thread: {error}") from error

    def _run(self) -> None:
        while True:
            work, then = self._work.get()
            try:
                outcome = work()
            except BaseException as error:  # noqa: BLE001 - the outcome of the work, whatever it is
                outcome = error
            with self._lock:
                self._unfinished -= 1
            self._bridge.finish(Finished(then, outcome))
            del work, then, outcome


class Workers:
    """The pools and the asyncio loop of one process actor; nothing is started before it is used."""

    def __init__(self, lanes: Mapping[str, Lane], max_coroutines: int, bridge: Bridge) -> None:
        self._pools = {name: _Pool(name, lane, bridge) for name, lane in lanes.items()}
        self._max_coroutines = max_coroutines
        self._bridge = bridge
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._coroutines = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._fresh: deque[tuple[Callable[[], Coroutine[Any, Any, Any]], Callable[[Any], None]]] = deque()
        self._launching = False
        self._gathering: asyncio.TimerHandle | None = None

    def submit(self, work: Callable[[], Any], then: Callable[[Any], None], lane: str) -> None:
        """See Host.submit."""
        self._pools[lane].submit(work, then)

    def submit_async(self, work: Callable[[], Coroutine[Any, Any, Any]], then: Callable[[Any], None]) -> None:
        """See Host.submit_async."""
        with self._lock:
            if self._coroutines >= self._max_coroutines:
                raise Busy(f"{self._coroutines} coroutines are under way")
            self._coroutines += 1
        self._fresh.append((work, then))
        if not self._launching:  # one wake-up of the loop for all that come together
            self._launching = True
            self.start_loop().call_soon_threadsafe(self._launch)

    def start_loop(self) -> asyncio.AbstractEventLoop:
        """See Host.start_loop."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="asyncio", daemon=True).start()
        return self._loop

    def _launch(self) -> None:
        self._launching = False  # before looking: what comes from here on wakes the loop again
        for work, then in _drain(self._fresh):
            task = asyncio.ensure_future(self._run(work, then))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, work: Callable[[], Coroutine[Any, Any, Any]], then: Callable[[Any], None]) -> None:
        try:
            outcome = await work()
        except BaseException as error:  # noqa: BLE001 - the outcome of the work, whatever it is
            outcome = error
        with self._lock:
            self._coroutines -= 1
            last = self._coroutines == 0
        self._bridge.finish(Finished(then, outcome), signal=last)
        if not last and self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(GATHER_S, self._hand_over)
        elif last and self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None

    def _hand_over(self) -> None:
        self._gathering = None
        self._bridge.signal()
