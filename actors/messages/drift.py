"""Whether settled stacks still are as they were left: shard and Heat pool."""

from __future__ import annotations

from dataclasses import dataclass

from actors.core.drift import Expected, Finding
from actors.core.errors import Failure


@dataclass(frozen=True, slots=True)
class HeatCompare:
    """Shard → HeatActor: look at these settled stacks of one tenant. Reads only; may be sent again.

    At most a few hundred at a time: the answer comes when all were looked at.
    """

    rid: str
    tenant: str
    expected: tuple[Expected, ...]


@dataclass(frozen=True, slots=True)
class HeatCompared:
    """HeatActor → Shard: what is not as expected, and what to expect next time.

    `expected`: the same stacks, with the time of Heat's last change filled in; those in progress as they were
    given. `failure`: Heat could not be asked about all of them; `findings` hold for the rest.
    """

    rid: str
    findings: tuple[Finding, ...]
    expected: tuple[Expected, ...]
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class HeatHealth:
    """HeatActor → Supervisor: Heat began or ceased to answer. `since`: when, on the runtime's clock.

    `waiting` stacks are not begun yet, `under_way` ones are.
    """

    up: bool
    since: float
    reason: str
    waiting: int
    under_way: int
