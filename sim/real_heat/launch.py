"""Starting a real Heat as a child process."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from sim.heat_server.launch import RunningHeat, await_ready
from sim.real_heat.environment import NoRealHeatError, Say, heat_python

__all__ = ["NoRealHeatError", "RunningHeat", "start"]

_ROOT = Path(__file__).resolve().parents[2]


def start(
    state_dir: Path,
    *,
    port: int = 0,
    timeout_s: float = 180.0,
    options: tuple[str, ...] = (),
    say: Say = lambda text: None,
) -> RunningHeat:
    """Start Heat 27 and wait until it answers (2 s; the very first time its packages are installed before).

    `options`: further command line options of `sim.real_heat.inside.serve`, for instance `--max-stacks 5`.
    Stacks are kept in `state_dir`. It is killed when the calling *thread* ends (PR_SET_PDEATHSIG).
    Raises NoRealHeatError if Heat cannot be installed, RuntimeError if it does not come up in time.
    """
    python = heat_python(say=say)
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [str(python), "-W", "ignore", "-m", "sim.real_heat.inside.serve", "--state", str(state_dir)]
    command += ["--port", str(port), "--parent-pid", str(os.getpid()), *options]
    quiet = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "PYTHON"))}
    with (state_dir / "output.log").open("ab") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=quiet,
            cwd=_ROOT,
            start_new_session=True,  # Ctrl-C is for whoever started it, who stops it in order
        )
    return await_ready(process, timeout_s, "the real Heat")
