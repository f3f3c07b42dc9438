"""What a person means by RESOURCE: `type:id`, an id, the unique beginning of one, or a name.

Guarantees: an exact match wins over a beginning, and a beginning over nothing; more than one is never guessed,
and an empty text means none.
"""

from __future__ import annotations

from actors.core.knowledge import Knowledge
from actors.core.model import Ref

SHOWN_MAX = 10


class NotFoundError(LookupError):
    """No resource, or more than one, is meant. The text says which there are."""


def find(known: Knowledge, text: str) -> Ref:
    """The one resource that `text` means. Raises NotFoundError."""
    kind, colon, rest = text.partition(":")
    typed = bool(colon) and kind in known.world.types
    wanted = rest if typed else text
    if not wanted:
        # a variable of a script that was not set: it means no resource, least of all the one without a name
        raise NotFoundError(f"{text!r} names no resource: give type:id, id, beginning of an id, or name")
    refs = [ref for ref in known.refs() if not typed or ref.type == kind]
    ways = (
        [ref for ref in refs if ref.id == wanted],
        [ref for ref in refs if known.name(ref) == wanted],
        [ref for ref in refs if ref.id.startswith(wanted)],
    )
    for found in ways:
        if len(found) == 1:
            return found[0]
        if found:
            shown = ", ".join(str(ref) for ref in found[:SHOWN_MAX])
            more = f" and {len(found) - SHOWN_MAX} more" if len(found) > SHOWN_MAX else ""
            raise NotFoundError(f"{text!r} may mean {len(found)} resources: {shown}{more}")
    history = next((ref for ref in known.histories() if text in (str(ref), ref.id)), None)
    if history is not None:
        return history
    raise NotFoundError(f"no resource is called {text!r} (type:id, id, beginning of an id, or name)")
