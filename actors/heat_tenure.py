"""Whether a stack may be written to: what a HeatActor knows of the ownership of its controller.

Guarantees: a write that was asked for under a term is begun only while the bridge has said that this term holds,
and before the lease can have ended by then; nothing said yet means no. Heat knows no fences: a request that left
before may still arrive, and that is all that a former owner can do to a stack.
"""

from __future__ import annotations

from actors.core.errors import ErrorClass, Failure
from actors.core.ownership import vshard
from actors.heat_drive import Drive
from actors.messages import Tenure

#: What a drive hears whose write is not begun. Asked again by its requester, if that is still there.
NOT_OURS = Failure(
    ErrorClass.TRANSIENT, "OwnershipLost", "this controller may not write to its stack any more"
)


class Tenures:
    """The newest word of the bridge."""

    def __init__(self) -> None:
        self.last = Tenure({}, 0.0)

    def allow(self, drive: Drive, now: float) -> bool:
        """Whether a write of that drive may be begun."""
        request, tenure = drive.request, self.last
        held = tenure.terms.get(vshard(str(request.ref))) == request.term
        return not request.term or (held and now < tenure.until)
