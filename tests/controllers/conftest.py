"""A real etcd, a real Heat API and real controllers for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from actors.core.model import Ref
from sim.etcd_server import EtcdBinary, RunningEtcd, start_etcd
from tests.contract.etcd_worlds import until
from tests.controllers.cast import (
    Controller,
    Heat,
    History,
    declare,
    networks,
    tenant_id,
    two_writers,
)

TENANTS = 5


@dataclass
class Stage:
    """Everything of one test. Controllers have a lease of 3 s unless told otherwise."""

    folder: Path
    etcd: RunningEtcd
    heat: Heat
    store: Any
    history: History
    controllers: list[Controller] = field(default_factory=list)
    refs: list[Ref] = field(default_factory=list)

    def start(self, **options: Any) -> Controller:
        """Another controller."""
        given = {"owner_ttl_s": 3.0, "retry_base_s": 0.1, "heat_tick_s": 0.2, **options}
        self.controllers.append(Controller(self.folder, [self.etcd.endpoint], self.heat.url, **given))
        return self.controllers[-1]

    def balanced(self, *controllers: Controller, timeout_s: float = 90.0) -> None:
        """Wait until these own everything."""
        until(lambda: self.history.balanced(controllers), timeout_s)

    def declare(self, count: int) -> None:
        """So many networks and subnets."""
        declarations = networks(count, tenants=TENANTS)
        self.refs = [ref for ref, _ in declarations]
        declare(self.store, declarations)

    def finished(self, timeout_s: float = 60.0) -> None:
        """Wait for every outcome, then check all that must hold whatever happened meanwhile."""
        until(lambda: self.history.done(self.refs) and not self.history.open_jobs(), timeout_s)
        errors = [(ref, s["error"]) for ref in self.refs if (s := self.history.state(ref)) and s["error"]]
        assert not errors, errors[:3]
        names = self.heat.names(map(tenant_id, range(TENANTS)))
        assert len(names) == len(set(names)) == len(self.refs), (len(names), len(set(names)))
        assert not self.history.lost
        assert two_writers(self.history, self.controllers) == []


@pytest.fixture
def stage(etcd_binary: EtcdBinary, tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """`stage(seconds, extra)`: an empty stage whose Heat takes so long per resource; `extra`: flags of etcd."""
    from actors.adapters.etcd3_store import EtcdStore

    made: list[Stage] = []

    def make(seconds: float = 0.0, extra: tuple[str, ...] = ()) -> Stage:
        etcd = start_etcd(etcd_binary, tmp_path / "etcd", allow_unsafe=True, extra=extra)
        heat = Heat(tmp_path / "heat", seconds)
        store = EtcdStore([etcd.endpoint], timeout_s=5.0)
        made.append(Stage(tmp_path, etcd, heat, store, History(store)))
        return made[-1]

    yield make
    for one in made:
        for controller in one.controllers:
            controller.end()
        one.store.close()
        one.heat.stop()
        one.etcd.stop()
