"""Comparing settled stacks with Heat: a few list calls for many stacks, in the tenant's turns.

Guarantees: reads only; answers once, whatever happened; never asks for outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from actors.core import drift, stackdrive
from actors.core.drift import Expected, Finding
from actors.core.errors import Failure
from actors.core.keys import stack_name
from actors.heat_calls import Call, Calls
from actors.messages import HeatCompare, HeatCompared
from actors.ports import Stack

#: Names in one list call: their URL stays below what servers take (8 KB).
LOOK_MAX = 60


def compare(calls: Calls, request: HeatCompare, answer: Callable[[HeatCompared], None]) -> None:
    """Look at all of them, then answer."""
    batches = [request.expected[i : i + LOOK_MAX] for i in range(0, len(request.expected), LOOK_MAX)]
    findings: list[Finding] = []
    after: list[Expected] = []
    failures: list[Failure] = []
    left = len(batches)

    def looked(batch: tuple[Expected, ...], outcome: object) -> None:
        nonlocal left
        left -= 1
        if isinstance(outcome, Failure):
            failures.append(outcome)
            after.extend(batch)
        else:
            assert isinstance(outcome, tuple), "find returns a tuple of stacks"
            for one in batch:
                finding, expected = drift.compare(one, _shown(one, outcome))
                after.append(expected)
                findings.extend([finding] if finding is not None else [])
        if not left:
            finished()

    def finished() -> None:
        failure = failures[0] if failures else None
        answer(HeatCompared(request.rid, tuple(findings), tuple(after), failure))

    def ask(batch: tuple[Expected, ...]) -> Call:
        names = tuple(stack_name(one.ref) for one in batch)
        return Call(
            lambda stacks: stacks.find(request.tenant, *names), lambda outcome: looked(batch, outcome)
        )

    for batch in batches:
        calls.add(request.tenant, partial(ask, batch))
    if not batches:
        finished()


def _shown(expected: Expected, stacks: tuple[Stack, ...]) -> list[drift.Shown]:
    name = stack_name(expected.ref)
    return [
        drift.Shown(stackdrive.seen(one.id, one.action, one.status, one.reason, one.tags), one.updated)
        for one in stacks
        if one.name == name
    ]
