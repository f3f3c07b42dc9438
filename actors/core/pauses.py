"""What operators have paused: the values below `/gatewright/pause/`, read, and how to end each.

Guarantees: an unreadable value pauses all the same, and is by somebody since an unknown time; the command that is
named ends exactly that scope. Times in seconds since 1970, by the clock of whoever paused.
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.core.errors import shortened
from actors.core.json_text import parse
from actors.core.members import MOMENT_MAX_S, QUOTED_MAX, seconds
from actors.core.model import Json

SOMEBODY = "somebody"
KINDS = ("all", "type", "tenant", "resource")


@dataclass(frozen=True, slots=True)
class Pause:
    """`scope`: `all`, `type/<type>`, `tenant/<id>` or `resource/<path>`; `since_s` None: it does not say."""

    scope: str
    by: str = SOMEBODY
    since_s: float | None = None

    def to_json(self) -> dict[str, Json]:
        """Plain values."""
        return {"scope": self.scope, "by": self.by, "since": self.since_s, "resume": resume(self.scope)}


def read(scope: str, raw: bytes) -> Pause:
    """The pause of one scope."""
    try:
        value = parse(raw)
    except ValueError:
        return Pause(scope)
    if not isinstance(value, dict):
        return Pause(scope)
    by, since = value.get("by"), value.get("since")
    return Pause(scope, shortened(str(by), QUOTED_MAX) if by else SOMEBODY, seconds(since, MOMENT_MAX_S))


def kind_of(scope: str) -> str:
    """One of KINDS, for any scope that can mean something."""
    return scope.partition("/")[0]


def resume(scope: str) -> str:
    """The command that ends it: `resume --type subnet`."""
    kind, _, name = scope.partition("/")
    if kind in ("type", "tenant"):
        return f"resume --{kind} {name}"
    return "resume --all" if kind == "all" else f"resume {name.rpartition('/')[2]}"
