"""How long a plan is held back: for a declaration, for the order alone, and for what may last."""

from __future__ import annotations

from actors.core.holding import Holding
from actors.core.ordering import Held

DECLARATION = Held("a is not declared", (), bounded=True)
ORDER = Held("b was declared before", (), bounded=False, ordered=True)
PLAN = Held("c is not planned yet", (), bounded=False)


def test_each_kind_of_hold_has_its_own_time() -> None:
    """What is held for the order has as long as what waits for a declaration, counted from when that kind began."""
    holding = Holding(60.0)
    assert holding.left_s(ORDER, 0.0) == 60.0
    assert holding.left_s(ORDER, 59.0) == 1.0
    assert holding.keeps_order(59.0) and not holding.keeps_order(60.0)
    assert holding.left_s(DECLARATION, 61.0) == 60.0
    assert holding.left_s(DECLARATION, 121.0) == 0.0
    assert holding.keeps_order(121.0), "that is another matter"


def test_what_may_last_lasts() -> None:
    """A producer that is not planned yet is waited for without an end, and what comes after it begins anew."""
    holding = Holding(60.0)
    holding.left_s(DECLARATION, 0.0)
    assert holding.ends
    assert holding.left_s(PLAN, 50.0) == 60.0
    assert not holding.ends
    assert holding.left_s(DECLARATION, 500.0) == 60.0
