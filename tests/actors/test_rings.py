"""Nobody waits for ever: what waits for itself through others gives up order, or fails with the ring named (2.5)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.core import keys
from actors.core.keys import ResourceType, TypeTable
from actors.core.model import Handler, Ref
from actors.core.options import Options
from actors.ports import Delete, WriteSet
from config.monitor_types import load_monitor_types
from sim.heat.engine import Fate, Settings
from tests.actors.trial import NETWORK, PORT, SUBNET, Trial, config_key, example, templates
from tests.actors.trouble import HOUR, error_of, fate_of

#: Things that need each other as their declarations say: `needs` for outputs, `after` for the order alone.
THINGS = (
    ResourceType("thing", "things", template_path={Handler.HEAT: "Cthing"}),
    ResourceType("hint", "hints"),
)
_OUTPUT = {"output_key": "id", "path": [{"type": "thing", "id": ""}]}
_ORDER = {"field": "id", "path": [{"type": "thing", "id": ""}]}
_HINTED = {"field": "id", "path": [{"type": "hint", "id": ""}, {"type": "thing", "id": "to"}]}
MAPPINGS = {
    "jinja_needs": {"for_field": "needs", "for_mapping": _OUTPUT},
    "jinja_after": {"for_field": "after", "for_mapping": _ORDER},
    "jinja_via": {"for_field": "via", "for_mapping": _HINTED},
}
SOURCE = (
    "heat_template_version: 2016-10-14\nresources: {}\n"
    "outputs: {id: {value: {% if jinja_needs is defined %}x{% endif %}}}\n"
)


def slow(seconds: float, *words: str) -> Settings:
    """Heat takes so long for stacks with one of these words in the name, a second for others."""
    return Settings(extra_s=lambda _, name: seconds if any(word in name for word in words) else 1.0)


@pytest.fixture
def things() -> Iterator[Trial]:
    """A controller that knows of things."""
    with Trial(options=Options(THINGS, monitor_types=load_monitor_types()), heat=slow(1.0)) as made:
        body = {"handler": "heat_worker", "parameter_mappings": MAPPINGS, "template_file": SOURCE}
        made.put(keys.TEMPLATES + "thing", {"body": body, "version": 1})
        yield made


def declare(trial: Trial, name: str, version: int, *, kind: str = "thing", **body: object) -> None:
    """Declare one, with what it refers to."""
    ref = Ref(kind, name)
    value = keys.encode_declared({"id": name, "tenant_id": "t", **body}, version)
    trial.declare([(keys.CONFIG + TypeTable(THINGS).path(ref), value)])


def ends(trial: Trial) -> dict[str, tuple[int, str]]:
    """What became of each thing: version and outcome."""
    trial.host.advance(HOUR)
    found = {}
    for key in trial.keys(keys.STATE):
        state = trial.get(key)
        found[key.rpartition("/")[2]] = (state["version"], state["state"]["worker_state"])
    return found


def test_updates_while_users_are_created() -> None:
    """A port waits for a subnet that is declared anew, which waits for its network, whose update comes after whoever
    uses the network: it gives way, as the order is all it waits for."""
    with Trial(heat=slow(2.0, "_")) as trial:
        trial.declare_example([NETWORK, SUBNET, PORT])
        trial.host.advance(1.0)
        trial.change(NETWORK, 2)
        trial.change(SUBNET, 2)
        trial.settle(limit_s=HOUR)
        assert [error_of(trial, ref) for ref in (NETWORK, SUBNET, PORT)] == ["", "", ""]
        assert [trial.state(ref)["version"] for ref in (NETWORK, SUBNET, PORT)] == [2, 2, 1]


def test_a_new_life_while_the_deletion_of_the_last_one_waits() -> None:
    """A network is removed and declared anew while its deletion waits for the job of a port, whose next version waits
    for the network: the job, which never began, is withdrawn."""
    with Trial(heat=slow(20.0, "subnet")) as trial:
        trial.declare_example([NETWORK])
        trial.settle()
        trial.declare_example([SUBNET, PORT])
        trial.host.advance(1.0)
        trial.change(NETWORK, 2, marked=True)
        trial.host.advance(1.0)
        trial.remove(NETWORK)
        trial.host.advance(0.5)
        trial.declare([(config_key(NETWORK), example()[config_key(NETWORK)])])
        trial.change(PORT, 2)
        trial.settle(limit_s=HOUR)
        assert [error_of(trial, ref) for ref in (NETWORK, SUBNET, PORT)] == ["", "", ""]


def test_a_reference_that_was_dropped_closes_no_ring(things: Trial) -> None:
    """Two things that referred to each other, one after the other, are updated to refer to nothing."""
    declare(things, "b", 1)
    things.host.advance(5.0)
    declare(things, "a", 1, after=["b"])
    things.host.advance(5.0)
    fate_of(things, Ref("thing", "b"), Fate.FAIL, "UPDATE")
    declare(things, "b", 2, after=["a"])
    things.host.advance(5.0)
    fate_of(things, Ref("thing", "b"), Fate.NATURAL)
    declare(things, "a", 2)
    declare(things, "b", 3)
    assert ends(things) == {"a": (2, "MODIFY_COMPLETED"), "b": (3, "MODIFY_COMPLETED")}


def test_a_reference_through_what_is_declared_later_is_seen(things: Trial) -> None:
    """An update is not planned after a user that itself waits, through a hint that came later, for what needs it."""
    declare(things, "x", 1)
    things.host.advance(5.0)
    declare(things, "v", 1, after=["x"], via=["k"])
    declare(things, "k", 1, kind="hint", to="g")
    things.host.advance(1.0)
    declare(things, "x", 2)
    declare(things, "g", 1, after=["x"])
    found = ends(things)
    assert found["x"] == (2, "MODIFY_COMPLETED")
    assert found["v"] == found["g"] == (1, "CREATE_COMPLETED")


def test_a_ring_that_versions_make_is_named(things: Trial) -> None:
    """Three versions, each planned before the next made it a ring, end: one with the ring, the others with that one."""
    declare(things, "slow", 1)
    declare(things, "a", 1, after=["slow"])
    declare(things, "b", 1, needs=["a"])
    declare(things, "c", 1, needs=["b"])
    things.host.advance(0.2)
    declare(things, "a", 2, after=["slow"], needs=["c"])
    found = ends(things)
    assert {name: outcome for name, (_, outcome) in found.items() if name != "slow"} == dict.fromkeys(
        "abc", "CREATE_FAILED"
    )
    errors = [things.get(key)["error"] for key in things.keys(keys.STATE)]
    assert [error for error in errors if "dependency cycle: thing:" in error] != []


def test_nobody_waits_long_for_the_order_alone(things: Trial) -> None:
    """A user whose own records are spoilt is never planned; the update that comes after it is, a while later."""
    declare(things, "x", 1)
    things.host.advance(5.0)
    things.put(keys.ACCEPTED + TypeTable(THINGS).path(Ref("thing", "v")), b"spoilt")
    declare(things, "v", 1, after=["x"])
    declare(things, "x", 2)
    things.host.advance(30.0)
    assert things.row(Ref("thing", "x")).reason.endswith("was declared before and is not planned yet")
    assert ends(things) == {"x": (2, "MODIFY_COMPLETED")}


@pytest.mark.parametrize("after_s", [0.0, 0.2, 1.0, 2.0])
def test_a_mark_without_a_new_version_while_it_is_in_work(after_s: float) -> None:
    """It is deleted, whether the mark comes before, while or just after it is built."""
    with Trial(heat=slow(2.0, "_")) as trial:
        trial.declare_example([NETWORK])
        trial.host.advance(after_s)
        trial.change(NETWORK, 1, marked=True)
        trial.host.advance(60.0)
        assert trial.state(NETWORK)["state"]["worker_state"] == "DELETE_COMPLETED"
        assert trial.living() == []


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "vanished"])
def test_jobs_that_never_began_go_with_a_deletion_that_needs_none(marked: bool) -> None:
    """A template is gone when what waited with it is deleted, and comes back: nothing is built of that job."""
    with Trial(heat=slow(30.0, "network")) as trial:
        trial.declare_example([NETWORK, SUBNET])
        trial.host.advance(1.0)
        template = keys.TEMPLATES + "subnet"
        trial.client.commit([WriteSet((Delete(template),))])
        trial.host.advance(1.0)
        if marked:
            trial.change(SUBNET, 2, marked=True)
            trial.host.advance(5.0)
            assert trial.state(SUBNET)["state"]["worker_state"] == "DELETE_COMPLETED"
        trial.remove(SUBNET)
        trial.host.advance(2.0)
        trial.declare([(template, dict(templates())[template])])
        trial.host.advance(300.0)
        assert trial.leftovers(SUBNET) == []
        assert trial.living() == [keys.stack_name(NETWORK)]
