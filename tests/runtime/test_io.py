"""Actors with threads and coroutines."""

from __future__ import annotations

from tests.runtime import cast_io
from tests.runtime.cast import Answer, Ask
from tests.runtime.conftest import Stage


def test_twenty_thousand_items_from_four_threads(stage: Stage) -> None:
    """Everything four threads post arrives on the actor's thread, in order per thread, in batches."""
    system = stage.start(cast_io.Bridge)
    items, batches = system.ask(Ask("post_from_threads", (4, 5000)), 20, Answer).value
    assert len(items) == 20_000
    for name in range(4):
        assert [number for who, number in items if who == name] == list(range(5000))
    assert batches < 10_000


def test_results_of_threads(stage: Stage) -> None:
    """Results and exceptions of submitted work come back, from at most as many threads as the lane has."""
    system = stage.start(cast_io.Bridge)
    results = system.ask(Ask("work", 500), 20, Answer).value
    assert len(results) == 500
    assert results.count("ZeroDivisionError('integer division or modulo by zero')") == 1
    threads = {result for result in results if str(result).startswith("io-")}
    assert 1 <= len(threads) <= 4


def test_results_of_coroutines(stage: Stage) -> None:
    """Hundreds of coroutines run at once on the actor's loop; results and exceptions come back."""
    system = stage.start(cast_io.Bridge)
    results = system.ask(Ask("coroutines", 500), 20, Answer).value
    assert sorted(map(str, results)) == sorted(
        ["ZeroDivisionError('integer division or modulo by zero')", *(str(100 // n) for n in range(1, 500))]
    )


def test_a_coroutine_that_never_ends_keeps_nothing_back(stage: Stage) -> None:
    """Results are gathered for a moment only, whatever else is still under way."""
    system = stage.start(cast_io.Bridge)
    assert sorted(system.ask(Ask("beside_one_that_waits", 20), 20, Answer).value) == list(range(20))


def test_a_full_lane_is_busy(stage: Stage) -> None:
    """A lane takes as much work as its threads and its queue can hold, and refuses the rest."""
    system = stage.start(cast_io.Bridge)
    assert system.ask(Ask("overfill"), 5, Answer).value == 3


def test_tell_is_for_the_actors_thread_only(stage: Stage) -> None:
    """tell from another thread is refused loudly instead of losing messages."""
    system = stage.start(cast_io.Bridge)
    assert "own thread" in system.ask(Ask("tell_from_thread"), 5, Answer).value
