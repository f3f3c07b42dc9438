"""The timers of one process: one heap, whatever the number of actors and timers.

Guarantees: timers fire in the order of their times, equal times in the order of their making; a cancelled
timer never fires and is forgotten at the latest when half of the heap is cancelled ones.
"""

from __future__ import annotations

import heapq

from actors.runtime.host import Timer


class TimerQueue:
    """Timers with the number of the actor they belong to."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int, Timer]] = []
        self._made = 0
        self._sweep_at = 1024

    def add(self, sub: int, timer: Timer) -> None:
        """Have `timer` come back from `due` when its time has come."""
        self._made += 1
        heapq.heappush(self._heap, (timer.due, self._made, sub, timer))
        if len(self._heap) >= self._sweep_at:
            self._heap = [entry for entry in self._heap if entry[3].pending]
            heapq.heapify(self._heap)
            self._sweep_at = max(1024, 2 * len(self._heap))

    def due(self, now: float) -> list[tuple[int, Timer]]:
        """Take out all timers whose time is not after `now`."""
        ready = []
        while self._heap and self._heap[0][0] <= now:
            _, _, sub, timer = heapq.heappop(self._heap)
            if timer.pending:
                ready.append((sub, timer))
        return ready

    def next_due(self) -> float | None:
        """When to look again."""
        while self._heap and not self._heap[0][3].pending:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def __len__(self) -> int:
        return len(self._heap)
