"""What to do with a stack next, decided from what Heat shows and from what is wanted (contract 5.2, 10.7).

Guarantees: pure and level-triggered: given the living stacks of the name, the same answer whoever asks and
however often, so a request may be repeated after any lost answer and still ends in one stack. A stack that is
not marked as ours is never touched; while it is in progress its marks may still come. The mark is a tag; a
second tag carries the version that was applied.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from actors.core.errors import ErrorClass, Failure
from actors.core.model import Action, Ref

MARK = "gatewright"
#: For request ids: any fixed number that nobody else uses.
_OURS = b"gatewright resource version"

#: Texts of Heat for stacks that failed because an engine died, not because they are wrong.
_ENGINE_LOST = ("status manually reset", "Engine went down", "Worker went down", "engine went down")
#: Nova's, Neutron's and Cinder's ways to say that something is used up, as they show in a stack's reason.
_VERSION = re.compile(r"v[0-9]{1,19}")
_QUOTA = re.compile(r"quota.{0,40}exceed|exceed.{0,40}quota|over ?quota|RequestLimitExceeded", re.IGNORECASE)


class Next(StrEnum):
    """What to ask of Heat."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    WAIT = "wait"
    FINISH = "finish"  # complete: fetch the outputs
    GONE = "gone"  # deleted, as wanted
    REFUSE = "refuse"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Seen:
    """A stack as far as deciding needs it. `ours`: it bears the mark. `version`: of its last write, 0 unknown."""

    id: str
    action: str
    status: str
    reason: str = ""
    ours: bool = True
    version: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """The decision; `stack_id` is the stack it is about, `failure` says why not, `shown` which later version the
    stack is at, where that is why."""

    next: Next
    stack_id: str = ""
    failure: Failure | None = None
    shown: int = 0


def tags(version: int) -> tuple[str, ...]:
    """The tags of a stack of ours at this version. Heat drops them on update unless they are sent again."""
    return (MARK, f"v{version}")


def request_id(ref: Ref, version: int) -> str:
    """The correlation id of everything that is asked of Heat for this resource version: `req-<uuid>`."""
    digest = hashlib.blake2b(f"{ref}:{version}".encode(), digest_size=16, key=_OURS).hexdigest()
    parts = digest[:8], digest[8:12], "4" + digest[13:16], "8" + digest[17:20], digest[20:]
    return "req-" + "-".join(parts)


def seen(stack_id: str, action: str, status: str, reason: str, stack_tags: Sequence[str]) -> Seen:
    """Read the marks of a stack."""
    version = next((t for t in stack_tags if _VERSION.fullmatch(t)), "")
    return Seen(stack_id, action, status, reason, MARK in stack_tags, version)


def decide(
    wanted: Action, version: int, stacks: Sequence[Seen], *, acted: bool, again: bool = False, bygone: int = 0
) -> Step:
    """The next step for this name.

    `stacks`: all living ones, oldest first. `acted`: this drive has written to the stack itself, so a
    FAILED at our version is the outcome and not a remnant to be repaired. `again`: this version has an outcome
    already; what somebody may have done to the stack since is to be undone, and what it is made of may have been
    corrected. `bygone`: a later version of a former life of the resource (its declaration was lost, and began anew
    at lower versions): it does not count as later.
    """
    if wanted in (Action.LOGICAL_DELETE, Action.DELETE):
        return _decide_delete(stacks)
    if not stacks:
        return Step(Next.CREATE)
    if len(stacks) > 1:
        return _settle_twins(stacks)
    stack = stacks[0]
    if stack.status == "IN_PROGRESS":
        return Step(Next.WAIT, stack.id)
    if not stack.ours:
        return _foreign(stack)
    at_version = stack.version == f"v{version}"
    shown = int(stack.version[1:] or 0)
    if shown > version and shown != bygone:
        text = f"the stack is at version {shown} already: a request for version {version} came too late"
        return Step(Next.REFUSE, stack.id, Failure(ErrorClass.CONFLICT, "Superseded", text), shown)
    if stack.status == "COMPLETE":
        if at_version and stack.action in ("CREATE", "UPDATE") and (acted or not again):
            return Step(Next.FINISH, stack.id)
        return Step(Next.UPDATE, stack.id)
    if at_version and acted and stack.action in ("CREATE", "UPDATE"):
        return Step(Next.FAIL, stack.id, _failed(stack))
    # a remnant: a failed create or delete has nothing worth keeping; after anything else that failed, an update
    # or what somebody did with a stack that works (check, snapshot, …), it is updated
    return Step(Next.DELETE if stack.action in ("CREATE", "DELETE") else Next.UPDATE, stack.id)


def _decide_delete(stacks: Sequence[Seen]) -> Step:
    ours = [s for s in stacks if s.ours]
    if not stacks:
        return Step(Next.GONE)
    if not ours:
        unmarked = _in_progress(stacks)
        return Step(Next.WAIT, unmarked.id) if unmarked else _foreign(stacks[0])
    stack = ours[0]
    if stack.status == "IN_PROGRESS" and stack.action == "DELETE":
        return Step(Next.WAIT, stack.id)
    return Step(Next.DELETE, stack.id)


def _settle_twins(stacks: Sequence[Seen]) -> Step:
    """Heat does not keep names unique under concurrency: the oldest of ours stays (research/heat.md 3.6)."""
    foreign = [s for s in stacks if not s.ours]
    if foreign:
        unmarked = _in_progress(foreign)
        return Step(Next.WAIT, unmarked.id) if unmarked else _foreign(foreign[0])
    younger = stacks[-1]
    deleting = younger.action == "DELETE" and younger.status == "IN_PROGRESS"
    return Step(Next.WAIT if deleting else Next.DELETE, younger.id)


def _in_progress(stacks: Sequence[Seen]) -> Seen | None:
    """A stack whose marks may still come: Heat stores a stack first, and its tags a moment later."""
    return next((s for s in stacks if s.status == "IN_PROGRESS"), None)


def _foreign(stack: Seen) -> Step:
    text = f"a stack of this name exists (id {stack.id}) that is not marked '{MARK}'; it is left alone"
    return Step(Next.REFUSE, stack.id, Failure(ErrorClass.TERMINAL, "NotOurs", text))


def _failed(stack: Seen) -> Failure:
    if any(hint in stack.reason for hint in _ENGINE_LOST):
        return Failure(ErrorClass.TRANSIENT, "EngineLost", stack.reason)
    if _QUOTA.search(stack.reason):
        return Failure(ErrorClass.QUOTA, "QuotaExceeded", f"{stack.action}_{stack.status}: {stack.reason}")
    return Failure(ErrorClass.TERMINAL, "StackFailed", f"{stack.action}_{stack.status}: {stack.reason}")
