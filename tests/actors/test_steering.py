"""Empty arguments of the steering commands: a script's unset variable steers nothing."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from actors.cli import steering
from actors.cli.context import Context, UsageError
from actors.cli.reach import Installation
from actors.core import keys
from actors.core.find import NotFoundError
from actors.core.knowledge import Knowledge
from actors.runtime.inline import InlineHost
from config.sections import Snapshot
from config.types import load_types
from sim.fake_etcd import FakeEtcd
from sim.fake_store import FakeStore
from tests.actors.bridge_rig import Clock


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    """An etcd with one network, which has neither a name nor a tenant."""
    types, store = load_types(), FakeStore(FakeEtcd(Clock(InlineHost())))
    known = Knowledge(types)
    known.put("/config/v2.0/networks/n", keys.encode_declared({"id": "n"}, 1), 1, 1)

    @contextmanager
    def found(*_: Any, **__: Any) -> Iterator[Installation]:
        yield Installation(Snapshot(), store, types, known, None)

    monkeypatch.setattr(steering, "installation", found)
    return store


@pytest.mark.parametrize(
    "arguments",
    [
        ["pause", ""],
        ["pause", "--type", ""],
        ["pause", "--tenant", ""],
        ["reconcile", ""],
        ["retry", ""],
        ["retry", "--type", ""],
    ],
)
def test_an_empty_argument_steers_nothing(store: FakeStore, arguments: list[str]) -> None:
    """Each is refused, and nothing is written."""
    parser = argparse.ArgumentParser()
    steering.add_commands(parser, parser.add_subparsers())
    parsed = parser.parse_args(arguments)
    with pytest.raises((NotFoundError, UsageError)):
        parsed.run(Context(Snapshot(), lambda *_: None, parsed))  # type: ignore[arg-type]
    assert store.page("/gatewright/").entries == ()
