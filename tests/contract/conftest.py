"""Fixtures for a real Heat."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sim.real_heat.environment import required
from sim.real_heat.launch import NoRealHeatError, RunningHeat, start


@pytest.fixture(scope="session")
def real_heat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHeat]:
    """One OpenStack Heat for all tests, installed on the first run; each test has tenants of its own."""
    try:
        running = start(tmp_path_factory.mktemp("real-heat"))
    except NoRealHeatError as error:
        if required():
            raise
        pytest.skip(str(error))
    yield running
    running.stop()
