"""A Knowledge that is fed by hand: the world of `tests.core.mirror`, with histories."""

from __future__ import annotations

import json
from typing import Any

from actors.core import history, keys
from actors.core.knowledge import Knowledge
from actors.core.model import Ref
from actors.core.spans import Span, Spans
from tests.core.mirror import TYPES, Mirror

NOW = 1_000_000.0


class Insight(Mirror):
    """A Mirror whose world belongs to a Knowledge."""

    def __init__(self, **mappings: dict[str, Any]) -> None:
        self.known = Knowledge(TYPES, NOW)
        super().__init__(**mappings)

    @property
    def world(self) -> Any:
        """The knowledge's world."""
        return self.known.world

    @world.setter
    def world(self, _value: Any) -> None:
        """The Mirror's own world is not used."""

    def put(self, key: str, value: object, *, created: int = 0) -> Ref | None:
        """One write, into world and knowledge alike."""
        self.revision += 1
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.known.put(key, raw, self.revision, created or self.revision)
        return None

    def ended(
        self,
        ref: Ref,
        ended_s: float,
        *spans: tuple[Any, ...],
        version: int = 1,
        error: str = "",
        retries: int = 0,
    ) -> None:
        """A version has ended: a line of history. `spans`: (kind, seconds[, blocker])."""
        line = history.Line(
            version,
            "create",
            "CREATE_FAILED" if error else "CREATE_COMPLETED",
            error,
            ended_s,
            Spans([Span(*span) for span in spans]),
        )
        key = keys.HISTORY + self.known.world.types.path(ref)
        self.put(key, history.append(self._raw.get(key), line, retries))

    @property
    def _raw(self) -> dict[str, bytes]:
        types = self.known.world.types
        return {keys.HISTORY + types.path(ref): raw for ref, raw in self.known._histories.items()}
