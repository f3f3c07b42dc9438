"""Storms of log lines, and the id by which lines of one resource version are found."""

from __future__ import annotations

import json
import logging

from actors.core.model import Ref
from actors.core.stackdrive import request_id
from actors.runtime.log_limits import KINDS_MAX, StormFilter
from actors.runtime.logs import _Formatter


def record(text: str, at: float, *args: object) -> logging.LogRecord:
    """One record of that moment."""
    made = logging.LogRecord("gatewright.test", logging.WARNING, "", 0, text, args, None)
    made.created = at
    return made


def test_a_storm_is_cut_short_and_counted() -> None:
    """Of many like lines in one moment a burst passes; the next that passes says how many were left out."""
    limits = StormFilter(burst=10, rate=1)
    passed = sum(limits.filter(record("silent: %s", 100.0, number)) for number in range(1000))
    assert passed == 10
    later = record("silent: %s", 102.0, 5)
    assert limits.filter(later)
    assert later.getMessage() == "silent: 5 [990 more like this were left out]"


def test_other_lines_are_not_held_back() -> None:
    """One kind in a storm does not silence another, and the memory of kinds is bounded."""
    limits = StormFilter(burst=1, rate=1)
    assert limits.filter(record("a", 1.0))
    assert not limits.filter(record("a", 1.0))
    assert all(limits.filter(record(f"kind {number}", 1.0)) for number in range(2 * KINDS_MAX))
    assert len(limits._buckets) == KINDS_MAX


def test_lines_of_a_resource_version_have_the_id_that_heat_is_told() -> None:
    """Whatever is logged of a resource and version carries its request id; other lines carry none."""
    about, other = record("%s version %d: %s", 1.0, Ref("port", "p"), 3, "retry"), record("none: %d", 1.0, 3)
    wanted = request_id(Ref("port", "p"), 3)
    as_json, as_text = _Formatter("test", as_json=True), _Formatter("test", as_json=False)
    assert json.loads(as_json.format(about))["request_id"] == wanted
    assert "request_id" not in json.loads(as_json.format(other))
    assert f" {wanted}: port:p version 3: retry" in as_text.format(about)
