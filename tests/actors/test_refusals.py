"""What cannot be built as declared (contract 10.6, 10.13): refused by name, or waited for within bounds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from actors.core import keys
from actors.core.errors import ErrorClass, PortError
from actors.core.model import Ref
from sim import fake_stacks
from sim.heat.outputs import resolve
from sim.heat.records import Record
from tests.actors.rig import TYPES
from tests.actors.trial import (
    CHAIN,
    LOGICAL_PORT,
    NETWORK,
    PHYSICAL_PORT,
    PORT,
    SUBNET,
    SWITCH,
    Trial,
    body_of,
    config_key,
    templates,
)
from tests.actors.trouble import (
    HOUR,
    document,
    error_of,
    nothing_in_flight,
    refuse,
    template,
)


@pytest.fixture
def trial() -> Iterator[Trial]:
    """A controller over an empty etcd."""
    with Trial() as made:
        yield made


# -------------------------------------------------------------------------------------------- invalid input


def test_an_invalid_template_names_key_template_and_parameter(trial: Trial) -> None:
    """A mapping that cannot be evaluated: the text says where, for whom and what."""
    trial.declare_example([])
    trial.declare([template("network", {"uuid": "Pid", "speed": "Xspeed_of_light"}, ""), document(NETWORK)])
    trial.settle()
    text = error_of(trial, NETWORK)
    for part in (config_key(NETWORK), str(NETWORK), "network", "speed"):
        assert part in text
    assert trial.stacks.requests.get("create", 0) == 0


def test_a_template_that_cannot_be_rendered_is_named(trial: Trial) -> None:
    """Jinja that does not parse: INVALID at once, naming resource and template."""
    trial.declare_example([])
    trial.declare([template("network", {}, "{% if %}"), document(NETWORK)])
    trial.settle()
    text = error_of(trial, NETWORK)
    assert text.startswith("InvalidTemplate: ")
    assert f"{NETWORK} template network" in text
    assert nothing_in_flight(trial)


def test_a_template_that_heat_refuses(trial: Trial) -> None:
    """Heat's validation is final; its own words are in the error."""
    error = PortError(ErrorClass.TERMINAL, "StackValidationFailed", "Property error: resources.network")
    refuse(trial, "create", NETWORK, lambda: error, 10_000)
    trial.declare_example([NETWORK])
    trial.settle()
    assert error_of(trial, NETWORK).startswith("StackValidationFailed: ")
    assert error_of(trial, NETWORK).endswith("Property error: resources.network")
    assert trial.stacks.requests["create"] == 1


def test_a_template_that_is_corrected_is_built_when_it_is_tried_again(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stack of the failed version is complete, but of the template before: it is updated, not taken as it is."""

    def outputs(record: Record) -> list[Any]:
        wrong = "corrected" not in str(record.template.document)
        return [{**one, "output_value": float("nan")} if wrong else one for one in resolve(record)]

    monkeypatch.setattr(fake_stacks, "resolve", outputs)
    trial.declare_example((NETWORK,))
    trial.settle()
    assert error_of(trial, NETWORK).startswith("BadOutputs: ")
    (key, value), *_ = ((k, json.loads(v)) for k, v in templates() if k.endswith("/network"))
    body = json.loads(value["body"])
    body["template_file"] = body["template_file"].replace("Id of the network", "Id of the network, corrected")
    trial.declare([(key, json.dumps({**value, "body": json.dumps(body)}).encode())])
    trial.put(keys.RECONCILE + TYPES.path(NETWORK), {"by": "me"})
    trial.settle()
    assert error_of(trial, NETWORK) == ""
    assert trial.state(NETWORK)["version"] == 1
    assert trial.at(keys.HEAT_STACKS, NETWORK)["stack_status"] == "UPDATE_COMPLETE"


def test_a_template_that_is_not_there_is_told_in_the_log(
    trial: Trial, caplog: pytest.LogCaptureFixture
) -> None:
    """READ_COMPLETE (contract 2.2), with a line that names what was not found; and built once that is there."""
    trial.declare([document(NETWORK)])
    trial.settle()
    assert trial.state(NETWORK)["state"] == {"worker_state": "READ_COMPLETE"}
    assert f"{NETWORK} version 1: nothing is built, as there is no template network" in caplog.text
    trial.declare([one for one in templates() if one[0].endswith("/network")])
    trial.put(keys.RECONCILE + TYPES.path(NETWORK), {"by": "me"})
    trial.settle()
    assert keys.stack_name(NETWORK) in trial.living()


def test_a_declaration_that_cannot_be_read_is_a_problem_and_nothing_else(trial: Trial) -> None:
    """A broken `/config` value: shown with its key; others go on; a readable one is built."""
    trial.declare_example([])
    trial.declare([(config_key(NETWORK), b'{"body": "{", "version": 1}')])
    trial.declare([document(SWITCH)])
    trial.settle()
    assert any(config_key(NETWORK) in problem for problem in trial.status().problems)
    assert trial.state(NETWORK) is None
    trial.declare([document(NETWORK)])
    trial.settle()
    assert error_of(trial, NETWORK) == ""
    assert not trial.status().problems


# ------------------------------------------------------------------------------------------ missing resources


def test_a_missing_resource_is_waited_for_then_given_up(trial: Trial) -> None:
    """Contract 10.6: held for the configured time with a reason, then a clear error; the others go on."""
    trial.declare_example([SWITCH, SUBNET])
    trial.host.advance(30.0)
    row = trial.row(SUBNET)
    assert row.stage == "planning"
    assert f"{NETWORK} is not declared" in row.reason
    assert error_of(trial, SWITCH) == ""
    assert trial.state(SUBNET) is None
    trial.host.advance(31.0)
    trial.settle()
    assert error_of(trial, SUBNET).startswith(
        f"MissingResource: {config_key(SUBNET)}: {NETWORK} is not declared"
    )
    assert "waited 60 s" in error_of(trial, SUBNET)


def test_a_missing_resource_that_comes_in_time(trial: Trial) -> None:
    """Declared the wrong way round, even: everything is built."""
    trial.declare_example(tuple(reversed(CHAIN)))
    trial.settle()
    assert [ref for ref in CHAIN if error_of(trial, ref)] == []
    trial.change(SUBNET, 2, network_id="00000000-0000-0000-0000-000000000000")
    trial.host.advance(59.0)
    assert trial.state(SUBNET)["version"] == 1
    trial.change(SUBNET, 3)
    trial.settle()
    assert (trial.state(SUBNET)["version"], error_of(trial, SUBNET)) == (3, "")


def test_a_dependant_of_what_never_came_is_failed_too(trial: Trial) -> None:
    """The chain behind a missing resource ends as well, each with a reason."""
    trial.declare_example([SUBNET, PORT, SWITCH, PHYSICAL_PORT, LOGICAL_PORT])
    trial.host.advance(200.0)
    trial.settle()
    for ref in (SUBNET, PORT, LOGICAL_PORT):
        assert error_of(trial, ref), ref
    assert error_of(trial, PHYSICAL_PORT) == ""
    assert nothing_in_flight(trial)


def test_a_cycle_is_refused_with_the_cycle_printed(trial: Trial) -> None:
    """Two networks that need each other's stack: both end, one with the cycle in its error."""
    trial.declare_example([])
    mapping = {"name": {"output_key": "id", "path": [{"type": "network", "id": "name"}]}}
    trial.declare([template("network", mapping, "")])
    other = Ref(NETWORK.type, "00000000-0000-0000-0000-000000000001")
    for ref, name in ((NETWORK, other.id), (other, NETWORK.id)):
        value = {**body_of(NETWORK), "id": ref.id, "name": name}
        trial.declare([(config_key(ref), keys.encode_declared(value, 1))])
    trial.settle(limit_s=300.0)
    errors = [error_of(trial, ref) for ref in (NETWORK, other)]
    assert any(
        "dependency cycle: " in text and str(NETWORK) in text and str(other) in text for text in errors
    )
    assert all(errors)


# ---------------------------------------------------------------------------------------------- monitoring


def test_a_device_that_never_answers_fails_its_resource(trial: Trial) -> None:
    """Contract 10.13: after the monitor's time-out the job fails, naming monitor and device; nothing is watched."""
    trial.tables["QFX-NW02"].quiet = True
    trial.declare_example([SWITCH])
    trial.host.advance(60.0)
    assert "wanted UP within 120 s" in trial.row(SWITCH).reason
    trial.host.advance(61.0)
    trial.settle()
    assert error_of(trial, SWITCH).startswith("MonitorTimeout: ")
    assert "monitor 'switch' (10.161.0.34) is FAIL" in error_of(trial, SWITCH)
    assert trial.at(keys.TARGETS, SWITCH) is None
    assert trial.at(keys.MONITORING, SWITCH) is None
    polls = trial.agent.gets
    trial.host.advance(HOUR)
    assert trial.agent.gets == polls


def test_a_device_that_answers_late_is_waited_for(trial: Trial) -> None:
    """Silent at first, then up: ACTIVE, and UP is published after the state."""
    trial.tables["QFX-NW02"].quiet = True
    trial.declare_example([SWITCH])
    trial.host.advance(60.0)
    trial.tables["QFX-NW02"].quiet = False
    trial.settle(limit_s=60.0)
    trial.host.advance(1.0)
    assert error_of(trial, SWITCH) == ""
    values = [value for _, value in trial.written(keys.MONITORING, SWITCH)]
    assert values == [{"switch": "UP", "version": 1}]
