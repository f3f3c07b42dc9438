"""Entry point: `python run.py` does the main job, `python run.py test` runs every check.

Guarantees: what is missing is prepared first (`config.bootstrap`), so the dependencies are there when the
first of them is imported. Needs nothing but Python, and is readable for old ones; holds no logic of its own.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python must get this far and say so
    sys.exit("Gatewright needs Python 3.11 or newer; this is Python {}.{}.".format(*sys.version_info[:2]))

if __name__ == "__main__":
    from config.bootstrap import prepare

    arguments = sys.argv[1:]
    testing = arguments[:1] == ["test"]
    prepare(dev=testing)
    if testing:
        from config.checks import run_checks

        sys.exit(run_checks(arguments[1:]))

    if arguments[:1] == ["sim"]:
        from sim.simulate import main as simulate

        sys.exit(simulate(arguments[1:]))
    if arguments[:1] == ["replay"]:
        from sim.replay.command import main as replay

        sys.exit(replay(arguments[1:]))

    from importlib import import_module

    from actors.cli import main

    # the embedded services are imported when something of them is wanted: most commands only ask or steer
    sys.exit(main(arguments, lambda *given: import_module("sim.standalone").Services(*given)))
