"""What needs no work because its template is not there is told as such: it may be spelt wrong, or come too late."""

from __future__ import annotations

from typing import Any

import pytest

from actors.core import keys
from actors.core.explain import Explainer
from actors.core.keys import TEMPLATES
from actors.core.ordering import without_document
from tests.core.insight import Insight
from tests.core.mirror import NET, PORT

WATCHED: dict[str, Any] = {"handler": "monitoring_worker", "parameter_mappings": {}, "template_file": ""}


def read_complete(insight: Insight) -> None:
    """The outcome of what needs no work."""
    state = keys.encode_state({"worker_state": "READ_COMPLETE"}, 1, "")
    insight.put(keys.STATE + insight.world.types.path(NET), state)


@pytest.fixture
def insight() -> Insight:
    """A network and no template of networks."""
    made = Insight()
    made.known.delete(TEMPLATES + "net")
    made.declare(NET)
    return made


def test_a_template_that_is_not_there_is_explained(insight: Insight) -> None:
    """Named in the facts, until it is there."""
    read_complete(insight)
    fact = "nothing was to be built, as there is no template net; `reconcile` builds it once there is"
    assert fact in Explainer(insight.known).explain(NET).steps[0].facts
    insight.put(TEMPLATES + "net", {"version": 1, "body": {**WATCHED, "handler": "heat_worker"}})
    assert fact not in Explainer(insight.known).explain(NET).steps[0].facts


def test_a_later_generation_misses_no_monitoring_templates(insight: Insight) -> None:
    """Where none monitors by jobs, their templates are not missed (contract 0.2)."""
    port = insight.declare(PORT)
    assert without_document(insight.world, port) == ()
    insight.put(TEMPLATES + "another", {"version": 1, "body": WATCHED})
    assert without_document(insight.world, port) == ("port_monitoring",)
