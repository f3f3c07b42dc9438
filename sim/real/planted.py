"""`python -m sim.real.planted BUG ARGUMENTS`: `run.py ARGUMENTS` with a planted bug, to see that it is caught.

Guarantees: the bug (`sim.mutants.BUGS`) is in every process of that controller, since they are forked from this one.
"""

from __future__ import annotations

import sys

from actors.cli import main
from sim.mutants import BUGS, planted
from sim.standalone import Services

if __name__ == "__main__":
    with planted(next(bug for bug in BUGS if bug.name == sys.argv[1])):
        sys.exit(main(sys.argv[2:], Services))
