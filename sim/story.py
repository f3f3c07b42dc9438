"""The story of one resource in virtual time: what was declared, written, asked, decided, and what went wrong.

Guarantees: only what happened; watching changes nothing (the digest of a watched run is that of the unwatched).
Long values are cut.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from actors.core import keys
from actors.core.model import Ref
from actors.core.ownership import CONTROLLERS
from actors.messages import Report
from actors.ports import StackSpec
from sim.invariants.base import Invariant
from sim.process import Cell
from sim.truth import Write, Writer
from sim.world import World

WIDTH = 170


class Story(Invariant):
    """Collects `lines`. `refs`: whom it is about; None: everybody. Faults are always told."""

    def __init__(self, world: World, refs: frozenset[Ref] | None) -> None:
        super().__init__(world)
        self.lines: list[str] = []
        self._refs = refs
        self._names = 0
        world.host.listener = self._heard

    def revised(self, writes: Sequence[Write], writer: Writer | None) -> None:
        """What was written, and by whom."""
        who = writer.process.name if writer is not None else "API server or etcd"
        for write in writes:
            if self._about(write.ref) and (write.ref is not None or write.root == CONTROLLERS):
                value = "deleted" if write.deleted else _short(write)
                self._tell(f"rev {write.revision} {who}: {write.key} = {value}")

    def asked(self, action: str, name: str, spec: StackSpec | None) -> None:
        """A write to Heat."""
        kind, _, rid = name.partition("_")
        if self._about(Ref(kind, rid)):
            tags = f" {spec.tags} {dict(spec.parameters)}" if spec is not None else ""
            now = [f"{one.stack_status} {one.tags}" for one in self.world.stacks_named(name)]
            self._tell(f"Heat is asked to {action} {name}{tags}; there is {now}")

    def _heard(self, to: Cell, message: object) -> None:
        if isinstance(message, Report) and self._about(message.ref):
            self._tell(f"{message.ref} v{message.version} {message.stage}: {message.reason}")

    def _about(self, ref: Ref | None) -> bool:
        return self._refs is None or ref is None or ref in self._refs

    def _tell(self, text: str) -> None:
        names = self.world.faults.names
        for name in names[self._names :]:
            self.lines.append(f"{'':>10}  ! {name}")
        self._names = len(names)
        self.lines.append(f"{self.world.host.now:10.4f}  {text[:WIDTH]}")


class StoryLog(logging.Handler):
    """The product's own log lines, as part of a story."""

    def __init__(self, story: Story) -> None:
        super().__init__()
        self._story = story

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        self._story._tell(f"log {record.levelname.lower()}: {record.getMessage()}")


def _short(write: Write) -> str:
    value = write.value
    if write.root == keys.JOBS and isinstance(value, list):
        return f"job v{value[1]['version']} waits for {value[1]['dependency']}"
    return str(value)


def follow(world: World, refs: frozenset[Ref] | None) -> Story:
    """Have the story of these resources told while the world runs."""
    story = Story(world, refs)
    world.invariants = [story, *world.invariants]
    world.revising = [story, *world.revising]
    return story
