"""What is shown and kept when a promise is broken: the story of the resource, the faults, the logs.

Guarantees: the story is etcd's own history of the keys of that resource, with revision, time and writer, mixed with
Heat's history of its stack and the faults around; the folder holds all of it, and the logs of every life.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from actors.core import keys
from actors.core.model import Ref
from actors.core.ownership import shard_key, vshard
from sim.real.lives import Controller, command, environment
from sim.real.world import RealWorld, Told

WIDTH, EXPLAIN_S = 400, 15.0
_NOTHING: Sequence[tuple[float, str]] = ()


def story(world: RealWorld, ref: Ref | None, faults: Sequence[tuple[float, str]] = _NOTHING) -> list[str]:
    """Lines in order of time. `ref` None: everything that is not of a resource."""
    began = world.story[0].at if world.story else time.time()
    lines: list[tuple[float, str]] = [(at, f"  ! {what}") for at, what in faults]
    for told in world.story:
        lines += [(told.at, text) for text in _writes(told, ref)]
    if ref is not None:
        for one in world.heat.moments.get(keys.stack_name(ref), ()):
            record = one.record
            lines.append(
                (one.at, f"Heat: {record.stack_status} {list(record.tags)} {record.id} {record.given}")
            )
    lines.sort(key=lambda line: line[0])
    return [f"{at - began:9.3f}  {text[:WIDTH]}" for at, text in lines]


def _writes(told: Told, ref: Ref | None) -> Iterator[str]:
    fence = shard_key(vshard(str(ref))) if ref is not None else ""
    for write in told.writes:
        if write.ref == ref or write.key == fence:
            value = "deleted" if write.deleted else json.dumps(write.value, default=str)
            yield f"rev {write.revision} by {told.writer}: {write.key} = {value}"


def keep(folder: Path, world: RealWorld, ref: Ref | None, faults: Sequence[tuple[float, str]]) -> list[str]:
    """Write everything into the folder; the story of the resource."""
    told = story(world, ref, faults)
    (folder / "story.txt").write_text("\n".join(told) + "\n", "utf-8")
    with (folder / "history.jsonl").open("w", encoding="utf-8") as file:
        for one in world.recorder.all:
            for change in one.changes:
                value = None if change.value is None else change.value.decode("utf-8", "replace")
                file.write(json.dumps([one.number, round(one.seen, 3), change.key, value]) + "\n")
    return told


def explain(folder: Path, controller: Controller, ref: Ref, endpoints: Sequence[str]) -> str:
    """What the product itself says of a resource that does not get on; "" if it says nothing in time."""
    types = folder / "types.yaml"
    settings = {"TYPES__FILE": types, "ETCD__ENDPOINTS": ",".join(f"http://{one}" for one in endpoints)}
    try:
        done = subprocess.run(  # noqa: S603 - our own entry point
            command("--state-dir", controller.state_dir, "explain", str(ref)),
            cwd=folder,
            env=environment(folder, settings),
            capture_output=True,
            text=True,
            timeout=EXPLAIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout + done.stderr
