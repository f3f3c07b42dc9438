"""The graph of resources and what they need, as text, Mermaid or DOT; states coloured, the critical path marked.

Guarantees: an edge goes from a resource to one it needs, as the planner sees it (`core.ordering`); the same
knowledge gives the same output. Ids and names are quoted, so that no name can break the form.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from actors.core.knowledge import Knowledge
from actors.core.model import Json, Ref
from actors.core.plan_view import references
from actors.core.printable import printable, short_name
from actors.core.referring import OrderedView

#: stage → (fill, outline) for Mermaid and DOT; readable on white and on black.
COLOURS = {
    "settled": ("#2e7d32", "#1b5e20"),
    "failed": ("#c62828", "#7f0000"),
    "running": ("#1565c0", "#003c8f"),
    "waiting": ("#f9a825", "#c17900"),
    "planning": ("#f9a825", "#c17900"),
    "backing-off": ("#8e24aa", "#5c007a"),
    "paused": ("#6d4c41", "#40241a"),
}
OTHER = ("#546e7a", "#29434e")
#: A bigger graph helps nobody, and evaluating all mappings takes long.
NODES_MAX = 2000


@dataclass(frozen=True, slots=True)
class Node:
    """One resource."""

    ref: Ref
    name: str
    stage: str
    version: int

    @property
    def label(self) -> str:
        """Type, name and the beginning of the id."""
        return f"{self.ref.type} {short_name(self.name) or self.ref.id[:8]}"


@dataclass(frozen=True, slots=True)
class Graph:
    """`edges`: (resource, what it needs). `critical`: the resources of the critical path. `cut`: there is more."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[Ref, Ref], ...]
    critical: frozenset[Ref] = frozenset()
    cut: bool = False

    def to_json(self) -> dict[str, Json]:
        """Plain values."""
        return {
            "nodes": [
                {
                    "resource": str(n.ref),
                    "name": n.name,
                    "stage": n.stage,
                    "version": n.version,
                    "critical": n.ref in self.critical,
                }
                for n in self.nodes
            ],
            "edges": [[str(a), str(b)] for a, b in self.edges],
            "cut": self.cut,
        }


def needs(known: Knowledge, ref: Ref) -> tuple[Ref, ...]:
    """What a resource needs, whether that is declared or not."""
    declared = known.world.declaration(ref)
    return references(OrderedView(known.world, declared), declared) if declared is not None else ()


def build(known: Knowledge, focus: Ref | None = None, critical: Collection[Ref] = ()) -> Graph:
    """Everything, or what `focus` needs and what needs it, to any depth."""
    refs = known.refs()
    cut = len(refs) > NODES_MAX
    if focus is None:
        chosen = set(refs[:NODES_MAX])
        below = {ref: needs(known, ref) for ref in refs[:NODES_MAX]}
    else:
        below = {} if cut else {ref: needs(known, ref) for ref in refs}
        down = _reach(
            focus, lambda ref: below[ref] if ref in below else below.setdefault(ref, needs(known, ref))
        )
        above: dict[Ref, list[Ref]] = {}
        for ref, needed in below.items():
            for other in needed:
                above.setdefault(other, []).append(ref)
        chosen = down | _reach(focus, lambda ref: above.get(ref, ()))
    edges = tuple(
        (ref, other)
        for ref in sorted(chosen)
        for other in below.get(ref, ())
        if other in chosen or focus is None
    )
    shown = sorted(chosen | {other for _, other in edges})
    return Graph(tuple(_node(known, ref) for ref in shown), edges, frozenset(critical), cut)


def _reach(start: Ref, follow: Callable[[Ref], Iterable[Ref]]) -> set[Ref]:
    seen, todo = {start}, [start]
    while todo and len(seen) < NODES_MAX:
        for ref in follow(todo.pop()):
            if ref not in seen:
                seen.add(ref)
                todo.append(ref)
    return seen


def _node(known: Knowledge, ref: Ref) -> Node:
    status = known.status(ref)
    return Node(ref, known.name(ref), status.stage, status.version)


# ------------------------------------------------------------------------------------------------- forms


def as_text(graph: Graph, paint: Callable[[str, str], str] = lambda text, _stage: text) -> str:
    """An indented tree from what nothing needs down to what needs nothing; a resource is unfolded once.

    `paint(text, stage)` colours; `*` marks the critical path.
    """
    nodes = {node.ref: node for node in graph.nodes}
    below: dict[Ref, list[Ref]] = {}
    needed = set()
    for ref, other in graph.edges:
        below.setdefault(ref, []).append(other)
        needed.add(other)
    lines: list[str] = []
    unfolded: set[Ref] = set()
    tops = [ref for ref in nodes if ref not in needed]

    def walk(top: Ref) -> None:
        todo = [(top, 0)]
        while todo:
            ref, depth = todo.pop()
            again = ref in unfolded and bool(below.get(ref))
            lines.append("  " * depth + _line(nodes[ref], graph, paint) + (" (see above)" if again else ""))
            if ref not in unfolded:
                unfolded.add(ref)
                todo.extend((other, depth + 1) for other in reversed(below.get(ref, [])))

    for top in tops:
        walk(top)
    for ref in nodes:  # a ring has no top
        if ref not in unfolded:
            walk(ref)
    if graph.cut:
        lines.append(f"(cut at {NODES_MAX} resources)")
    return "\n".join(lines)


def _line(node: Node, graph: Graph, paint: Callable[[str, str], str]) -> str:
    mark = "* " if node.ref in graph.critical else ""
    short = f" {node.ref.id[:8]}" if node.name else ""
    return f"{mark}{printable(node.label + short)} v{node.version} {paint(node.stage, node.stage)}"


def as_mermaid(graph: Graph) -> str:
    """A Mermaid flowchart: arrows from what is needed to what needs it."""
    number = {node.ref: f"n{i}" for i, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for node in graph.nodes:
        label = _plain(node.label)
        lines.append(
            f'    {number[node.ref]}["{label}<br/>v{node.version} {node.stage}"]:::{_class(node.stage)}'
        )
    critical = []
    for index, (ref, other) in enumerate(graph.edges):
        lines.append(f"    {number[other]} --> {number[ref]}")
        if ref in graph.critical and other in graph.critical:
            critical.append(str(index))
    for stage in sorted({node.stage for node in graph.nodes}):
        fill, outline = COLOURS.get(stage, OTHER)
        lines.append(f"    classDef {_class(stage)} fill:{fill},stroke:{outline},color:#fff")
    if critical:
        lines.append(f"    linkStyle {','.join(critical)} stroke:#d50000,stroke-width:4px")
    return "\n".join(lines)


def as_dot(graph: Graph) -> str:
    """A Graphviz digraph: arrows from what is needed to what needs it."""
    lines = ["digraph gatewright {", "  rankdir=LR;", '  node [shape=box, style=filled, fontcolor="white"];']
    for node in graph.nodes:
        fill, outline = COLOURS.get(node.stage, OTHER)
        label = _quoted(f"{node.label}\\nv{node.version} {node.stage}")
        width = ", penwidth=4" if node.ref in graph.critical else ""
        lines.append(
            f'  {_quoted(str(node.ref))} [label={label}, fillcolor="{fill}", color="{outline}"{width}];'
        )
    for ref, other in graph.edges:
        bold = ' [color="#d50000", penwidth=3]' if {ref, other} <= graph.critical else ""
        lines.append(f"  {_quoted(str(other))} -> {_quoted(str(ref))}{bold};")
    return "\n".join([*lines, "}"])


def _class(stage: str) -> str:
    return "s_" + stage.replace("-", "_")


def _plain(text: str) -> str:
    """Text that Mermaid takes inside quotes."""
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")


def _quoted(text: str) -> str:
    """A DOT string; backslashes stand for themselves, but for the line break."""
    escaped = text.replace("\\n", "\n").replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
