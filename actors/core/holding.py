"""How long a plan is held back for what must not be waited for without end: a declaration, or the order alone.

Guarantees: the two are counted apart, from the first time in a row that a plan was held for one of them. The caller
brings the time, in seconds of any monotonic clock.
"""

from __future__ import annotations

from actors.core.ordering import Held


class Holding:
    """The patience of one resource; `limit_s`: seconds that each may take."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._since: tuple[str, float] | None = None

    @property
    def ends(self) -> bool:
        """Whether the present hold, if there is one, comes to an end by itself."""
        return self._since is not None

    def left_s(self, held: Held, now_s: float) -> float:
        """For how long yet (0 or less: no longer) it may be held for this; the limit for what may last."""
        kind = "declaration" if held.bounded else "order" if held.ordered else ""
        if not kind:
            self._since = None
        elif self._since is None or self._since[0] != kind:
            self._since = (kind, now_s)
        return self._limit_s if self._since is None else self._limit_s - (now_s - self._since[1])

    def keeps_order(self, now_s: float) -> bool:
        """Whether a plan may still be held for the order alone."""
        return self._since is None or self._since[0] != "order" or now_s - self._since[1] < self._limit_s
