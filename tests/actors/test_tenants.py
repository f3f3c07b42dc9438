"""A stack stays in the tenant in which it was built, whatever is declared later."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.core import keys
from tests.actors.trial import NETWORK, Trial, body_of

TENANT = body_of(NETWORK)["tenant_id"]


@pytest.fixture
def trial() -> Iterator[Trial]:
    """One network, built."""
    with Trial() as made:
        made.declare_example((NETWORK,))
        made.settle()
        yield made


def stacks(trial: Trial) -> list[str]:
    """The tenants that have a stack."""
    engine = trial.stacks.engine
    return [tenant for tenant in list(engine._tenants) if list(engine.living(tenant))]


@pytest.mark.parametrize("tenant", ["another", None])
def test_a_delete_finds_the_stack_where_it_was_built(trial: Trial, tenant: str | None) -> None:
    """Marked with another tenant, or with none: DELETE_COMPLETED is told of the stack that there was."""
    trial.change(NETWORK, 2, marked=True, tenant_id=tenant)
    trial.settle()
    assert trial.state(NETWORK)["state"]["worker_state"] == "DELETE_COMPLETED"
    assert stacks(trial) == []
    assert trial.at(keys.HEAT_STACKS, NETWORK)["tenant_id"] == TENANT


def test_another_tenant_is_refused_and_makes_no_second_stack(trial: Trial) -> None:
    """The version fails with a reason; the stack is as it was; the old tenant or a deletion heals it."""
    trial.change(NETWORK, 2, tenant_id="another")
    trial.settle()
    said = f"tenant_id is 'another', but its stack is in '{TENANT}'"
    assert trial.state(NETWORK)["error"].startswith("TenantChanged: /config/v2.0/networks/")
    assert trial.state(NETWORK)["error"].endswith(said)
    assert stacks(trial) == [TENANT]
    trial.change(NETWORK, 3)
    trial.settle()
    assert trial.state(NETWORK)["error"] == ""
    trial.change(NETWORK, 4, marked=True)
    trial.settle()
    trial.remove(NETWORK)
    trial.host.advance(5.0)
    trial.change(NETWORK, 1, tenant_id="another")
    trial.settle()
    assert (trial.state(NETWORK)["error"], stacks(trial)) == ("", ["another"])
