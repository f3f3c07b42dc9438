"""The stages of a resource as people see them: the states of the job machine, and what lies around them."""

from __future__ import annotations

from typing import Final

from actors.core.machine import State

#: Nothing is under way, and nothing will be until somebody changes something.
FINAL: Final = frozenset({"settled", "failed"})
STAGES: Final = frozenset({"queued", "paused", "failed", "unknown", *map(str, State)})
