"""A version that is built once more because an operator asked for it."""

from __future__ import annotations

from actors.core.model import Action, Workflow
from actors.core.ordering import try_plan
from tests.core.mirror import NET, Mirror


def test_jobs_of_the_same_version_once_more_have_other_ids() -> None:
    """Others may have waited for the jobs before, and must not wait for these; planned twice for one request, a version
    has the same."""
    mirror = Mirror()
    net = mirror.declare(NET)

    def name(asked: int) -> str:
        made = try_plan(mirror.world, net, None, Action.CREATE, asked=asked)
        assert isinstance(made, Workflow)
        return made.jobs[0].id

    assert name(7) == name(7)
    assert len({name(0), name(7), name(8)}) == 3
