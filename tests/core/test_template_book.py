"""A template document that cannot be read is not the same as none: what has none needs no work (contract 2.2)."""

from __future__ import annotations

from typing import Any

import pytest

from actors.core import keys
from actors.core.model import Action, Workflow
from actors.core.ordering import templates_of, try_plan
from actors.core.plan import Jobless, PlanError
from tests.core.mirror import NET, Mirror

KEY = keys.TEMPLATES + "net"
GOOD: dict[str, Any] = {"handler": "heat_worker", "parameter_mappings": {}, "template_file": ""}
UNREADABLE: dict[str, Any] = {
    "no JSON": b"{",
    "another handler": {"version": 1, "body": {**GOOD, "handler": "ansible_worker"}},
    "mappings in a list": {"version": 1, "body": {**GOOD, "parameter_mappings": []}},
    "no source": {"version": 1, "body": {"handler": "heat_worker"}},
}


@pytest.fixture
def mirror() -> Mirror:
    """A network is declared, and no template of networks is there."""
    made = Mirror()
    made.world.delete(KEY)
    made.declare(NET)
    return made


def made(mirror: Mirror) -> object:
    """What planning the network gives."""
    declared = mirror.world.declaration(NET)
    assert declared is not None
    return try_plan(mirror.world, declared, None, Action.CREATE)


@pytest.mark.parametrize("document", UNREADABLE.values(), ids=UNREADABLE)
def test_one_that_cannot_be_read_refuses_what_names_it(mirror: Mirror, document: Any) -> None:
    """READ_COMPLETE would say that nothing was to be built; jobs that were planned before have no template."""
    assert isinstance(made(mirror), Jobless)
    mirror.put(KEY, document)
    assert KEY in mirror.world.problems
    with pytest.raises(PlanError, match=f"^net:n: template 'net': {KEY}: "):
        made(mirror)
    declared = mirror.world.declaration(NET)
    assert declared is not None and templates_of(mirror.world, declared) == {}
    mirror.put(KEY, {"version": 2, "body": GOOD})
    assert isinstance(made(mirror), Workflow)
    assert not mirror.world.problems


def test_one_that_cannot_be_read_undoes_nothing(mirror: Mirror) -> None:
    """The last that could be read counts, until the document goes."""
    mirror.put(KEY, {"version": 1, "body": GOOD})
    mirror.put(KEY, b"{")
    assert isinstance(made(mirror), Workflow)
    assert KEY in mirror.world.problems
    mirror.world.delete(KEY)
    assert isinstance(made(mirror), Jobless)


def test_one_that_cannot_be_read_is_of_no_generation(mirror: Mirror) -> None:
    """Only templates of monitoring jobs tell that results of monitoring belong into `/state`."""
    mirror.put(keys.TEMPLATES + "net_monitoring", {"version": 1, "body": {"handler": "monitoring_worker"}})
    assert not mirror.world.monitors_by_job
