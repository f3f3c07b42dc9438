"""What the simulator has found, each as the few events that bring it about, in calm weather."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from actors.core import keys
from actors.core.model import Ref
from actors.core.ownership import SHARDS
from actors.ports import Page
from sim.heat.engine import Fate
from sim.mutants import BUGS, planted
from sim.play import Player, Result
from sim.workload import Op
from sim.world import Case, World

NET = Ref("net", "net0")


def played(*events: tuple[float, Callable[[World], None]]) -> Result:
    """A calm run of a few resources in which these things happen."""

    def prepare(world: World) -> None:
        world.api.apply(Op(0.0, "declare", NET, {"id": NET.id, "tenant_id": "t0", "note": "n0"}))
        for at, event in events:
            world.host.at(at, lambda event=event: event(world))  # type: ignore[misc]

    return Player(Case(2, 4, "calm"), prepare).run()


def apply(kind: str, **body: str) -> Callable[[World], None]:
    """The API server does something."""
    return lambda world: world.api.apply(Op(0.0, kind, NET, dict(body)))


def stall(world: World) -> None:
    """The watches are silent for 15 seconds, without an error."""
    for store in world.stores:
        store.stalled_until = world.host.now + 15


def restart(world: World) -> None:
    """The controller dies and is started again."""
    root = world.controllers[0].root
    assert root is not None
    world.host.crash(root.process, "for the test")


def test_a_silent_watch_is_waited_for() -> None:
    """Planned from a mirror that is behind, a version is refused: it is not planned again and again (swarm seed 8)."""
    result = played((20, apply("touch", note="n1")), (20.001, stall), (20.0012, apply("touch", note="n2")))
    assert result.violation is None


def test_a_declaration_that_vanished_in_silence_is_waited_for() -> None:
    """The same where the declaration is gone and the mirror still shows it."""
    again = apply("declare", id="net0", tenant_id="t0", note="x")
    touch, vanish = apply("touch", note="n1"), apply("vanish")
    result = played((20, touch), (20.001, stall), (20.0012, vanish), (28, again))
    assert result.violation is None


def test_a_broken_value_over_a_known_declaration_can_be_planned() -> None:
    """A version that is declared and at once overwritten with something unreadable is built all the same."""
    result = played(
        (20, apply("touch", note="n1")), (20.0001, apply("garble")), (50, apply("touch", note="n2"))
    )
    assert result.violation is None


def test_a_watch_that_is_always_compacted_does_not_hammer_etcd() -> None:
    """Who is told again and again that history is gone lists it a few times a second (mutant "watch skips")."""
    world = World(Case(1, 4, "calm"))
    listings = Counter[str]()
    real = world.etcd.page

    def page(prefix: str, *rest: Any) -> Page:
        listings[prefix] += 1
        return real(prefix, *rest)

    world.etcd.page = page  # type: ignore[method-assign,assignment]
    with planted(next(bug for bug in BUGS if bug.name == "watch skips")):
        world.boot(world.controllers[0])
        world.host.run(10.0)
    assert 10 < listings[SHARDS] <= 5 * 10  # 1,500 without a pause


def test_a_mark_that_comes_while_outputs_are_read_is_heard() -> None:
    """What waits for the stack of something that is deleted after it is not built first: neither waits for the other
    for ever (swarm seed 500)."""
    assert Player(Case(500, 40, "swarm")).run().violation is None


def test_pages_of_two_listings_are_not_one_listing() -> None:
    """A listing was begun anew and its first page lost: the second page does not complete the listing before it
    (swarm seed 12988)."""
    assert Player(Case(12988, 8, "swarm")).run().violation is None


def test_a_producer_goes_after_its_consumer_whatever_else_is_missing() -> None:
    """A group of two nets, of which one cannot be read, is deleted before the other (swarm seed 14425)."""
    assert Player(Case(14425, 8, "swarm")).run().violation is None


def test_what_cannot_be_read_after_a_restart_is_left_alone() -> None:
    """A controller that has never seen it readable takes nothing down (swarm seed 29)."""
    result = played((7, apply("garble")), (8, restart))
    assert result.violation is None


@pytest.mark.parametrize("seed", [2468, 4327, 5728, 7564])
def test_the_long_run_is_clean(seed: int) -> None:
    """What 20,000 seeds found: a resource that vanished and began anew at lower versions (2468), a process that stood
    still and asked Heat for the version before (4327), and what was built before its producer lost what that needs."""
    assert Player(Case(seed, 8, "swarm")).run().violation is None


def test_a_job_is_waited_for_whose_declaration_was_never_read() -> None:
    """A link does not go on without a port whose declaration a restarted controller cannot read, while the job that
    builds it is recorded (swarm seed 1 with 300 resources)."""
    assert Player(Case(1, 300, "swarm")).run().violation is None


@pytest.mark.parametrize("seed", [40161, 40238])
def test_a_new_listing_does_not_go_on_with_the_pages_of_the_one_before(seed: int) -> None:
    """A mirror that is listed anew in the midst of a listing is whole: no job is planned twice (40161), no port that is
    to be watched forgotten (40238)."""
    assert Player(Case(seed, 60, "swarm")).run().violation is None


def test_who_waits_for_a_stack_that_is_to_be_deleted_is_not_waited_for() -> None:
    """A port that was moved to a net without a stack and a net that has no room, both marked: the port's update gives
    way to its deletion, and then the net goes (swarm seed 40705)."""
    assert Player(Case(40705, 60, "swarm")).run().violation is None


def test_a_request_of_a_dead_asker_is_that_of_its_version() -> None:
    """A port whose actor died while its version waited for its tenant's turn is created as that version says, although
    the next one refers to another net; then it is updated to that (swarm seed 41024 with 60 resources)."""
    assert Player(Case(41024, 60, "swarm")).run().violation is None


def test_an_outcome_goes_with_its_declaration() -> None:
    """Of a deletion without jobs only `/state` is recorded: it goes when the declaration alone is cleared away, and the
    id can be declared again (swarm seed 40886 with 60 resources)."""
    memo = Ref("memo", "memo0")
    body = {"id": memo.id, "tenant_id": "t0", "note": "n0"}

    def do(kind: str) -> Callable[[World], None]:
        return lambda world: world.api.apply(Op(0.0, kind, memo, dict(body)))

    result = played((1, do("declare")), (20, do("mark")), (20.1, do("vanish")), (25, do("declare")))
    assert result.violation is None
    assert Player(Case(40886, 60, "swarm")).run().violation is None


def test_a_deletion_that_failed_keeps_its_stack_when_the_declaration_vanishes() -> None:
    """It ended with a reason and is for people: neither its keys nor its stack are orphans (shrunk from seed 40886)."""

    def refuse(world: World) -> None:
        hopeless = ("DELETE", keys.stack_name(NET))
        world.stacks._fate = lambda *asked: Fate.FAIL if asked == hopeless else Fate.NATURAL

    def failed(world: World) -> None:
        state = world.truth.state(NET)
        assert state is not None
        assert state["error"]

    result = played((19, refuse), (20, apply("mark")), (100, failed), (100.1, apply("vanish")))
    assert result.violation is None


def test_a_failed_stack_is_deleted_for_the_version_that_is_to_be_built() -> None:
    """The actor of a chain's first version died while Heat built it, which failed; its HeatActor deletes the stack to
    build it anew, while the second version waits for others (swarm seed 55475 with 60 resources)."""
    assert Player(Case(55475, 60, "swarm")).run().violation is None


def test_a_deletion_is_not_waited_for() -> None:
    """A port whose net is marked goes on with what the net gave: the net waits for another port, that one for a link,
    and the link for the port (rough seed 260 with 60 resources)."""
    assert Player(Case(260, 60, "rough")).run().violation is None


def test_jobs_that_never_began_are_withdrawn_by_a_deletion_that_waits() -> None:
    """A link waits for a port, that for the job of a net, the net's deletion for another port's, and that for the link
    (rough seed 429 with 60 resources)."""
    assert Player(Case(429, 60, "rough")).run().violation is None


def test_withdrawn_jobs_do_not_hide_a_stack() -> None:
    """A net's declaration vanishes while Heat has built its stack and nobody recorded that; its deletion has to wait
    for a port, and withdraws the job (rough seed 262 with 60 resources)."""
    assert Player(Case(262, 60, "rough")).run().violation is None


def test_a_failed_stack_goes_with_its_declaration() -> None:
    """A net that Heat failed to build loses its declaration without a mark (rough seed 174 with 60 resources)."""
    assert Player(Case(174, 60, "rough")).run().violation is None


def test_a_new_life_at_a_lower_version_is_begun() -> None:
    """A chain is declared again while the actor of its former life forgets that (rough seed 1085 with 60 resources)."""
    assert Player(Case(1085, 60, "rough")).run().violation is None


def test_what_was_seen_goes_with_the_last_watch() -> None:
    """An update stops the watch of a port and gives way to a version without one, which gives way to a third (rough
    seed 5376 with 60 resources)."""
    assert Player(Case(5376, 60, "rough")).run().violation is None


def test_what_was_seen_is_not_written_once_the_watch_has_ended() -> None:
    """A write of `/monitoring` arrives between the end of the watch and the outcome of the deletion (swarm seed 70378
    with 60 resources)."""
    assert Player(Case(70378, 60, "swarm")).run().violation is None


@pytest.mark.parametrize("seed", [11, 26, 96, 208])
def test_what_is_asked_for_is_done_once(seed: int) -> None:
    """Steered, with 20 resources: a request for what is not declared any more goes (11); jobs of the same version once
    more are not those for which others waited (26); what was deleted without jobs is not deleted again and again (96);
    a late mirror does not end the watch of a port that is built once more (208)."""
    assert Player(Case(seed, 20, "steered")).run().violation is None


@pytest.mark.parametrize("seed", [54, 298])
def test_order_is_given_up_before_those_who_need_the_update_only(seed: int) -> None:
    """A deletion waits for those of its dependencies that use what it deletes, and for nobody else (54); a job goes on
    whose declaration nobody can read any more (298, rough with 60 resources): an update waits for both."""
    assert Player(Case(seed, 60, "rough")).run().violation is None


def test_what_is_still_asked_for_is_not_final() -> None:
    """A chain that is to be declared once its producer is gone is declared, and waits, after all else is final (rough
    seed 5266 with 60 resources)."""
    assert Player(Case(5266, 60, "rough")).run().violation is None


def test_what_is_asked_for_in_vain_is_seen() -> None:
    """Something of a former life that nobody clears away keeps a resource from being declared for ever."""
    memo = Ref("memo", "memo0")

    def ask(world: World) -> None:
        world.api._lingers = lambda ref: ref == memo  # type: ignore[method-assign]
        world.api.apply(Op(0.0, "declare", memo, {"id": memo.id, "tenant_id": "t0", "note": "n0"}))

    violation = played((20, ask)).violation
    assert violation is not None
    assert (violation.promise, violation.ref) == ("Convergence", memo)


def test_who_asks_behind_a_failed_deletion_waits_for_people() -> None:
    """Everything is final until the producer is marked once more; then what refers to it is declared."""
    first, after = Ref("chain", "chain8"), Ref("chain", "chain9")

    def do(kind: str, ref: Ref, prev: str = "") -> Callable[[World], None]:
        body = {"id": ref.id, "tenant_id": "t0", "note": "n0", "prev_id": prev}
        return lambda world: world.api.apply(Op(0.0, kind, ref, dict(body)))

    def refuse(world: World) -> None:
        def fate(*asked: str) -> Fate:
            once = asked == ("DELETE", keys.stack_name(first)) and world.api.declared[first].version == 2
            return Fate.FAIL if once else Fate.NATURAL

        world.stacks._fate = fate

    result = played(
        (1, do("declare", first)),
        (19, refuse),
        (20, do("mark", first)),
        (20.1, do("declare", after, first.id)),
    )
    assert result.violation is None


def test_a_mark_is_as_old_as_its_first_write() -> None:
    """A chain is marked before what needs it, and its mark is written once more after that: its deletion need not wait
    for the other's (rough seed 7158 with 60 resources)."""
    assert Player(Case(7158, 60, "rough")).run().violation is None


@pytest.mark.parametrize("seed", [55088, 55144])
def test_what_went_while_a_controller_stood_still_is_not_watched(seed: int) -> None:
    """A controller that wakes up watches what it knew, and ends that with the listing that shows it gone."""
    assert Player(Case(seed, 60, "swarm")).run().violation is None


def test_a_declaration_that_was_put_off_is_waited_for() -> None:
    """A net that vanished is declared again as soon as it has left: what failed meanwhile is declared once more after
    that, when it is not hopeless any more (rough seed 127 with 16 resources)."""
    assert Player(Case(127, 16, "rough")).run().violation is None


def test_what_a_dead_asker_left_is_begun_after_a_failure() -> None:
    """A port's second version waited for its tenant's turn when its actor died; the third failed without asking Heat,
    as its net was gone, so nothing took over (rough seed 5057 with 60 resources)."""
    assert Player(Case(5057, 60, "rough")).run().violation is None
