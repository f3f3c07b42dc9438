"""How bugs are planted in general: replacing, unguarding, forgetting.

Guarantees: a bug is a list of (owner, attribute, replacement), made when it is planted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from actors import resource
from actors.core import machine, stackdrive
from actors.core.machine import TABLE, Event, State
from actors.core.model import Action
from actors.core.stackdrive import Seen, Step
from actors.ports import Delete, Put, WriteSet

Change = tuple[Any, str, Any]


@dataclass(frozen=True, slots=True)
class Bug:
    """One planted bug; `what` says it in words. `profiles`: the weather in which it is looked for, by turns: every
    third or so is a storm, to find rare races."""

    name: str
    what: str
    changes: Callable[[], Iterable[Change]]
    profiles: tuple[str, ...] = ("swarm", "swarm", "storm")


#: Where people write past the API server.
ROUGH = ("rough",)
#: Where resources refer to one another in every way.
TANGLE = ("tangle",)
#: Where an operator pauses, resumes and asks.
STEERED = ("steered",)


def nothing(*_args: Any, **_kwargs: Any) -> None:
    """Do not do it."""
    return


def decide(change: Callable[[Step, Action, int, list[Seen]], Step]) -> Callable[[], Iterable[Change]]:
    """A bug in the decision about stacks."""

    def changes() -> Iterable[Change]:
        real = stackdrive.decide

        def decide(wanted: Action, version: int, stacks: list[Seen], **rest: bool) -> Step:
            return change(real(wanted, version, stacks, **rest), wanted, version, stacks)

        return [(stackdrive, "decide", decide)]

    return changes


def unguarded(owner: Any, name: str, keep: int = 0) -> Callable[[], Iterable[Change]]:
    """A transaction that forgets its guards but the first `keep`."""

    def changes() -> Iterable[Change]:
        real = getattr(owner, name)

        def unguarded(*args: Any, **kwargs: Any) -> WriteSet:
            made: WriteSet = real(*args, **kwargs)
            return WriteSet(made.writes, made.guards[:keep])

        return [(owner, name, unguarded)]

    return changes


def without(owner: Any, name: str, drop: Callable[[Put | Delete], bool]) -> Callable[[], Iterable[Change]]:
    """A transaction that forgets some of its writes."""

    def changes() -> Iterable[Change]:
        real = getattr(owner, name)

        def lacking(*args: Any, **kwargs: Any) -> WriteSet:
            made: WriteSet = real(*args, **kwargs)
            return WriteSet(tuple(w for w in made.writes if not drop(w)), made.guards)

        return [(owner, name, lacking)]

    return changes


def swap(owner: Any, name: str, made: Any) -> Callable[[], Iterable[Change]]:
    """Something else in its place."""
    return lambda: [(owner, name, made)]


def table(state: State, event: Event, new: Any) -> Callable[[], Iterable[Change]]:
    """Another transition of the job machine."""

    def changes() -> Iterable[Change]:
        changed = {**TABLE, (state, event): new}

        def step(here: State, happened: Event) -> Any:
            return changed.get((here, happened)) or real(here, happened)

        real = machine.step
        return [(resource, "step", step)]

    return changes
