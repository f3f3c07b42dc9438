"""What no declaration can mend is refused at once, and not waited for."""

from __future__ import annotations

from typing import Any

import pytest

from actors.core.model import Action
from actors.core.ordering import Held, try_plan
from actors.core.plan import PlanError
from tests.core.mirror import PORT, Mirror

MAPPINGS: dict[str, Any] = {
    "compact": "Mnett:net_id:id",
    "a hop": "Fnett+net_id:name",
    "a path": {"field": "name", "path": [{"type": "nett", "id": "net_id"}]},
    "a loop": {
        "for_field": "nets",
        "for_mapping": {"output_key": "id", "path": [{"type": "nett", "id": ""}]},
    },
}


@pytest.mark.parametrize("mapping", MAPPINGS.values(), ids=MAPPINGS)
def test_a_type_that_is_not_known_is_named(mapping: Any) -> None:
    """A mapping that is spelt wrong: nobody can declare a resource of that type, however long it is waited for."""
    mirror = Mirror(port={"net": mapping})
    declared = mirror.declare(PORT, nets=["n"])
    text = r"port:p: template 'port' parameter 'net': resource type 'nett' is not known"
    with pytest.raises(PlanError, match=f"^{text}$"):
        try_plan(mirror.world, declared, None, Action.CREATE)


def test_a_type_that_is_known_is_waited_for() -> None:
    """Its resource may be about to be declared (contract 10.6)."""
    mirror = Mirror()
    made = try_plan(mirror.world, mirror.declare(PORT), None, Action.CREATE)
    assert isinstance(made, Held) and made.bounded
