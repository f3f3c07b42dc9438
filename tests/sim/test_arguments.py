"""Arguments of the simulator that make no sense: one line and exit code 2, and nothing is played."""

from __future__ import annotations

import pytest

from sim.arguments import parse
from sim.simulate import main


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--seeds 5..1", "the last seed must not be before the first: '5..1'"),
        ("--seeds abc", "must be A..B"),
        ("--seeds 1..x", "must be A..B"),
        ("--resources 0", "must be a whole number of at least 1, not '0'"),
        ("--resources=-3", "must be a whole number of at least 1, not '-3'"),
        ("--minutes=-1", "must be a number above 0, not '-1'"),
        ("--minutes nan", "must be a number above 0, not 'nan'"),
        ("--jobs 0", "must be a whole number of at least 1, not '0'"),
        ("--seed 1 --seeds 1..2", "give one of them"),
        ("--mutants --only nosuch", "no such bug 'nosuch'; there are "),
        ("--mutants --seeds-max 0", "at least 1"),
        ("--only nosuch", "no such bug"),
        ("--only-refs nosuch --seed 1", "'nosuch' is no type:id; types are net, port"),
        ("--only-refs nosuch:1 --seed 1", "'nosuch:1' is no type:id"),
        ("--only-faults nosuch --seed 1", "'nosuch' is no kind@place#number; kinds are "),
        ("--only-faults nosuch@x#1 --seed 1", "'nosuch@x#1' is no kind@place#number"),
        ("--story", "--story tells of one run: give its --seed"),
        ("--only-refs net:net1", "--only-refs tells of one run: give its --seed"),
        ("--real --mutant nosuch", "no such bug 'nosuch'"),
        ("--real --minutes 0", "must be a number above 0"),
        ("--real --resources 0", "at least 1"),
    ],
)
def test_a_wrong_argument_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    """Argparse's own way, with what is allowed."""
    with pytest.raises(SystemExit) as ended:
        main(line.split())
    assert ended.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_what_is_printed_for_a_failure_and_what_ci_says_is_taken() -> None:
    """A range, a first seed with minutes, one seed alone, and what shrinking left."""
    assert parse(["--seeds", "3..9", "--minutes", "2"], "").seeds == (3, 9)
    assert parse(["--minutes", "2"], "").seeds == (1, 10**9)
    assert parse(["--seeds", "3"], "").seeds == (3, 3)
    assert parse([], "").seeds == (1, 50)
    words = ["--seed", "3", "--only-refs", "net:net1", "--only-faults", "crash.restart@c1.2/Shard5#1"]
    assert parse(words, "").only_faults == {"crash.restart@c1.2/Shard5#1"}
    assert parse(["--seed", "3", "--only-refs", "", "--only-faults", ""], "").only_refs == frozenset()
