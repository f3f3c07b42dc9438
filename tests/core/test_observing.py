"""When a status is published: confirmation, failure threshold, hold_options."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.observing import FAIL, FAILURES, ObserveOptions, Record, observe

PLAIN = ObserveOptions()


def published(looks: Sequence[tuple[int, str]], options: ObserveOptions = PLAIN) -> list[tuple[int, str]]:
    """What comes out of a row of (time, status) looks, as (time, status)."""
    record = Record()
    out: list[tuple[int, str]] = []
    for now, status in looks:
        record, event = observe(record, status, now, options)
        if event is not None:
            out.append((now, event))
    return out


def each_second(*statuses: str) -> list[tuple[int, str]]:
    """Looks at 0, 1, 2 … s."""
    return list(enumerate(statuses))


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        (["UP"], [(0, "UP")]),
        (["DOWN"], [(0, "DOWN")]),
        (["UP", "UP", "UP"], [(0, "UP")]),
        (["UP", "DOWN", "UP", "UP"], [(0, "UP")]),
        (["UP", "DOWN", "DOWN", "DOWN"], [(0, "UP"), (2, "DOWN")]),
        (["UP", "DOWN", "UNKNOWN", "DOWN"], [(0, "UP"), (3, "DOWN")]),
        (["UP", "UNKNOWN", "UP", "UNKNOWN", "UP"], [(0, "UP")]),
        (["UP", "UNKNOWN", "FAIL", "FAIL"], [(0, "UP"), (2, FAIL)]),
        (["FAIL"], []),
        (["FAIL", "FAIL"], [(1, FAIL)]),
        (["NOT_FOUND", "NOT_FOUND", "UP"], [(1, FAIL), (2, "UP")]),
        (["UP", "FAIL", "FAIL", "DOWN"], [(0, "UP"), (2, FAIL), (3, "DOWN")]),
    ],
)
def test_what_comes_out_without_holds(looks, expected):
    """First values count at once, changes at the second equal look, FAIL at the second failure in a row."""
    assert published(each_second(*looks)) == expected


def test_hold_delays_a_change():
    """With a hold of 3 s a change is confirmed by the first equal look that is 3 s after it was seen."""
    looks = each_second("UP", "DOWN", "DOWN", "DOWN", "DOWN", "DOWN")
    assert published(looks, ObserveOptions(hold_s=3)) == [(0, "UP"), (4, "DOWN")]


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        (["FAIL", "FAIL", "FAIL", "UP", "FAIL", "FAIL"], [(3, "UP"), (5, FAIL)]),
        (["DOWN", "DOWN", "UP"], [(2, "UP")]),
        (["DOWN"] * 12, [(10, "DOWN")]),
        (["FAIL"] * 12, [(10, FAIL)]),
    ],
)
def test_hold_options_let_only_positive_statuses_out(looks, expected):
    """Until 10 s what is not positive is kept back; the first positive status ends the hold."""
    options = ObserveOptions(positive=frozenset({"UP"}), positive_until_s=10)
    assert published(each_second(*looks), options) == expected


@given(
    st.lists(st.sampled_from(["UP", "DOWN", "MASTER", "UNKNOWN", "FAIL", "NOT_FOUND"]), max_size=30),
    st.integers(1, 4),
    st.floats(0, 5),
    st.one_of(st.none(), st.integers(0, 30)),
)
def test_whatever_is_looked_at(statuses, threshold, hold, until):
    """No status comes out twice in a row, FAIL only after enough failures, nothing that was not just seen."""
    options = ObserveOptions(threshold, hold, frozenset({"UP"}), until)
    record, last, failures = Record(), None, 0
    for now, status in enumerate(statuses):
        record, event = observe(record, status, now, options)
        failures = failures + 1 if status in FAILURES else 0
        if event is None:
            continue
        assert event != last
        assert event == (FAIL if status in FAILURES else status)
        assert event != FAIL or failures >= threshold
        assert last is not None or until is None or now >= until or event == "UP"
        last = event


def test_record_tells_when_another_look_is_worth_while():
    """A record is unsettled while nothing is known, a change is unconfirmed or a failure is not yet FAIL."""
    assert Record().unsettled
    record, _ = observe(Record(), "UP", 0, PLAIN)
    assert not record.unsettled
    assert observe(record, "DOWN", 1, PLAIN)[0].unsettled
    failed, _ = observe(record, "FAIL", 1, PLAIN)
    assert failed.unsettled
    assert not observe(failed, "FAIL", 2, PLAIN)[0].unsettled
