"""The calls of drives: looks by name, shared by all of a tenant that want one, and calls for one stack alone.

Guarantees: no write is begun that the ownership does not allow; what a call brings reaches the drive only while
that is not over; a successor begins when the call of the one before it has returned, never earlier. Used on the
actor's thread only.
"""

from __future__ import annotations

from collections.abc import Callable

from actors.core.errors import Failure
from actors.heat_calls import Call, Calls
from actors.heat_drive import Drive
from actors.heat_tenure import NOT_OURS
from actors.ports import REQUEST_ID, Stack, Stacks

Work = Callable[[Stacks], object]
#: Names in one list call: their URL stays below what servers take (8 KB).
LOOK_MAX = 60


class Looks:
    """`found` gets all living stacks of a drive's name; `trouble` the failure of any call of a drive; `start`
    a successor whose turn has come; `allow` says at the last moment whether a drive may write."""

    def __init__(
        self,
        calls: Calls,
        found: Callable[[Drive, list[Stack]], None],
        trouble: Callable[[Drive, Failure], None],
        start: Callable[[Drive], None],
        allow: Callable[[Drive], bool],
    ) -> None:
        self._calls = calls
        self._found = found
        self._trouble = trouble
        self._start = start
        self._allow = allow
        self._wanted: dict[str, list[Drive]] = {}

    def call(
        self,
        drive: Drive,
        work: Work,
        then: Callable[[object], None],
        *,
        write: bool,
        acts: bool = False,
    ) -> None:
        """One call for one stack, when it is its tenant's turn. `acts`: it makes the stack as wanted."""

        def tagged(stacks: Stacks) -> object:
            REQUEST_ID.set(drive.request_id)
            return work(stacks)

        def returned(outcome: object) -> None:
            if write:
                drive.wrote(outcome, acts=acts)
            if self._back(drive, outcome):
                then(outcome)

        def prepare() -> Call | None:
            if drive.over:
                return None
            if write and not self._allow(drive):
                self._trouble(drive, NOT_OURS)
                return None
            drive.busy = True
            return Call(tagged, returned, write)

        self._calls.add(drive.tenant, prepare)

    def get(self, drive: Drive, stack_id: str, then: Callable[[Stack], None], *, outputs: bool) -> None:
        """Read one stack whole."""
        tenant, name = drive.tenant, drive.name

        def got(stack: object) -> None:
            assert isinstance(stack, Stack), "get returns a stack"
            then(stack)

        self.call(drive, lambda stacks: stacks.get(tenant, name, stack_id, outputs=outputs), got, write=False)

    def look(self, drive: Drive) -> None:
        """Look by name, together with whoever else of the tenant wants to."""
        wanted = self._wanted.setdefault(drive.tenant, [])
        wanted.append(drive)
        if len(wanted) == 1:
            self._calls.add(drive.tenant, lambda: self._prepare(drive.tenant))

    def _prepare(self, tenant: str) -> Call | None:
        wanted = [drive for drive in self._wanted.pop(tenant) if not drive.over]
        batch, rest = wanted[:LOOK_MAX], wanted[LOOK_MAX:]
        for drive in rest:
            self.look(drive)
        if not batch:
            return None
        for drive in batch:
            drive.busy = True
        names = tuple(dict.fromkeys(drive.name for drive in batch))
        alone = batch[0].request_id if len(batch) == 1 else ""

        def look(stacks: Stacks) -> object:
            REQUEST_ID.set(alone)
            return stacks.find(tenant, *names)

        return Call(look, lambda outcome: self._looked(batch, outcome))

    def _looked(self, batch: list[Drive], outcome: object) -> None:
        found: dict[str, list[Stack]] = {}
        for stack in outcome if isinstance(outcome, tuple) else ():
            found.setdefault(stack.name, []).append(stack)
        for drive in batch:
            try:
                if self._back(drive, outcome):
                    self._found(drive, found.get(drive.name, []))
            except Exception as error:  # noqa: BLE001 - one odd stack is the trouble of its own drive
                self._trouble(drive, self._calls.unforeseen(error))

    def _back(self, drive: Drive, outcome: object) -> bool:
        """A call returned: whether the drive goes on with what it brought."""
        drive.busy = False
        if drive.over:
            successor, drive.successor = drive.successor, None
            if successor is not None and successor.admitted and not successor.over:
                self._start(successor)
            return False
        if isinstance(outcome, Failure):
            self._trouble(drive, outcome)
            return False
        return True
