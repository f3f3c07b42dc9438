"""`apply --wait` while etcd comes and goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from actors.cli import applying
from actors.cli.applying import Written
from actors.core.errors import ErrorClass, PortError
from actors.ports import Entry, Put, WriteSet
from actors.runtime.inline import InlineHost
from config.types import load_types
from sim.fake_etcd import FakeEtcd
from sim.fake_store import FakeStore
from tests.actors.bridge_rig import Clock

PATH = "/v2.0/networks/n"


class Moody(FakeStore):
    """Fails with these, one read after the other, before it answers."""

    failures: list[PortError]

    def read(self, keys: Sequence[str]) -> tuple[int, Mapping[str, Entry]]:
        """As the port, once there are none left."""
        if self.failures:
            raise self.failures.pop(0)
        return super().read(keys)


def moody(*failures: PortError) -> Moody:
    """A store in which the network has its outcome."""
    store = Moody(FakeEtcd(Clock(InlineHost())))
    store.failures = list(failures)
    store.commit(
        [
            WriteSet(
                (
                    Put(
                        f"/state{PATH}",
                        b'{"version": 1, "error": "", "state": {"worker_state": "CREATE_COMPLETED"}}',
                    ),
                )
            )
        ]
    )
    return store


def test_an_election_does_not_end_the_wait(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twice no answer in time, then the outcome."""
    monkeypatch.setattr(applying, "POLL_S", 0.0)
    silent = PortError(ErrorClass.TRANSIENT, "Timeout", "deadline exceeded")
    (one,) = written = [Written(f"/config{PATH}", 1, "version 1")]
    assert applying._wait(moody(silent, silent), load_types(), written, 30.0, quiet=False) is False
    assert one.outcome == "CREATE_COMPLETED"
    assert "CREATE_COMPLETED" in capsys.readouterr().out


def test_what_will_not_heal_ends_it() -> None:
    """No right to read is told at once."""
    refused = PortError(ErrorClass.TERMINAL, "PermissionDenied", "no")
    with pytest.raises(PortError, match="PermissionDenied"):
        applying._wait(moody(refused), load_types(), [Written(f"/config{PATH}", 1, "")], 30.0, quiet=True)
