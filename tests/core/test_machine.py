"""The table of the job sequence: total, connected, drawn whole."""

from __future__ import annotations

import itertools
import re

import pytest

from actors.core.machine import IGNORED, TABLE, Command, Event, State, mermaid, reachable, step

PAIRS = list(itertools.product(State, Event))
#: News from outside: they arrive whenever they like, so no state may find one of them impossible.
NEWS = {Event.BEGIN, Event.CHANGED, Event.SUPERSEDED, Event.DUE, Event.OVERDUE}


def sources_of_end(end: State) -> set[State]:
    """Every state from which `end` can be reached."""
    found = {end}
    while True:
        more = {state for (state, _), (after, _) in TABLE.items() if after in found} - found
        if not more:
            return found
        found |= more


def test_every_pair_is_a_transition_or_ignored_or_impossible_and_never_two_of_them() -> None:
    """`step` answers every pair: the table's row, or nothing to do, or None; ignored pairs are no rows."""
    assert not IGNORED & TABLE.keys()
    kinds = {"row": 0, "ignored": 0, "impossible": 0}
    for state, event in PAIRS:
        found = step(state, event)
        if (state, event) in TABLE:
            kinds["row"] += 1
            assert found == TABLE[state, event]
        elif (state, event) in IGNORED:
            kinds["ignored"] += 1
            assert found == (state, ())
        else:
            kinds["impossible"] += 1
            assert found is None
    assert kinds["row"] == len(TABLE)
    assert kinds["ignored"] == len(IGNORED)
    assert sum(kinds.values()) == len(PAIRS)
    assert kinds["impossible"] > 0


@pytest.mark.parametrize("event", sorted(NEWS))
def test_news_is_never_impossible(event: Event) -> None:
    """What comes from outside or from an old timer is met by every state."""
    assert all(step(state, event) is not None for state in State)


def test_answers_are_expected_only_where_something_was_asked() -> None:
    """No answer is ignored silently: where nobody asked it is impossible and the shell reads again."""
    assert {event for _, event in IGNORED} <= NEWS


def test_every_state_is_reachable() -> None:
    """Nothing in the table is dead."""
    assert reachable() == frozenset(State)


def test_from_every_state_the_resource_can_settle() -> None:
    """There is no trap: from wherever a resource is, SETTLED can be reached."""
    assert sources_of_end(State.SETTLED) == set(State)


def test_every_event_and_every_command_is_used() -> None:
    """The vocabulary holds nothing that the table does not use."""
    assert {event for _, event in TABLE} == set(Event)
    assert {command for _, commands in TABLE.values() for command in commands} == set(Command)


def test_loading_is_the_way_back_of_everything_in_doubt() -> None:
    """A guard that did not hold, and an answer of the store that did not come, lead to reading again."""
    for state in (State.RECORDING_PLAN, State.RECORDING_JOB, State.RECORDING_STATE):
        for event in (Event.REFUSED, Event.OVERDUE):
            assert step(state, event) == (State.LOADING, (Command.LOAD,))


def test_each_state_that_waits_for_an_answer_has_a_way_out_if_none_comes() -> None:
    """OVERDUE does something wherever a request is open."""
    asking = {Command.LOAD, Command.FETCH, Command.RUN, Command.RECORD_PLAN, Command.RECORD_JOB}
    asking |= {
        Command.RECORD_STATE,
        Command.RECORD_JOBLESS,
        Command.RECORD_FAILURE,
        Command.RECORD_WITHDRAWAL,
    }
    for after, commands in TABLE.values():
        if asking.intersection(commands):
            assert (after, Event.OVERDUE) in TABLE, f"{after} asks and waits for ever"


def test_a_failure_that_may_pass_always_backs_off_and_loads_again() -> None:
    """RETRY leads to BACKING_OFF, whose end is to read again: nothing that was believed before is kept."""
    assert {after for (_, event), after in TABLE.items() if event is Event.RETRY} == {
        (State.BACKING_OFF, (Command.BACK_OFF,))
    }
    assert step(State.BACKING_OFF, Event.DUE) == (State.LOADING, (Command.LOAD,))


def test_the_drawing_shows_every_transition_once_and_nothing_else() -> None:
    """Mermaid: one line per row of the table, begin and end, names without characters it cannot read."""
    lines = mermaid().splitlines()
    assert lines[0] == "stateDiagram-v2"
    edges = [line.strip() for line in lines[1:]]
    assert "[*] --> new" in edges
    assert "settled --> [*]" in edges
    drawn = [edge for edge in edges if "[*]" not in edge]
    expected = [
        f"{state.replace('-', '_')} --> {after.replace('-', '_')}: {event}"
        + (f" / {', '.join(commands)}" if commands else "")
        for (state, event), (after, commands) in TABLE.items()
    ]
    assert sorted(drawn) == sorted(expected)
    assert all(re.fullmatch(r"[a-z_]+ --> [a-z_]+: [a-z-]+( / [a-z-]+(, [a-z-]+)*)?", one) for one in drawn)
