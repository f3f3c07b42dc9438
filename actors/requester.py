"""An actor that asks one thing at a time, with a deadline: the requester's side of an at-most-once transport.

Guarantees: an answer is heard only if it is to the last request; there is one timer, and arming it again
forgets the former.
"""

from __future__ import annotations

from actors.core.model import Ref
from actors.desk import Desk
from actors.messages import Commit, Read, Tick
from actors.ports import WriteSet
from actors.runtime.actor import BaseActor
from actors.runtime.host import Timer


class Requester(BaseActor):
    """Base of ResourceActor."""

    desk: Desk
    ref: Ref
    #: the term of the ownership under which this actor was begun: its writes are void under any other
    term: int = 0

    def started(self) -> None:
        """No request is open."""
        self.asked = ""
        self._requests = 0
        self._timer: Timer | None = None

    def rid(self) -> str:
        """A new request id; answers to older ones are not heard any more."""
        self._requests += 1
        self.asked = f"{self.ref}@{self.now():.6f}/{self._requests}"
        return self.asked

    def heard(self, rid: str) -> bool:
        """Whether this answers the open question, which then is answered: the same again means nothing."""
        if rid != self.asked:
            return False
        self.asked = ""
        return True

    def arm(self, delay_s: float, what: str) -> None:
        """Set the one timer: `Tick(what)` arrives after that time."""
        self.disarm()
        self._timer = self.after(delay_s, Tick(what))

    def disarm(self) -> None:
        """Forget the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def fired(self) -> None:
        """The timer has done its work."""
        self._timer = None

    def read_keys(self, names: tuple[str, ...]) -> None:
        """Ask the bridge for the present values; the deadline is armed."""
        self.tell(self.desk.bridge, Read(self.rid(), names))
        self.arm(self.desk.options.request_timeout_s, "overdue")

    def commit(self, write_set: WriteSet) -> None:
        """Have the bridge write; the deadline is armed."""
        self.tell(self.desk.bridge, Commit(self.rid(), write_set, self.desk.vshard(self.ref), self.term))
        self.arm(self.desk.options.request_timeout_s, "overdue")
