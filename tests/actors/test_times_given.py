"""Times that a person gives on the command line: taken, or refused in one line, never a traceback."""

from __future__ import annotations

import pytest

from actors.cli.asking import moment_of
from actors.cli.context import UsageError
from actors.cli.seeing import seconds

NOW = 1_795_000_000.0


@pytest.mark.parametrize(
    "text", ["", "noon", "25:00", "2026-99-99", "0001-01-01T00:00:00", "9" * 15 + "d", "9" * 400 + "d"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    """No time of day, no date, or one in a year that cannot be shown."""
    with pytest.raises(UsageError, match="is no time"):
        moment_of(text, NOW)


def test_a_moment_is_seconds_since_1970() -> None:
    """So long ago, or as a date."""
    assert moment_of("5m", NOW) == NOW - 300
    assert moment_of("2026-11-18T00:00:00+00:00", NOW) == 1_794_960_000.0


def test_a_pause_between_two_looks_is_short_and_finite() -> None:
    """A tenth of a second at least, a day at most."""
    assert [seconds(text) for text in ("0", "0.5", "86400")] == [0.1, 0.5, 86_400.0]
    for text in ("nan", "inf", "-1", "1e9", "soon"):
        with pytest.raises(ValueError, match=text):
            seconds(text)
