"""The steering commands: a script's unset variable steers nothing, and what failed is asked for in order."""

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
from tests.actors.rig import TYPES
from tests.actors.trial import NETWORK, PORT, SUBNET, config_key, example, templates


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


def test_what_failed_is_asked_for_after_what_it_needs(
    store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than one transaction takes: who is planned before its producer is asked for, too, would fail with it."""
    monkeypatch.setattr(steering, "BATCH", 1)
    with steering.installation() as found:  # type: ignore[attr-defined,call-arg]
        known = found.known
    documents = [
        *templates(),
        *((config_key(ref), example()[config_key(ref)]) for ref in (PORT, SUBNET, NETWORK)),
    ]
    for number, (key, value) in enumerate(documents, 2):
        known.put(key, value, number, number)
    for number, ref in enumerate((NETWORK, PORT, SUBNET), 500):
        state = keys.encode_state({"worker_state": "CREATE_FAILED"}, 1, "StackFailed: no host")
        known.put(keys.STATE + TYPES.path(ref), state, number, number)
    parser = argparse.ArgumentParser()
    steering.add_commands(parser, parser.add_subparsers())
    parsed = parser.parse_args(["retry"])
    assert parsed.run(Context(Snapshot(), lambda *_: None, parsed)) == 0  # type: ignore[arg-type]
    asked = {entry.key: entry.mod_revision for entry in store.page(keys.RECONCILE).entries}
    revisions = [asked[keys.RECONCILE + TYPES.path(ref)] for ref in (NETWORK, SUBNET, PORT)]
    assert revisions == sorted(revisions)
