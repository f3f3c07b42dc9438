"""A controller that does not own a resource, or cannot know it, begins nothing new in Heat."""

from __future__ import annotations

import pytest

from actors.core.errors import ErrorClass
from actors.core.ownership import vshard
from actors.messages import HeatDone, HeatFailed, Tenure
from tests.actors.heat_rig import GONE, Rig, calls_take_time, ref

__all__ = ["calls_take_time"]
TERM = 7
WRITES = {"create", "update", "delete"}


def word(rig: Rig, *, lasts_s: float = 60.0, terms: dict[int, int] | None = None) -> None:
    """What the bridge says."""
    held = {vshard(str(ref())): TERM} if terms is None else terms
    rig.host.tell(rig.heat, Tenure(held, rig.host.now + lasts_s))


def writes(rig: Rig) -> int:
    """Requests that changed something."""
    return sum(number for kind, number in rig.stacks.requests.items() if kind in WRITES)


@pytest.mark.parametrize("said", ["nothing", "another term", "nothing of this shard", "too long ago"])
def test_without_ownership_nothing_is_written(said: str) -> None:
    """Heat is looked at, never written to; the requester hears in the end that it may try again."""
    rig = Rig()
    match said:
        case "another term":
            word(rig, terms={vshard(str(ref())): TERM + 1})
        case "nothing of this shard":
            word(rig, terms={})
        case "too long ago":
            word(rig, lasts_s=1.0)
            rig.run(1.0)
    rig.ask("r", term=TERM)
    answer = rig.done("r")
    assert isinstance(answer, HeatFailed)
    assert (answer.failure.error_class, answer.failure.kind) == (ErrorClass.TRANSIENT, "OwnershipLost")
    assert writes(rig) == 0


def test_with_ownership_it_is_built() -> None:
    """Also when the word comes a moment after the request."""
    rig = Rig()
    rig.ask("r", term=TERM)
    rig.run(1.0)
    assert writes(rig) == 0
    word(rig)
    assert isinstance(rig.done("r"), HeatDone)
    assert writes(rig) == 1


def test_a_write_that_waits_for_its_turn_is_not_begun_after_the_loss() -> None:
    """The last look is at the moment of the request, not at that of the decision."""
    rig = Rig()
    word(rig)
    rig.ask("r", term=TERM)
    rig.done("r")
    rig.down = True
    rig.ask("gone", version=2, action=GONE, term=TERM)
    rig.run(20.0)  # the breaker is open: the delete waits
    word(rig, terms={})
    rig.down = False
    before = writes(rig)
    rig.run(60.0)
    assert writes(rig) == before


def test_an_old_word_delays_only() -> None:
    """A word that was on its way when the shard was taken knows nothing of it: the next one does."""
    rig = Rig()
    rig.ask("r", term=TERM)
    word(rig, terms={})
    rig.run(0.5)
    word(rig)
    assert isinstance(rig.done("r"), HeatDone)
