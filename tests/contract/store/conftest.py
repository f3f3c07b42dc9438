"""Fixtures of the `Store` contract: the same tests over the fake and over a real etcd."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.ports import Store
from tests.contract.etcd_worlds import EtcdWorld, FakeWorld, World


@pytest.fixture(params=["fake", "etcd"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A world with an empty store."""
    made: World
    if request.param == "fake":
        made = FakeWorld()
    else:
        made = EtcdWorld(request.getfixturevalue("etcd_endpoint"))
    yield made
    made.close()


@pytest.fixture
def store(world: World) -> Store:
    """One client."""
    return world.store()
