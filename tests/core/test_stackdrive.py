"""What to do with a stack: the table of contract 10.7, twins, strangers, and a Heat that loses answers."""

from __future__ import annotations

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import ErrorClass
from actors.core.model import Action, Ref
from actors.core.stackdrive import MARK, Next, Seen, decide, request_id, seen, tags

CREATE, MODIFY, GONE = Action.CREATE, Action.MODIFY, Action.LOGICAL_DELETE
WANTED = (CREATE, MODIFY)
ACTIONS = ("CREATE", "UPDATE", "DELETE", "ADOPT", "SUSPEND")


def stack(status: str, version: int = 2, *, ours: bool = True, reason: str = "", sid: str = "s1") -> Seen:
    """A stack as `ACTION_STATUS` tells; ours at version 2 unless told otherwise."""
    action, _, rest = status.partition("_")
    return Seen(sid, action, rest, reason, ours, f"v{version}")


@pytest.mark.parametrize("wanted", WANTED)
@pytest.mark.parametrize(
    ("status", "version", "acted", "expected"),
    [
        # complete at our version: whoever did it, it is done
        ("CREATE_COMPLETE", 2, False, Next.FINISH),
        ("UPDATE_COMPLETE", 2, False, Next.FINISH),
        ("UPDATE_COMPLETE", 2, True, Next.FINISH),
        # complete at another version: create + exists → update, modify → update
        ("CREATE_COMPLETE", 1, False, Next.UPDATE),
        ("UPDATE_COMPLETE", 1, False, Next.UPDATE),
        ("SUSPEND_COMPLETE", 2, False, Next.UPDATE),
        # in progress: wait for it to end first, whatever it is
        ("CREATE_IN_PROGRESS", 2, True, Next.WAIT),
        ("UPDATE_IN_PROGRESS", 1, False, Next.WAIT),
        ("DELETE_IN_PROGRESS", 1, False, Next.WAIT),
        # failed before us: what is left of a create or delete goes, what is left of an update is updated
        ("CREATE_FAILED", 1, False, Next.DELETE),
        ("CREATE_FAILED", 2, False, Next.DELETE),
        ("DELETE_FAILED", 2, False, Next.DELETE),
        ("DELETE_FAILED", 2, True, Next.DELETE),
        ("UPDATE_FAILED", 1, True, Next.UPDATE),
        ("UPDATE_FAILED", 2, False, Next.UPDATE),
        # what somebody did with a stack that works has failed: that is no reason to tear it down
        ("CHECK_FAILED", 2, False, Next.UPDATE),
        ("CHECK_FAILED", 1, True, Next.UPDATE),
        ("SNAPSHOT_FAILED", 2, False, Next.UPDATE),
        ("RESUME_FAILED", 2, False, Next.UPDATE),
        ("RESTORE_FAILED", 2, False, Next.UPDATE),
        ("ROLLBACK_FAILED", 2, True, Next.UPDATE),
        # failed by us, at our version: that is the outcome
        ("CREATE_FAILED", 2, True, Next.FAIL),
        ("UPDATE_FAILED", 2, True, Next.FAIL),
    ],
)
def test_create_and_modify(wanted: Action, status: str, version: int, acted: bool, expected: Next) -> None:
    """Create and modify decide by what is there, not by what they are called (contract 5.2, 10.7)."""
    step = decide(wanted, 2, [stack(status, version)], acted=acted)
    assert (step.next, step.stack_id) == (expected, "s1")
    assert (step.failure is not None) == (expected is Next.FAIL)


@pytest.mark.parametrize("wanted", WANTED)
def test_nothing_there_is_created(wanted: Action) -> None:
    """Modify of a stack that is gone creates it."""
    assert decide(wanted, 2, [], acted=False).next is Next.CREATE


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("CREATE_COMPLETE", Next.DELETE),
        ("UPDATE_FAILED", Next.DELETE),
        ("DELETE_FAILED", Next.DELETE),
        ("CREATE_IN_PROGRESS", Next.DELETE),
        ("UPDATE_IN_PROGRESS", Next.DELETE),
        ("DELETE_IN_PROGRESS", Next.WAIT),
    ],
)
def test_delete(status: str, expected: Next) -> None:
    """A delete takes whatever is there, a create under way too, and waits for one that is under way."""
    assert decide(GONE, 2, [stack(status)], acted=False).next is expected
    assert decide(GONE, 2, [], acted=False).next is Next.GONE


@pytest.mark.parametrize("wanted", [*WANTED, GONE])
@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "CREATE_FAILED", "UPDATE_COMPLETE"])
def test_a_stranger_is_never_touched(wanted: Action, status: str) -> None:
    """A stack without our mark is refused for good, and the text tells which it is."""
    step = decide(wanted, 2, [stack(status, ours=False, sid="theirs")], acted=False)
    assert step.next is Next.REFUSE
    assert step.failure is not None
    assert step.failure.error_class is ErrorClass.TERMINAL
    assert "theirs" in step.failure.text
    assert MARK in step.failure.text


@pytest.mark.parametrize("wanted", [*WANTED, GONE])
def test_marks_may_come_late(wanted: Action) -> None:
    """Heat stores a new stack before its tags: what is in progress without them is waited for, not refused."""
    young = stack("CREATE_IN_PROGRESS", ours=False)
    assert decide(wanted, 2, [young], acted=False).next is Next.WAIT
    if wanted in WANTED:
        assert decide(wanted, 2, [stack("CREATE_COMPLETE", sid="s0"), young], acted=False).next is Next.WAIT


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (
            "Resource CREATE failed: OverQuotaClient: resources.p: Quota exceeded for resources: ['port'].",
            True,
        ),
        ("Resource CREATE failed: Forbidden: resources.s: Quota exceeded for instances: Requested 1", True),
        ("Resource CREATE failed: VolumeSizeExceedsAvailableQuota: Requested volume exceeds quota", True),
        ("Resource CREATE failed: ValueError: resources.a: the name of the quota is wrong", False),
    ],
)
def test_a_quota_in_the_reason_is_a_lasting_shortage(reason: str, expected: bool) -> None:
    """Nova, Neutron and Cinder tell of quotas inside the stack's reason: retried slowly, not final."""
    step = decide(CREATE, 2, [stack("CREATE_FAILED", reason=reason)], acted=True)
    assert step.failure is not None
    assert (step.failure.error_class is ErrorClass.QUOTA) is expected
    assert reason in step.failure.text


def test_request_ids_are_stable_and_well_formed() -> None:
    """All requests for a resource version share one id, in the only form that Heat takes."""
    ref = Ref("port", "327f59b7-df38-4d8f-97db-d320defcab76")
    first = request_id(ref, 1)
    assert first == request_id(ref, 1) != request_id(ref, 2)
    assert re.fullmatch(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", first)
    assert str(uuid.UUID(first[4:])) == first[4:]


@pytest.mark.parametrize("wanted", WANTED)
def test_of_twins_the_younger_goes(wanted: Action) -> None:
    """Two of ours under one name (a create that was repeated too early): the oldest stays."""
    old, young = stack("CREATE_COMPLETE", sid="old"), stack("CREATE_IN_PROGRESS", sid="young")
    step = decide(wanted, 2, [old, young], acted=True)
    assert (step.next, step.stack_id) == (Next.DELETE, "young")
    going = stack("DELETE_IN_PROGRESS", sid="young")
    assert decide(wanted, 2, [old, going], acted=True).next is Next.WAIT
    assert decide(wanted, 2, [old], acted=True).next is Next.FINISH


def test_a_stranger_among_twins_stops_a_create_but_not_a_delete_of_ours() -> None:
    """Beside a stranger nothing is built; what is ours may still be deleted, and only that."""
    ours, theirs = stack("CREATE_COMPLETE", sid="ours"), stack("CREATE_COMPLETE", ours=False, sid="theirs")
    assert decide(CREATE, 2, [ours, theirs], acted=False).next is Next.REFUSE
    step = decide(GONE, 2, [theirs, ours], acted=False)
    assert (step.next, step.stack_id) == (Next.DELETE, "ours")


@pytest.mark.parametrize(
    "reason",
    [
        "Engine went down during stack CREATE",
        "Stack status manually reset to FAILED",
        "Worker went down during resource create",
    ],
)
def test_a_dead_engine_is_not_the_stacks_fault(reason: str) -> None:
    """A stack that failed because Heat's engine died is tried again."""
    step = decide(CREATE, 2, [stack("CREATE_FAILED", reason=reason)], acted=True)
    assert step.failure is not None
    assert step.failure.error_class is ErrorClass.TRANSIENT


def test_a_failed_stack_says_why() -> None:
    """Heat's own reason is in the failure."""
    step = decide(CREATE, 2, [stack("CREATE_FAILED", reason="No valid host")], acted=True)
    assert str(step.failure) == "StackFailed: CREATE_FAILED: No valid host"


def test_marks() -> None:
    """The tags written are those that are read."""
    assert seen("s", "CREATE", "COMPLETE", "", tags(7)) == Seen("s", "CREATE", "COMPLETE", "", True, "v7")
    assert not seen("s", "CREATE", "COMPLETE", "", ("v7", "other")).ours
    assert seen("s", "CREATE", "COMPLETE", "", (MARK, "vX")).version == ""


STACKS = st.lists(
    st.builds(
        Seen,
        id=st.sampled_from("abcd"),
        action=st.sampled_from(ACTIONS),
        status=st.sampled_from(("IN_PROGRESS", "COMPLETE", "FAILED")),
        ours=st.booleans(),
        version=st.sampled_from(("", "v1", "v2")),
    ),
    max_size=3,
    unique_by=lambda one: one.id,
)


@given(st.sampled_from(Action), STACKS, st.booleans())
def test_whatever_is_seen_only_what_is_ours_is_written_to(
    wanted: Action, stacks: list[Seen], acted: bool
) -> None:
    """For any stacks: writes go to a living stack of ours; a create happens only where there is none."""
    step = decide(wanted, 2, stacks, acted=acted)
    ours = {one.id for one in stacks if one.ours}
    if step.next in (Next.UPDATE, Next.DELETE, Next.FINISH, Next.FAIL):
        assert step.stack_id in ours
    if step.next is Next.CREATE:
        assert not stacks
    if step.next is Next.GONE:
        assert not stacks


class Heat:
    """Just enough of Heat for one name: every write takes effect, and its answer may be lost."""

    def __init__(self, stacks: list[Seen]) -> None:
        self.stacks = stacks
        self.made = 0

    def do(self, step: Next, sid: str, version: int) -> None:
        """Carry out a step, or let what is in progress end."""
        match step:
            case Next.CREATE:
                self.made += 1
                self.stacks.append(Seen(f"new{self.made}", "CREATE", "IN_PROGRESS", "", True, f"v{version}"))
            case Next.UPDATE:
                self._replace(sid, "UPDATE", f"v{version}")
            case Next.DELETE:
                self._replace(sid, "DELETE", None)
            case _:
                self.stacks = [
                    Seen(s.id, s.action, "COMPLETE", "", s.ours, s.version)
                    if s.status == "IN_PROGRESS"
                    else s
                    for s in self.stacks
                    if (s.action, s.status) != ("DELETE", "IN_PROGRESS")
                ]

    def _replace(self, sid: str, action: str, version: str | None) -> None:
        self.stacks = [
            Seen(s.id, action, "IN_PROGRESS", "", s.ours, version or s.version) if s.id == sid else s
            for s in self.stacks
        ]


OURS = STACKS.map(lambda stacks: [Seen(s.id, s.action, s.status, "", True, s.version) for s in stacks])


@given(st.sampled_from([CREATE, MODIFY, GONE]), OURS, st.lists(st.booleans(), min_size=40, max_size=40))
def test_lost_answers_still_end_in_one_stack(wanted: Action, stacks: list[Seen], lost: list[bool]) -> None:
    """Whatever is there and whichever answers are lost: the drive ends with exactly one stack, or none."""
    heat, acted = Heat(list(stacks)), False
    for forgets in lost:
        step = decide(wanted, 2, heat.stacks, acted=acted)
        if step.next in (Next.FINISH, Next.GONE):
            break
        heat.do(step.next, step.stack_id, 2)
        # a lost answer is a new drive: it knows nothing of what was done
        acted = not forgets and (acted or step.next in (Next.CREATE, Next.UPDATE))
    assert step.next is (Next.GONE if wanted is GONE else Next.FINISH)
    assert len(heat.stacks) == (0 if wanted is GONE else 1)
    assert heat.made <= 1


def test_a_request_that_came_too_late_does_not_take_a_stack_back() -> None:
    """A stack at a newer version is left as it is: its request was overtaken while its process stood still."""
    newer = seen("1", "UPDATE", "COMPLETE", "", tags(3))
    step = decide(Action.MODIFY, 2, [newer], acted=False)
    assert step.next is Next.REFUSE
    assert step.failure is not None
    assert step.failure.error_class is ErrorClass.CONFLICT
    assert "version 3 already" in step.failure.text


@pytest.mark.parametrize(
    ("status", "expected"), [("UPDATE_COMPLETE", Next.UPDATE), ("CREATE_FAILED", Next.DELETE)]
)
def test_a_version_of_a_former_life_does_not_count(status: str, expected: Next) -> None:
    """The one later version that is known to be bygone is older than any; every other one still is too late."""
    assert decide(CREATE, 2, [stack(status, 11)], acted=False, bygone=11).next is expected
    for other in (3, 10, 12):
        step = decide(CREATE, 2, [stack(status, other)], acted=False, bygone=11)
        assert (step.next, step.shown) == (Next.REFUSE, other)


@pytest.mark.parametrize("tag", ["v²", "v" + "1" * 5_000, "v", "v-1", "v 1", "version"])
def test_an_odd_tag_is_no_version(tag: str) -> None:
    """Anybody may put tags on a stack: what is no version of ours says nothing, and breaks nothing."""
    odd = seen("s1", "CREATE", "COMPLETE", "", [MARK, tag, "v2"])
    assert (odd.ours, odd.version) == (True, "v2")
    alone = seen("s1", "CREATE", "COMPLETE", "", [MARK, tag])
    assert decide(Action.CREATE, 2, [alone], acted=False).next is Next.UPDATE
