"""Ways in which Heat disappoints a Trial, and what is looked at afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from actors.core import keys
from actors.core.errors import ErrorClass, PortError
from actors.core.model import Ref
from sim.heat.engine import Fate
from tests.actors.trial import LOGICAL_PORT, NETWORK, PORT, SUBNET, Document, Trial, config_key, example

#: The order in which the resources of the network side wait for each other.
LINE = (NETWORK, SUBNET, PORT, LOGICAL_PORT)
HOUR = 3600.0


def fate_of(trial: Trial, ref: Ref, fate: Fate, action: str = "CREATE") -> None:
    """Make Heat end that action on the stack of a resource that way, from now on."""
    name = keys.stack_name(ref)
    trial.stacks._fate = lambda asked, which: fate if (asked, which) == (action, name) else Fate.NATURAL


def refuse(trial: Trial, point: str, ref: Ref, error: Callable[[], PortError], times: int) -> None:
    """Make that request for the stack of a resource fail so many times."""
    name, left = keys.stack_name(ref), [times]

    def fault(asked: str, which: str) -> None:
        if (asked, which) == (point, name) and left[0] > 0:
            left[0] -= 1
            raise error()

    trial.stacks._fault = fault


def error_of(trial: Trial, ref: Ref) -> str:
    """The `error` member of its `/state`."""
    found = trial.state(ref)
    assert found is not None, f"{ref} has no state"
    text: str = found["error"]
    return text


def nothing_in_flight(trial: Trial) -> bool:
    """No job, no job_state, no record of attempts."""
    roots = (keys.JOBS, keys.JOB_STATE, keys.ATTEMPTS)
    return not [key for key in trial.keys("/") if key.startswith(roots)]


def document(ref: Ref) -> Document:
    """A resource of the seed as it is declared."""
    return config_key(ref), example()[config_key(ref)]


def template(name: str, mappings: dict[str, Any], source: str) -> Document:
    """A heat template as it is declared."""
    body = {"handler": "heat_worker", "parameter_mappings": mappings, "template_file": source}
    return keys.TEMPLATES + name, keys.encode_declared(body, 1)


def quota() -> PortError:
    """A lasting shortage."""
    return PortError(ErrorClass.QUOTA, "RequestLimitExceeded", "You have reached the maximum stacks")


def jobs_of(trial: Trial, ref: Ref, version: int) -> list[Any]:
    """The `/jobs/all` values of one version, in the order in which they were written."""
    found = []
    for _, changes in trial.etcd._history:
        for change in changes:
            if change.key.startswith(keys.JOBS) and f":{ref}:{version}:" in change.key:
                raw = getattr(change, "value", None)
                if raw is not None:
                    found.append(json.loads(raw))
    return found
