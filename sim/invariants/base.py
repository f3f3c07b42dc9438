"""What an invariant is: a promise in words, and the moments at which it is checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from actors.core.model import Ref
from sim.truth import Write, Writer

if TYPE_CHECKING:
    from actors.ports import StackSpec, WriteSet
    from sim.world import World


class Violation(BaseException):
    """A promise is broken. No `Exception`, so that nothing on the way up takes it for a failure of its own."""

    kind = "invariant"

    def __init__(self, promise: str, text: str, ref: Ref | None = None) -> None:
        super().__init__(promise, text, ref)
        self.promise = promise
        self.text = text
        self.ref = ref

    def __str__(self) -> str:
        about = f" [{self.ref}]" if self.ref is not None else ""
        return f"{self.promise}{about}: {self.text}"


class Stuck(Violation):
    """The run does not converge, or does not come to rest."""

    kind = "liveness"


class Crashed(Violation):
    """A handler raised, or was given an event that cannot be."""

    kind = "crash"


class Invariant:
    """Base of all promises; the docstring of a subclass is the promise. `checks`: how often it was checked."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.checks = 0

    def revised(self, writes: Sequence[Write], writer: Writer | None) -> None:
        """A new revision of etcd; `writer` None: somebody outside the product. The truth knows it already."""

    def asked(self, action: str, name: str, spec: StackSpec | None) -> None:
        """A create, update or delete reaches Heat and has not yet taken effect."""

    def tried(self, asked: WriteSet) -> None:
        """The product asks etcd to write, whatever comes of it."""

    def refused(self, refused: WriteSet, writer: Writer) -> None:
        """A write of the product whose guards did not hold."""

    def looked(self) -> None:
        """Every few seconds."""

    def rested(self) -> None:
        """Faults are over, everything has converged and is at rest."""

    def emptied(self) -> None:
        """Everything was deleted, and the system is at rest."""

    def fail(self, text: str, ref: Ref | None = None) -> NoReturn:
        """Raise Violation."""
        raise Violation(type(self).__name__, text, ref)
