"""The simulator itself: faults, planted bugs, shrinking, and what is printed."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from actors.core.machine import TABLE
from actors.core.model import Ref
from actors.supervisor import Supervisor
from sim import catalog, results, simulate
from sim.disasters import Disasters
from sim.faults import KINDS, Injector, draw
from sim.host import SimHost
from sim.invariants import ALL
from sim.mutants import BUGS, planted
from sim.play import Player
from sim.shrink import Shrinker, command
from sim.simulate import main
from sim.tally import UNREACHED, Tally
from sim.world import Case, World

ROOT = Path(__file__).parents[2]


def test_another_seed_is_another_run() -> None:
    """Seeds differ in workload, faults and order."""
    assert Player(Case(1, 5)).run().digest != Player(Case(2, 5)).run().digest


def test_calm_weather_has_no_faults() -> None:
    """The profile `calm` injects nothing, and everything is built."""
    result = Player(Case(4, 10, "calm")).run()
    assert result.violation is None
    assert not result.hits


def test_only_named_faults_are_injected() -> None:
    """A run that is allowed one fault has that one."""
    names = Player(Case(5, 10)).run().names
    assert names
    again = Player(Case(5, 10, only_faults=frozenset(names[:1]))).run()
    assert again.names == names[:1]


def test_faults_are_drawn_by_swarm() -> None:
    """Every kind is drawn by some seed and not by all."""
    drawn = [set(draw(seed, "swarm")) for seed in range(200)]
    assert set().union(*drawn) == set(KINDS)
    assert set.intersection(*drawn) == set()


def test_an_injector_that_is_not_active_injects_nothing() -> None:
    """Calm is calm."""
    injector = Injector(1, {"message.lost": 1.0})
    injector.active = False
    assert not injector.hit("message.lost", "here")


def test_unreached_transitions_exist() -> None:
    """What is excused from coverage is in the table of the machine."""
    assert not UNREACHED - set(TABLE)


# --------------------------------------------------------------------------------------------- planted bugs


def test_every_planted_bug_can_be_planted() -> None:
    """No planted bug has been orphaned by a change of the product, and all are taken out again."""
    assert len(BUGS) >= 30
    for bug in BUGS:
        with planted(bug):
            changed = [(owner, name) for owner, name, _ in bug.changes()]
        assert changed, bug.name
    assert Player(Case(1, 5)).run().violation is None


# ------------------------------------------------------------------------------------------------ failures


def test_a_failure_shrinks() -> None:
    """What remains of a failure is small, still fails, and its command is complete."""
    bug = next(bug for bug in BUGS if bug.name == "no outputs")
    with planted(bug):
        failure = Player(Case(1, 10)).run()
        assert failure.violation is not None
        small = Shrinker(failure).shrink()
        assert small.violation is not None
        assert len(small.case.only_refs or ()) <= 2
        assert small.case.only_faults == frozenset()
        assert "--only-refs" in command(small.case)


def test_a_failure_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A failing seed ends with the code of its kind, a command, and the story of its resource."""
    bug = next(bug for bug in BUGS if bug.name == "no outputs")
    with planted(bug):
        code = main(["--seed", "1", "--resources", "6"])
    told = capsys.readouterr().out
    assert code == 10
    assert "python run.py sim --seed 1" in told
    assert "shrunk" in told
    assert "Heat is asked to create" in told


def test_a_liveness_failure_has_its_own_code(capsys: pytest.CaptureFixture[str]) -> None:
    """What never ends is told from what is wrong."""
    bug = next(bug for bug in BUGS if bug.name == "retries lost")
    with planted(bug):
        code = main(["--seeds", "1..3", "--resources", "8", "--jobs", "1", "--no-shrink"])
    assert code == 11, capsys.readouterr().out


def test_a_good_seed_is_told_and_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    """`--story` tells what happened, with the digest."""
    assert main(["--seed", "4", "--resources", "5", "--profile", "calm", "--story"]) == 0
    told = capsys.readouterr().out
    assert "digest" in told
    assert "all promises kept" in told


def test_worlds_have_several_controllers() -> None:
    """Some seeds run two controllers on one etcd."""
    assert {len(World(Case(seed, 3)).controllers) for seed in range(12)} == {1, 2}


def test_workloads_shrink_by_resource() -> None:
    """Leaving resources out leaves everything else as it is."""
    workload = World(Case(7, 10)).workload
    kept = frozenset(workload.refs[:2])
    assert {op.ref for op in workload.only(kept).ops if op.ref.id} <= kept
    assert Ref("", "") not in kept


def test_exit_codes_are_documented() -> None:
    """Every code that can come out has a meaning."""
    assert set(simulate._CODES.values()) < set(simulate.EXIT_CODES)


def test_a_long_run_is_recorded_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--record` writes what the run counted: commit, figures, faults by kind, promises, and each violation."""
    monkeypatch.setattr(results, "write", partial(results.write, file=tmp_path / "RESULTS.md"))
    bug = next(bug for bug in BUGS if bug.name == "no outputs")
    assert main(["--seeds", "1..3", "--resources", "5", "--jobs", "1", "--record"]) == 0
    good = (tmp_path / "RESULTS.md").read_text()
    assert "## swarm, 5 resources\n\n**0 violations** in 3 seeds" in good
    assert f"| commit | {results.commit()} |" in good
    assert "| resources declared | 15 |" in good
    assert all(f"| `{name}` | " in good for name in KINDS)
    assert all(f"| {each.__name__} | " in good for each in ALL)
    with planted(bug):
        code = main(["--seeds", "1..3", "--resources", "5", "--jobs", "1", "--record", "--no-shrink"])
    assert code == 10
    bad = (tmp_path / "RESULTS.md").read_text()
    assert "**0 violations**" not in bad
    assert "- seed 1: " in bad


def test_each_kind_of_run_has_its_part_of_the_record(tmp_path: Path) -> None:
    """A run replaces what one of its profile and size wrote before, and leaves the others as they are."""
    file = tmp_path / "RESULTS.md"
    for kind, seeds in (("swarm, 8 resources", 1), ("rough, 60 resources", 2), ("swarm, 8 resources", 3)):
        results.write(kind, Tally(seeds=seeds), 1.0, [], 1, file)
    heads = [line for line in file.read_text().splitlines() if line.startswith(("# ", "## ", "**"))]
    assert heads == [
        "# Results of the simulator",
        "## rough, 60 resources",
        "**0 violations** in 2 seeds.",
        "## swarm, 8 resources",
        "**0 violations** in 3 seeds.",
    ]
    assert file.read_text().count("| commit |") == 2


def test_clocks_differ_between_controllers() -> None:
    """Under `clock.drift` an actor's seconds are not the simulator's, and its timers follow its own clock."""
    host = SimHost(1, Injector(1, {}))
    host.clocks["c"] = (0.98, 1000.0)
    cell = host.root(Supervisor, "c")
    host.run(100.0)
    assert cell.now() == pytest.approx(1098.0)
    assert cell.after(9.8, "x").due == pytest.approx(110.0)


def test_a_port_loses_its_name_and_gets_it_back() -> None:
    """What `snmp.nameless` and `snmp.moved` rename is named as before when the faults end, swapped or not."""
    world = World(Case(1, 3))
    disasters = Disasters(world)
    world.faults.rates |= {"snmp.nameless": 1.0, "snmp.moved": 1.0, "snmp.swap": 1.0}
    for kind in ("nameless", "moved", "swap", "flap"):
        for number in range(12):
            disasters._strike(f"snmp.{kind}@#{number}")
    named = [sorted(one.name for one in tables.interfaces.values()) for tables in world.tables.values()]
    ports = [catalog.port_name(n) for n in range(catalog.PORTS_PER_DEVICE)]
    assert named != [ports] * catalog.DEVICES
    disasters.end_all()
    named = [sorted(one.name for one in tables.interfaces.values()) for tables in world.tables.values()]
    assert named == [ports] * catalog.DEVICES
