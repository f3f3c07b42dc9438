"""What `python run.py sim` may be told: the arguments, and which of them make sense together.

Guarantees: what would play nothing, or something else than was asked for, is one line and exit code 2 (argparse's
own) before anything is played.
"""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Sequence

from sim.catalog import TYPES
from sim.faults import KINDS, PROFILES

SEEDS = "1..50"
#: With a time, and without an end of the seeds.
ENDLESS = f"1..{10**9}"


def positive(text: str) -> int:
    """A whole number of at least one."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return int(text)


def duration(text: str) -> float:
    """A number above zero, and an end."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text!r}")
    return value


def seeds(text: str) -> tuple[int, int]:
    """`A..B` as first and last; `A` is one seed."""
    found = re.fullmatch(r"(\d+)(?:\.\.(\d+)?)?", text, re.ASCII)
    if found is None:
        raise argparse.ArgumentTypeError(f"must be A..B, two whole numbers, not {text!r}")
    first, last = int(found[1]), int(found[2] or found[1])
    if last < first:
        raise argparse.ArgumentTypeError(f"the last seed must not be before the first: {text!r}")
    return first, last


def refs(text: str) -> frozenset[str]:
    """`type:id,…`, each of a type of the simulated world."""
    names = [kind.name for kind in TYPES]
    for one in _listed(text):
        kind, colon, rid = one.partition(":")
        if kind not in names or not colon or not rid:
            raise argparse.ArgumentTypeError(f"{one!r} is no type:id; types are {', '.join(names)}")
    return _listed(text)


def faults(text: str) -> frozenset[str]:
    """`kind@place#number,…` as a failure prints them, each of a kind that there is."""
    for one in _listed(text):
        kind, at, _ = one.partition("@")
        if kind not in KINDS or not at:
            said = f"{one!r} is no kind@place#number; kinds are {', '.join(KINDS)}"
            raise argparse.ArgumentTypeError(said)
    return _listed(text)


def bug(text: str) -> str:
    """The name of a planted bug."""
    from sim.mutants import BUGS  # many modules of the product, wanted here only

    names = [one.name for one in BUGS]
    if text not in names:
        raise argparse.ArgumentTypeError(f"no such bug {text!r}; there are {', '.join(names)}")
    return text


def _listed(text: str) -> frozenset[str]:
    return frozenset(one for one in text.split(",") if one)


def parse(arguments: Sequence[str], about: str) -> argparse.Namespace:
    """The arguments of the simulator. Ends the process with code 2 if they are wrong."""
    parser = _parser(about)
    parsed = parser.parse_args(arguments)
    if parsed.seed is not None and parsed.seeds is not None:
        parser.error("--seed is one seed and --seeds are many: give one of them")
    repeating = {
        "--story": parsed.story,
        "--only-refs": parsed.only_refs is not None,
        "--only-faults": parsed.only_faults is not None,
    }
    for name in (name for name, given in repeating.items() if given):
        if parsed.seed is None:
            parser.error(f"{name} tells of one run: give its --seed")
    if parsed.only is not None and not parsed.mutants:
        parser.error("--only names one of the --mutants: give that, too")
    parsed.seeds = parsed.seeds or seeds(SEEDS if parsed.minutes is None else ENDLESS)
    return parsed


def _parser(about: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run.py sim", description=about)
    parser.add_argument("--seed", type=int, help="one seed")
    parser.add_argument("--seeds", type=seeds, metavar="A..B", help=f"many seeds (default: {SEEDS})")
    parser.add_argument("--resources", type=positive, default=20, metavar="N", help="resources of each run")
    parser.add_argument("--profile", choices=PROFILES, default="swarm")
    parser.add_argument(
        "--minutes", type=duration, help="end after so long; without --seeds: go on for so long"
    )
    parser.add_argument("--jobs", type=positive, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--keep-going", action="store_true", help="do not end at the first failure")
    parser.add_argument(
        "--record", action="store_true", help="write sim/RESULTS.md; does not end at a failure"
    )
    parser.add_argument("--no-shrink", action="store_true", help="show a failure as it is")
    parser.add_argument("--story", action="store_true", help="tell what happens in the run of --seed")
    parser.add_argument("--only-refs", type=refs, metavar="LIST", help="leave out all other resources")
    parser.add_argument("--only-faults", type=faults, metavar="LIST", help="leave out all other faults")
    parser.add_argument("--real", action="store_true", help="real processes; see `sim --real --help`")
    parser.add_argument("--mutants", action="store_true", help="plant bugs and see that each is caught")
    parser.add_argument("--only", type=bug, metavar="BUG", help="one mutant")
    parser.add_argument("--seeds-max", type=positive, default=200, help="seeds that a mutant may survive")
    return parser
