"""Options of a monitor: hold_options (contract 6.4, 6.7), tags, and what may stand in an OID."""

from __future__ import annotations

from typing import Any

import pytest

from actors.core.monitors import (
    BadMonitor,
    Target,
    hold_left_s,
)
from tests.core.test_monitors import PORT, made

VRRP = {"primary": "master", "secondary": "BACKUP"}


def test_hold_options_are_taken() -> None:
    """Statuses are for the target itself; maps are kept whole, for all members together (contract 6.4)."""
    options = {"positive_status": ["UP", "down"], "time_seconds": 30}
    one = made("physical_port", **PORT, hold_options=options)
    assert (one.hold_s, one.positive) == (30.0, ("UP", "DOWN"))
    pool = made("physical_port", **PORT, hold_options={"positive_status": [VRRP], "time_seconds": 360})
    assert (pool.hold_s, pool.positive) == (360.0, ())
    assert pool.pools == ((("primary", "MASTER"), ("secondary", "BACKUP")),)
    assert made("physical_port", **PORT).hold_s == 0
    with pytest.raises(BadMonitor, match="statuses or maps of them, not both"):
        made("physical_port", **PORT, hold_options={"positive_status": ["UP", VRRP], "time_seconds": 1})


def sessions(pool: tuple[str, str], hold_s: float = 360.0) -> tuple[Target, ...]:
    """Two targets that are positive as MASTER and BACKUP, both with the same map."""
    wanted = ((pool[0], "MASTER"), (pool[1], "BACKUP"))
    return tuple(Target(name, "vrrp_session", hold_s=hold_s, pools=(wanted,)) for name in pool)


@pytest.mark.parametrize(
    ("first", "second", "age_s", "left_s"),
    [
        ("BACKUP", "BACKUP", 20, 340),
        ("BACKUP", "MASTER", 20, 340),
        ("MASTER", "BACKUP", 20, 0),
        ("BACKUP", "BACKUP", 360, 0),
    ],
)
def test_a_map_must_match_completely(first: str, second: str, age_s: float, left_s: float) -> None:
    """Until the hold has passed all members must be as one map says at once, not each at its own time."""
    targets = sessions(("primary", "secondary"))
    statuses = {"primary": first, "secondary": second}
    assert max(hold_left_s(targets, statuses, age_s), 0) == left_s


def test_each_pool_of_a_resource_must_match() -> None:
    """Of two pools the one that does not match holds, for its own time; what has no pools or no status does not."""
    two = (*sessions(("a", "b"), 30.0), *sessions(("c", "d"), 60.0), Target("port", "switch", hold_s=99.0))
    good = {"a": "MASTER", "b": "BACKUP", "c": "MASTER", "d": "BACKUP", "port": "UP"}
    assert hold_left_s(two, good, 10.0) == 0
    assert hold_left_s(two, good | {"a": "BACKUP"}, 10.0) == 20
    assert hold_left_s(two, good | {"a": "BACKUP", "c": "BACKUP"}, 10.0) == 50
    assert hold_left_s(two, {"port": "UP"}, 10.0) == 0


@pytest.mark.parametrize("options", [[], {"time_seconds": 3}, {"positive_status": "UP", "time_seconds": 3}])
def test_bad_hold_options_are_named(options: Any) -> None:
    """What is no list of statuses with a time is refused."""
    with pytest.raises(BadMonitor, match="hold_options must have positive_status"):
        made("physical_port", **PORT, hold_options=options)


def test_tags_are_one_set_or_several() -> None:
    """A table is one set of tags, a list of tables is one data point each."""
    assert made("logical_port", **PORT, tags={"b": 1, "a": "x"}).tags == ((("a", "x"), ("b", "1")),)
    assert made("logical_port", **PORT, tags=[{"p": 1}, {"p": 2}]).tags == ((("p", "1"),), (("p", "2"),))
    with pytest.raises(BadMonitor, match="'tags' must be"):
        made("logical_port", **PORT, tags="x")


@pytest.mark.parametrize("vrid", ["1.x", "-1", "1 2", "{}", "#", "1..2"])
def test_nothing_odd_gets_into_an_oid(vrid: str) -> None:
    """A property that is no part of an OID is refused before anything is asked."""
    with pytest.raises(BadMonitor, match="'vrid' must be"):
        made("vrrp_session", host="h", interface="i", vrid=vrid)
