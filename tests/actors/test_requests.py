"""What an operator asked for of what is deleted, or of nothing at all, ends (`reconcile`, `retry`)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.core import keys
from actors.core.model import Ref
from tests.actors.rig import TYPES
from tests.actors.trial import NETWORK, Trial, config_key


@pytest.fixture
def trial() -> Iterator[Trial]:
    """A controller over an etcd with templates."""
    with Trial() as made:
        made.declare_example([])
        yield made


def asked(trial: Trial, ref: Ref) -> bool:
    """Whether the request stands."""
    return trial.at(keys.RECONCILE, ref) is not None


def test_a_deletion_without_jobs_is_not_done_again_and_again(trial: Trial) -> None:
    """Asked for before the API server has cleared it away, what is deleted already ends at once, and once."""
    port = Ref("port", "dhcp")
    body = {"id": port.id, "tenant_id": "t", "device_owner": "network:dhcp"}
    trial.declare([(config_key(port), keys.encode_declared(body, 1, marked_for_deletion=True))])
    trial.settle()
    assert trial.state(port)["state"] == {"worker_state": "DELETE_COMPLETED"}
    trial.put(keys.RECONCILE + TYPES.path(port), {"by": "me"})
    trial.host.advance(5.0)
    assert not asked(trial, port)
    before = trial.etcd.revision
    trial.host.advance(30.0)
    assert trial.etcd.revision == before


def test_a_request_for_what_is_not_declared_goes(trial: Trial) -> None:
    """Its declaration went first, and nothing of it is recorded."""
    trial.put(keys.RECONCILE + TYPES.path(NETWORK), {"by": "me"})
    trial.host.advance(10.0)
    assert not asked(trial, NETWORK)
    assert trial.living() == []
