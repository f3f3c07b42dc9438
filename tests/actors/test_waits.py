"""What a job needs of others, told from the mirror and from what was read."""

from __future__ import annotations

from actors.core import keys
from actors.core.errors import Failure
from actors.core.model import Action, Handler, Job, Param, ParamType, Ref
from actors.job_waits import Waits
from actors.ports import Entry
from tests.core.mapping_world import output
from tests.core.mirror import GATEWAY, NET, PORT, Mirror


def consumer() -> tuple[Mirror, Waits]:
    """A port whose stack wants an output of its network, which is declared and not built."""
    mirror = Mirror()
    mirror.declare(NET)
    mirror.declare(PORT)
    params = (Param("net", ParamType.OUTPUT_KEY, output(NET), (NET,)),)
    job = Job("j", Action.CREATE, Handler.HEAT, PORT, 1, {}, params)
    return mirror, Waits(mirror.world, job)


def test_a_stack_that_is_to_come_is_waited_for() -> None:
    """Read before the network was built, and nothing newer is known: the network is what is waited for."""
    mirror, waits = consumer()
    assert not waits.outrun(mirror.revision, {})
    assert waits.outputs({}, {}) == NET


def test_a_stack_that_a_recorded_job_builds_is_waited_for_whatever_is_declared() -> None:
    """A mirror that has never seen the network's declaration readable, and its unfinished job: what it gives is to
    come (`sim --seed 1 --resources 300`). A job that takes it down promises nothing; without any it is waited for
    until somebody can tell."""
    unread = Mirror()
    unread.put("/config/v2.0/nets/n", {"body": "{"})
    unread.declare(PORT)
    waits = Waits(unread.world, consumer()[1]._job)
    assert unread.world.declaration(NET) is None
    assert waits.outputs({}, {}) == NET
    gone = unread.job(NET, action=Action.LOGICAL_DELETE)
    assert isinstance(waits.outputs({}, {}), Failure)
    unread.world.delete(keys.JOBS + gone)
    unread.job(NET)
    assert waits.outputs({}, {}) == NET


def test_a_stack_of_what_is_not_declared_any_more_is_a_failure() -> None:
    """The network went, stack and record, after the port was planned: it is not built with nothing in its place."""
    mirror, waits = consumer()
    mirror.world.delete(keys.CONFIG + mirror.world.types.path(NET))
    failed = waits.outputs({}, {})
    assert isinstance(failed, Failure)
    assert failed.text == f"dependency failed: {NET} is not declared and has no stack"


def test_what_needs_no_stack_is_not_waited_for() -> None:
    """A network that is final without a stack (no template asks for one) gives nothing, and nothing is to come."""
    mirror, waits = consumer()
    mirror.settle(NET)
    assert waits.outputs({}, {}) == {}


def test_what_was_read_before_the_producer_ended_says_nothing() -> None:
    """The network was built while its record was being read: that there was none is no reason to go on without."""
    mirror, waits = consumer()
    read_at = mirror.revision
    mirror.settle(NET)
    assert waits.outrun(read_at, {})
    key = keys.HEAT_STACKS + mirror.world.types.path(NET)
    stack = keys.encode_heat_stack(
        NET, "t", "CREATE_COMPLETE", "", [{"output_key": "id", "output_value": "7"}]
    )
    assert not waits.outrun(mirror.revision, {})
    assert waits.outputs({key: Entry(key, stack, mirror.revision)}, {}) == {
        NET: ({"output_key": "id", "output_value": "7"},)
    }


def test_a_stack_that_never_came_of_what_is_to_be_deleted_is_a_failure() -> None:
    """A network that is marked waits for the port to let go of it: to wait for its stack would be for ever, and to
    build without it a lie. Of one that still stands the outputs are taken; one declared anew is waited for."""
    mirror, waits = consumer()
    mirror.declare(NET, 2, marked=True)
    key = keys.HEAT_STACKS + mirror.world.types.path(NET)
    emptied = {key: Entry(key, keys.encode_deleted_stack(NET, "t"), mirror.revision)}
    stands = {key: Entry(key, keys.encode_heat_stack(NET, "t", "CREATE_COMPLETE", "", []), mirror.revision)}
    for entries in ({}, emptied):
        failed = waits.outputs(entries, {})
        assert isinstance(failed, Failure)
        assert (failed.kind, failed.retryable) == ("DependencyFailed", False)
        assert failed.text == f"dependency failed: {NET} is marked for deletion and has no stack"
    assert waits.outputs(stands, {}) == {NET: ()}
    mirror.declare(NET, 3)
    assert waits.outputs(emptied, {}) == NET


def ordered(mirror: Mirror) -> Waits:
    """A port that was planned while the network's first version was to be built, and wants nothing but the order."""
    mirror.declare(NET)
    mirror.declare(PORT)
    params = (Param("net", ParamType.VALUE, None, (NET,)),)
    needed = f"create:heat_worker:{NET}:1:xxxxx"
    return Waits(mirror.world, Job("j", Action.CREATE, Handler.HEAT, PORT, 1, {}, params, (needed,)))


def test_the_job_that_took_the_place_of_a_producer_is_waited_for() -> None:
    """Until it has ended, and not while the job that is meant is there, nor when the resource is to go."""
    mirror = Mirror()
    waits = ordered(mirror)
    first = mirror.job(NET)
    assert waits.live() == (f"waits for {first}", (NET,))
    mirror.declare(NET, 2)
    second = mirror.job(NET, 2)
    mirror.world.delete(keys.JOBS + first)
    assert waits.live() == (f"waits for {second}", (NET,))
    mirror.declare(NET, 3, marked=True)
    assert waits.live() is None
    mirror.declare(NET, 4)
    assert waits.live() is not None
    mirror.settle(NET, 2)
    assert waits.live() is None


def test_of_a_producer_that_ran_nothing_is_waited_for() -> None:
    """Its monitoring job is not waited for, nor is the version after it."""
    mirror = Mirror()
    waits = ordered(mirror)
    mirror.job(NET, handler=Handler.MONITORING)
    mirror.declare(NET, 2)
    assert waits.live() is None
    mirror.settle(NET)
    mirror.job(NET, 2, action=Action.MODIFY)
    assert waits.live() is None


def test_the_job_that_builds_what_a_producer_failed_to_is_waited_for() -> None:
    """Whatever its id, by whoever did not fail with it meanwhile; so its own workflow, an update that
    comes after its users, does not wait for him. What was built, but not seen as it should be, is there."""
    mirror = Mirror()
    waits = ordered(mirror)
    user = mirror.job(PORT, refers=[NET], dependency=[f"create:heat_worker:{NET}:1:yyyyy"])
    mirror.settle(NET, error="StackFailed: no host")
    again = mirror.job(NET, action=Action.MODIFY)
    assert waits.live() == (f"waits for create:heat_worker:{NET}:1:xxxxx", (NET,))
    assert waits.doomed(live=True) is None
    params = (Param("name", ParamType.VALUE, None),)
    update = Job(again, Action.MODIFY, Handler.HEAT, NET, 1, {}, params, (user,))
    assert Waits(mirror.world, update).live() is None
    mirror.settle(NET, error=f"MonitorTimeout: create:monitoring_worker:{NET}:1:xxxxx: away")
    assert waits.live() is None


def test_the_order_is_given_up_before_it_makes_a_ring() -> None:
    """The job that took the place waits for a gateway's, and that one comes to wait for the port: who is told of
    changes of all of them sees that it would be for ever."""
    mirror = Mirror(gateway={})
    waits = ordered(mirror)
    mirror.declare(GATEWAY)
    second = mirror.job(NET, 2, refers=[GATEWAY])
    gateway = mirror.job(GATEWAY)
    assert waits.live() == (f"waits for {second}", (NET, GATEWAY))
    mirror.world.delete(keys.JOBS + gateway)
    mirror.job(GATEWAY, 2, refers=[PORT])
    assert waits.live() is None


def test_of_many_users_the_first_is_in_the_way_until_it_ends() -> None:
    """An update with a thousand users is not looked at for each change of each; the deletion of them neither."""
    for action in (Action.MODIFY, Action.LOGICAL_DELETE):
        mirror = Mirror()
        refs = [Ref("port", f"p{number}") for number in range(3)]
        users = {ref: mirror.job(ref, refers=[NET]) for ref in refs}
        waits = Waits(mirror.world, Job("j", action, Handler.HEAT, NET, 2, {}, (), tuple(users.values())))
        for ref, rest in zip(refs, (" and up to 2 more", " and up to 1 more", ""), strict=True):
            assert waits.live() == (f"waits for {users[ref]}{rest}", (ref,))
            mirror.world.delete(keys.JOBS + users[ref])
        assert waits.live() is None


def test_an_update_that_took_the_place_waits_for_who_uses_it() -> None:
    """So that one does not wait for it (contract 2.5, consumers)."""
    mirror = Mirror()
    waits = ordered(mirror)
    mirror.job(PORT, refers=[NET])
    mirror.job(NET, 2, action=Action.MODIFY)
    assert waits.live() is None


def test_a_producer_that_is_built_anew_dooms_nobody_yet() -> None:
    """While others are waited for, one that failed and has a newer version, or is retried, may still succeed; one that
    is to go will not."""
    mirror = Mirror()
    waits = ordered(mirror)
    failed = f"create:heat_worker:{NET}:1:xxxxx"
    path = mirror.world.types.path(NET)
    assert waits.failure(early=True) is None
    mirror.settle(NET, error="StackFailed: no host")
    told = waits.failure(early=True)
    assert told is not None
    assert told.text == f"dependency failed: {failed}: StackFailed: no host"
    mirror.put(keys.RECONCILE + path, b"{}")
    assert waits.failure(early=True) is None
    mirror.job(NET)
    mirror.world.delete(keys.RECONCILE + path)
    assert waits.failure(early=True) is None, "the same job once more"
    mirror.world.delete(keys.JOBS + failed)
    assert waits.failure(early=True) == told
    mirror.declare(NET, 2)
    assert waits.failure(early=True) is None
    assert waits.failure() == told, "nothing else is left to wait for"
    mirror.declare(NET, 3, marked=True)
    assert waits.failure(early=True) == told
    mirror.settle(NET, 3)
    assert waits.failure() is None


def test_a_producer_that_failed_and_is_being_deleted_is_not_tried_again() -> None:
    """Marked without a new version (contract 2.1): nobody is built in its absence."""
    mirror = Mirror()
    waits = ordered(mirror)
    mirror.settle(NET, error="StackFailed: no host")
    mirror.declare(NET, marked=True)
    mirror.job(NET, action=Action.LOGICAL_DELETE)
    told = waits.failure()
    assert told is not None
    assert told.text.endswith("StackFailed: no host")
