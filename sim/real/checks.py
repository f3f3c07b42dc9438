"""The promises of the second tier: those of `sim.invariants` that hold from outside, and those only real parts show."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from actors.core import keys
from actors.core.model import Ref
from sim.invariants import Crashed, Invariant
from sim.invariants.building import Patience
from sim.invariants.resting import Outcomes
from sim.invariants.writing import (
    Fencing,
    FewWrites,
    NoLies,
    SingleWriter,
    StateBeforeMonitoring,
    VersionOrder,
)
from sim.truth import OURS, Write, Writer, ref_of

if TYPE_CHECKING:
    from sim.real.world import RealWorld
    from sim.world import World

_TRACE = re.compile(r'"traceback": |Traceback \(most recent call last\)|impossible event')


class Accounted(Invariant):
    """Every change of a key of ours, deletions too, is a transaction that a controller was seen to send, or the API
    server's clearing away: there is no other writer, and the tap misses nothing."""

    def revised(self, writes: Sequence[Write], writer: Writer | None) -> None:
        """Each revision."""
        ours = [write for write in writes if write.root in OURS]
        if not ours:
            return
        self.checks += 1
        cleared = any(write.root == keys.CONFIG for write in writes) and all(one.deleted for one in writes)
        if writer is None and not cleared:
            self.fail(f"{ours[0].key} was changed, and no controller sent that", ours[0].ref)


class OneOutcome(Invariant):
    """The outcome of a declared version of a resource is written once, not even the same again. (What vanished without
    a mark has no version of its deletion, so that bears the last one.)"""

    def revised(self, writes: Sequence[Write], writer: Writer | None) -> None:
        """Each /state."""
        for write in writes:
            if write.root == keys.STATE and not write.deleted and write.ref is not None:
                self.checks += 1
                again = write.old is not None and write.old["version"] == write.value["version"]
                if again and self.world.truth.config(write.ref) is not None:
                    self.fail(
                        f"a second outcome of version {write.value['version']}: {write.value}", write.ref
                    )


class OneLivingStack(Invariant):
    """At no moment of Heat's own history do two stacks of one name live."""

    def revised(self, writes: Sequence[Write], writer: Writer | None) -> None:
        """As of each revision."""
        self.checks += 1
        for name, stacks in self.world.heat.living.items():  # type: ignore[attr-defined]
            if len(stacks) > 1:
                self.fail(f"{len(stacks)} stacks are named {name}", ref_of(name))


class NothingLeft(Invariant):
    """When everything was deleted there is no stack and none of our keys."""

    def emptied(self) -> None:
        """After everything was deleted."""
        self.checks += 1
        left = self.world.living_stacks()
        if left:
            self.fail(f"stack {left[0].name} is left over, {left[0].stack_status}", ref_of(left[0].name))
        values = self.world.truth.values
        # a vanished resource that could not be deleted stays, with its error, until an operator sees to it
        failed = tuple(
            key[len(keys.STATE) :]
            for key, value in values.items()
            if key.startswith(keys.STATE) and value.get("error")
        )
        for key in values:
            if key.startswith(tuple(OURS)) and not (failed and key.endswith(failed)):
                self.fail(f"{key} is left over", _ref(key))


ALL: tuple[type[Invariant], ...] = (
    Accounted,
    SingleWriter,
    Fencing,
    VersionOrder,
    OneOutcome,
    StateBeforeMonitoring,
    NoLies,
    OneLivingStack,
    FewWrites,
    Patience,
    Outcomes,
    NothingLeft,
)


def promises(world: RealWorld) -> list[Invariant]:
    """All of them, about this world."""
    return [each(cast("World", world)) for each in ALL]


class Logs:
    """Reads the logs of all lives as they grow: an exception in the product ends the run."""

    def __init__(self) -> None:
        self._read: dict[Path, int] = {}
        self.lines = 0

    def look(self, logs: Sequence[Path]) -> None:
        """Raises Crashed."""
        for path in logs:
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._read[path] = self._read.get(path, 0) + len(whole)
            for line in whole.decode("utf-8", "replace").splitlines():
                self.lines += 1
                if _TRACE.search(line):
                    raise Crashed("Crash", f"{path.name}: {_shown(line)}")


def _shown(line: str) -> str:
    try:
        record = json.loads(line)
    except ValueError:
        return line
    return f"{record.get('message')}: {str(record.get('traceback', '')).strip().splitlines()[-1:]}"


def _ref(key: str) -> Ref | None:
    from sim.api_server import TYPES

    for root in OURS:
        if key.startswith(root) and root != keys.JOBS:
            return TYPES.ref(key, root)
    return None
