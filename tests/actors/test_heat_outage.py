"""What a person sees while Heat does not answer."""

from __future__ import annotations

from tests.actors.trial import CHAIN, NETWORK, Trial, down


def _refused(_point: str, _name: str) -> None:
    raise down("ConnectFailure")


def test_an_outage_of_heat_shows_in_the_status_and_ends_by_itself() -> None:
    """Since when, why and how many stacks wait; nothing fails; afterwards everything is built and the status is up."""
    with Trial() as trial:
        trial.stacks._fault = _refused
        trial.declare_example()
        trial.host.advance(60.0)
        told = trial.status()
        assert told.heat.startswith("down since ")
        assert "ConnectFailure" in told.heat
        assert "stacks wait" in told.heat
        assert "Heat is unreachable for" in trial.row(NETWORK).reason
        assert not any(row.error for row in told.rows)
        trial.stacks._fault = lambda point, name: None
        trial.settle(200.0)
        assert trial.status().heat == "up"
        assert {row.stage for row in trial.status().rows if row.ref in CHAIN} == {"settled"}
