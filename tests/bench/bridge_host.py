"""An EtcdBridge with real threads in this process, without Thespian: for benches of the bridge alone.

Guarantees: the bridge's handlers run on one thread of their own, its work on the threads of its lanes, as in a
process of the product; messages to the outside are taken by `take`. Knows neither crashes nor children.
"""

from __future__ import annotations

import asyncio
import heapq
import queue
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from actors.etcd_bridge import EtcdBridge
from actors.runtime.actor import BaseActor
from actors.runtime.host import Address, Finished, Host, Posted, Started, Timer, TimerFired

T = TypeVar("T")
OUTSIDE = "shard"
_END = object()


class BridgeHost(Host):
    """One bridge; `tell` and `take` are for its only correspondent."""

    def __init__(self) -> None:
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = 0
        self._posted: list[object] = []
        self._lock = threading.Lock()
        self._lanes = {
            name: ThreadPoolExecutor(lane.threads, thread_name_prefix=name)
            for name, lane in EtcdBridge.lanes.items()
        }
        self.bridge = EtcdBridge()
        self.bridge._host = self
        self._inbox.put((Started(), "bridge"))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def tell(self, message: object) -> None:
        """As the shard."""
        self._inbox.put((message, OUTSIDE))

    def take(self, timeout_s: float) -> object:
        """The next message to the shard. Raises queue.Empty."""
        return self._outbox.get(timeout=timeout_s)

    def close(self) -> None:
        """End the bridge and its threads."""
        self._inbox.put((_END, ""))
        self._thread.join(10.0)

    def _run(self) -> None:
        while True:
            wait = self._timers[0][0] - time.monotonic() if self._timers else 1.0
            try:
                message, sender = self._inbox.get(timeout=max(0.0, min(wait, 1.0)))
            except queue.Empty:
                message, sender = None, ""
            if message is _END:
                self.bridge.stopping()
                for lane in self._lanes.values():
                    lane.shutdown(wait=False)
                return
            if message is not None:
                self.bridge.dispatch(self._unpacked(message), sender)
            while self._timers and self._timers[0][0] <= time.monotonic():
                timer = heapq.heappop(self._timers)[2]
                self.bridge.dispatch(TimerFired(timer), "bridge")

    def _unpacked(self, message: object) -> object:
        if not isinstance(message, Posted):
            return message
        with self._lock:
            items, self._posted = self._posted, []
        return Posted(items)

    # ------------------------------------------------------------------------------------ what the bridge sees

    @property
    def address(self) -> Address:
        """See the base."""
        return "bridge"

    def send(self, to: Address, message: object) -> None:
        """See the base."""
        self._outbox.put(message)

    def after(self, delay_s: float, payload: object) -> Timer:
        """See the base."""
        timer = Timer(time.monotonic() + delay_s, payload)
        self._numbers += 1
        heapq.heappush(self._timers, (timer.due, self._numbers, timer))
        return timer

    def now(self) -> float:
        """See the base."""
        return time.monotonic()

    def submit(self, work: Callable[[], T], then: Callable[[T | BaseException], None], lane: str) -> None:
        """See the base."""

        def run() -> None:
            outcome: T | BaseException
            try:
                outcome = work()
            except Exception as error:
                outcome = error
            self._inbox.put((Finished(then, outcome), "bridge"))

        self._lanes[lane].submit(run)

    def post(self, item: object) -> None:
        """See the base."""
        with self._lock:
            self._posted.append(item)
            first = len(self._posted) == 1
        if first:
            self._inbox.put((Posted([]), "bridge"))

    def create(self, cls: type[BaseActor]) -> Address:
        """A bridge has no children."""
        raise NotImplementedError

    def stop(self, address: Address) -> None:
        """A bridge stops nobody."""

    def kill(self, address: Address) -> None:
        """A bridge kills nobody."""

    def collect_dead_letters(self) -> None:
        """There are none."""

    def counters(self) -> dict[str, int]:
        """None are kept."""
        return {}

    def submit_async(
        self, work: Callable[[], Coroutine[Any, Any, T]], then: Callable[[T | BaseException], None]
    ) -> None:
        """A bridge has no coroutines."""
        raise NotImplementedError

    def start_loop(self) -> asyncio.AbstractEventLoop:
        """A bridge has no loop."""
        raise NotImplementedError
