"""One target as its DeviceActor sees it: the shortcut for looks that change nothing."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from actors.core.flapping import FlapRule
from actors.core.model import Ref
from actors.core.monitors import target
from actors.core.options import Options
from actors.messages import WatchTarget
from actors.watched import Watched
from config.monitor_types import load_monitor_types

TYPES = load_monitor_types()
RULES = Options((), monitor_types=TYPES, snmp_flaps=FlapRule(changes=3, window_s=200.0, write_s=60.0))


def begin(hold_s: float) -> Watched:
    """A port that is to be UP."""
    one = target("port", "physical_port", {"device_ip": "h", "name": "ge1"}, "c", TYPES)
    one = replace(one, hold_s=hold_s, positive=("UP",) if hold_s else ())
    return Watched.begin(
        WatchTarget(Ref("ese_physical_port", "1"), 1, one, None), TYPES[one.type], RULES, 0.0
    )


def look(watched: Watched, status: str, now_s: float, *, shortcut: bool) -> bool:
    """One look as the DeviceActor takes it; returns whether it would tell."""
    if shortcut and status == watched.calm:
        return False
    news = watched.look(status, now_s)
    if news:
        watched.owed, watched.calm, watched.said_flapping = False, None, watched.flaps.flapping(now_s)
    watched.settled = watched.settled or watched.record.published == watched.target.wanted
    watched.calmed(status)
    return news


@given(
    st.lists(
        st.tuples(st.sampled_from(["UP", "UP", "UP", "DOWN", "UNKNOWN", "NOT_FOUND"]), st.integers(1, 60)),
        max_size=40,
    ),
    st.sampled_from([0.0, 90.0]),
    st.sets(st.integers(0, 40), max_size=3),
)
def test_the_shortcut_changes_nothing(looks, hold_s, new_versions):
    """Whatever a port does, leaving out the looks that are no news tells the same and believes the same."""
    whole, quick, now_s = begin(hold_s), begin(hold_s), 0.0
    for number, (status, seconds) in enumerate(looks):
        now_s += seconds
        if number in new_versions:
            for each in (whole, quick):
                each.owed, each.calm = True, None
        told = [look(whole, status, now_s, shortcut=False), look(quick, status, now_s, shortcut=True)]
        assert told[0] == told[1]
        assert (whole.record, whole.owed, whole.settled) == (quick.record, quick.owed, quick.settled)
        assert (whole.flaps, whole.said_flapping) == (quick.flaps, quick.said_flapping)


def test_a_port_that_is_as_wanted_is_calm():
    """After the look that settles it, the same again is no news; anything else is."""
    watched = begin(0.0)
    look(watched, "UP", 1.0, shortcut=True)
    assert watched.calm == "UP"
    look(watched, "DOWN", 31.0, shortcut=True)
    assert watched.calm is None
