"""What it costs to plan a deletion while so many are marked, half of them networks' ports. Prints, asserts nothing.

python -m tests.bench.bench_deletes [resources …]
"""

from __future__ import annotations

import sys
import time

from actors.core import keys
from actors.core.model import Action, Ref
from actors.core.ordering import try_plan
from tests.core.mirror import HEAT, Mirror

#: Ports of each network.
PORTS = 9


def marked(mirror: Mirror, resources: int) -> list[Ref]:
    """Networks with their ports, all marked for deletion."""
    refs = []
    for number in range(resources // (PORTS + 1)):
        net = f"n{number}"
        bodies = {Ref("net", net): {"id": net}}
        bodies |= {Ref("port", f"{net}p{n}"): {"id": f"{net}p{n}", "net_id": net} for n in range(PORTS)}
        for ref, body in bodies.items():
            key = keys.CONFIG + mirror.world.types.path(ref)
            mirror.put(key, keys.encode_declared(body, 2, marked_for_deletion=True))
            refs.append(ref)
    return refs


def main() -> None:
    """One line for each size, with the ratio to the first."""
    first = 0.0
    for size in [int(each) for each in sys.argv[1:]] or [250, 1_000, 4_000, 16_000]:
        mirror = Mirror()
        refs = marked(mirror, size)
        began = time.process_time()
        for ref in refs:
            declared = mirror.world.declaration(ref)
            assert declared is not None
            try_plan(mirror.world, declared, None, Action.LOGICAL_DELETE, built=frozenset({HEAT}))
        each_s = (time.process_time() - began) / len(refs)
        first = first or each_s
        print(f"{size:6} marked: {1e6 * each_s:5.0f} µs for each plan, {each_s / first:.2f} times the first")


if __name__ == "__main__":
    main()
