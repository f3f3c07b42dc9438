"""Cycles among resources that wait for each other (design 4), and the order where there are none.

Guarantees: time and memory linear in the edges reached, no recursion, and the same answer for the same
edges. Edges come from `plan.references` or from who waits for whom; what they mean is the caller's matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from actors.core.model import Ref

Edges = Mapping[Ref, Sequence[Ref]]


def find_cycle(edges: Edges | Callable[[Ref], Sequence[Ref]], start: Ref) -> tuple[Ref, ...] | None:
    """A cycle that `start` runs into: `(a, b, c, a)`, or None. `edges`: a resource → those it waits for."""
    follow = edges if callable(edges) else (lambda ref: edges.get(ref, ()))
    path: list[Ref] = [start]
    on_path: set[Ref] = {start}
    open_edges: list[Iterator[Ref]] = [iter(follow(start))]
    done: set[Ref] = set()
    while open_edges:
        following = next(open_edges[-1], None)
        if following is None:
            open_edges.pop()
            left = path.pop()
            on_path.discard(left)
            done.add(left)
        elif following in on_path:
            return (*path[path.index(following) :], following)
        elif following not in done:
            path.append(following)
            on_path.add(following)
            open_edges.append(iter(follow(following)))
    return None


def producers_first(refs: Sequence[Ref], needs: Callable[[Ref], Sequence[Ref]]) -> list[Ref]:
    """The same resources, each after those of them that it needs; of a cycle somebody is first."""
    among = set(refs)
    found: dict[Ref, None] = {}
    for start in refs:
        path: list[tuple[Ref, Iterator[Ref]]] = [] if start in found else [(start, iter(needs(start)))]
        on_path = {start}
        while path:
            here, further = path[-1]
            following = next(further, None)
            if following is None:
                path.pop()
                found[here] = None
            elif following in among and following not in on_path and following not in found:
                on_path.add(following)
                path.append((following, iter(needs(following))))
    return list(found)


def show_cycle(cycle: Sequence[Ref]) -> str:
    """`a → b → a`, for people."""
    return " → ".join(map(str, cycle))
