"""What a job needs of others, told from the mirror and from what was read."""

from __future__ import annotations

from actors.core import keys
from actors.core.errors import Failure
from actors.core.model import Action, Handler, Job, Param, ParamType
from actors.job_waits import Waits
from actors.ports import Entry
from tests.core.mapping_world import output
from tests.core.mirror import NET, PORT, Mirror


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


def test_a_producer_that_is_built_anew_dooms_nobody_yet() -> None:
    """While others are waited for, one that failed and has a newer version, or is retried, may still succeed; one that
    is to go will not."""
    mirror = Mirror()
    mirror.declare(NET)
    mirror.declare(PORT)
    failed = f"create:heat_worker:{NET}:1:xxxxx"
    params = (Param("net", ParamType.VALUE, None, (NET,)),)
    waits = Waits(mirror.world, Job("j", Action.CREATE, Handler.HEAT, PORT, 1, {}, params, (failed,)))
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
