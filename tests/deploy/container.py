"""`python -m tests.deploy.container`: the container recipe, built by buildah and put to use under bubblewrap.

As root, with buildah and bubblewrap installed; no daemon, and no engine, which would want control groups of its own.
The container is what the image says (user, environment, entrypoint, command, health check) and what the head of the
recipe asks for: root file system read-only, /tmp in memory, no capability, no new privileges, a process namespace of
its own whose first process is tini. It shares the network, on which etcd, Heat and agents of `peers.py` listen; with
`--traces` the image is built for them, and a collector listens, too (here needs the packages of
`requirements-otel.lock`). Guarantees: images and containers are kept in `--work` alone. Does not show: port forwarding,
and what an engine of somebody else makes of the recipe.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from config.examples import GATEWAY_FILE, TEMPLATES_DIR
from tests.deploy.judging import PATIENCE_S, etcd, ready, until
from tests.deploy.peers import TOKEN

ROOT = Path(__file__).parents[2]
TOOLS = ("buildah", "bwrap")
IMAGE = "localhost/gatewright"
STOP_S = 10.0
#: What bubblewrap leaves to setpriv, which gives it up, before anything of ours runs.
TO_GIVE_UP = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")


def lacking() -> str:
    """What this machine lacks for the trial, or ""."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    return "" if os.geteuid() == 0 else "only root can take on the user of an image"


@dataclass(frozen=True, slots=True)
class Store:
    """buildah with a storage of its own. `traces`: of the image that is built for them."""

    work: Path
    traces: bool = False

    @property
    def image(self) -> str:
        """Its name."""
        return f"{IMAGE}-traces" if self.traces else IMAGE

    def buildah(self, *arguments: str, quiet: bool = True) -> str:
        """Its output. Raises CalledProcessError."""
        store = ("--storage-driver", "vfs", "--root", f"{self.work}/store", "--runroot", f"{self.work}/run")
        out = subprocess.PIPE if quiet else None
        done = subprocess.run(["buildah", *store, *arguments], stdout=out, text=True, check=True, cwd=ROOT)
        return (done.stdout or "").strip()

    def build(self, base: str) -> None:
        """As the head of the recipe says, on another base if there is one."""
        given = [f"BASE={base}"] * bool(base) + ["TRACES=1"] * self.traces
        other = (part for each in given for part in ("--build-arg", each))
        recipe = ("--format", "docker", "-f", "config/deploy/Containerfile", "-t", self.image)
        self.buildah("build", "--isolation", "chroot", *other, *recipe, ".", quiet=False)


@dataclass(slots=True)
class Container:
    """What runs of the image: `config` is what it says itself, `given` what the engine is told by `-e`."""

    root: Path
    config: dict[str, Any]
    settings: Path
    state: Path
    given: Mapping[str, str] = field(default_factory=lambda: {"GATEWRIGHT_HTTP__TOKEN": TOKEN})

    def command(self, *inside: str) -> list[str]:
        """To run that in it, else what the image says."""
        uid = self.config["User"]
        gid = re.findall(rf"^[^:]*:[^:]*:{uid}:(\d+):", (self.root / "etc/passwd").read_text(), re.MULTILINE)[
            0
        ]
        environment = dict(text.split("=", 1) for text in self.config["Env"])
        environment |= self.given
        inside = inside or (*self.config["Entrypoint"], *self.config["Cmd"])
        # fmt: off
        return [
            "bwrap", "--ro-bind", str(self.root), "/", "--proc", "/proc", "--dev", "/dev",
            "--perms", "1777", "--tmpfs", "/tmp", "--bind", str(self.state), *self.config["Volumes"],
            "--ro-bind", str(self.settings), "/etc/gatewright/gatewright.toml",
            "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--as-pid-1", "--die-with-parent",
            "--chdir", self.config["WorkingDir"], "--clearenv",
            *(part for name, value in environment.items() for part in ("--setenv", name, value)),
            *(part for capability in TO_GIVE_UP for part in ("--cap-add", capability)), "--",
            "setpriv", "--reuid", uid, "--regid", gid, "--clear-groups", "--no-new-privs", "--inh-caps=-all",
            "--bounding-set=-all", "--", *inside,
        ]
        # fmt: on

    def run(self, *inside: str) -> subprocess.CompletedProcess[str]:
        """Run it there to its end."""
        return subprocess.run(
            self.command(*inside), capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )

    def healthy(self) -> bool:
        """What the health check of the image says."""
        kind, *check = self.config["Healthcheck"]["Test"]
        assert kind == "CMD", kind
        return self.run(*check).returncode == 0


@contextlib.contextmanager
def container(store: Store) -> Iterator[Container]:
    """The image, mounted, with etcd, Heat and agents around it."""
    folder = store.work / "trial"
    shutil.rmtree(folder, ignore_errors=True)
    settings, state = folder / "gatewright.toml", folder / "state"
    name = store.buildah("from", "--pull-never", store.image)
    around = [sys.executable, "-m", "tests.deploy.peers", str(folder / "peers"), str(settings)]
    peers = subprocess.Popen(around, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        root = Path(store.buildah("mount", name))
        place = root / "etc/gatewright/gatewright.toml"  # something to mount upon, as engines make it
        place.parent.mkdir(exist_ok=True)
        place.touch()
        config = json.loads(store.buildah("inspect", "--type", "image", store.image))["Docker"]["config"]
        assert peers.stdout is not None
        assert any(line == "READY\n" for line in peers.stdout), "etcd, Heat and agents do not start"
        settings.chmod(0o644)
        state.mkdir()
        os.chown(state, int(config["User"]), -1)
        yield Container(root, config, settings, state)
    finally:
        peers.send_signal(signal.SIGTERM)
        peers.communicate()
        store.buildah("rm", name)


def trial(here: Container, say: Callable[[str], None], *, traces: bool) -> None:
    """Everything in order; `traces`: of an image built for them. AssertionError tells what is not as it must be."""
    is_closed(here)
    say(
        "root read-only, /tmp and the volume writable, no capability, no new privileges, one process id space"
    )
    refused = replace(here, given={}).run()
    assert refused.returncode == 2, refused
    assert "token" in refused.stderr, refused.stderr
    say("without a token it ends with 2 and says why")
    if traces:
        traced(here, say)
        return
    say(lacks_traces(here))
    with running(here, say) as outer:
        say(builds(here))
        say(reaps(outer))


def traced(here: Container, say: Callable[[str], None]) -> None:
    """The packages are there for the image's user, and a collector is sent a trace of everything that is built."""
    from tests.contract.collector import collecting, named

    imported = "from opentelemetry.exporter.otlp.proto.http import version as v; print(v.__version__)"
    done = here.run(".venv/bin/python", "-c", imported)
    assert done.returncode == 0, done
    say(f"opentelemetry {done.stdout.strip()} can be imported by the user of the image")
    with collecting() as collector:
        told = replace(here, given={**here.given, "GATEWRIGHT_OTEL__ENDPOINT": collector.endpoint})
        with running(told, say) as outer:
            say(builds(told))
            built = {key.rpartition("/")[2] for key in etcd(told.settings).range("/state/")}
            seconds = until("traces", lambda: len(collector.roots()) >= len(built))
            roots = collector.roots().values()
            assert {root.attributes["gatewright.id"] for root in roots} == built, sorted(map(named, roots))
            assert {root.resource["service.name"] for root in roots} == {"gatewright"}
            say(f"{len(roots)} traces of {len(collector.spans)} spans ({seconds:.1f} s more)")
            say(reaps(outer))


def lacks_traces(here: Container) -> str:
    """Traces are wanted of an image without their packages: it ends, and one line says what to do."""
    wanted = {**here.given, "GATEWRIGHT_OTEL__ENDPOINT": "http://127.0.0.1:4318"}
    done = replace(here, given=wanted).run()
    assert done.returncode == 2, done
    (line,) = done.stderr.splitlines()
    assert "opentelemetry-sdk" in line, line
    assert "--build-arg TRACES=1" in line, line
    return "without the packages for traces it ends with 2 where they are wanted, and says in one line how to have them"


@contextlib.contextmanager
def running(here: Container, say: Callable[[str], None]) -> Iterator[subprocess.Popen[bytes]]:
    """The container, ready; in the end it is told to stop as engines do, and must."""
    log = (here.state.parent / "log").open("w")
    begun = time.monotonic()
    outer = subprocess.Popen(here.command(), stdout=log, stderr=subprocess.STDOUT)
    try:
        until("ready", lambda: ready() or outer.poll() is not None)
        assert outer.poll() is None, Path(log.name).read_text()[-2000:]
        say(f"ready after {time.monotonic() - begun:.1f} s")
        assert here.healthy(), "the health check of the image fails"
        say("the health check of the image holds")
        yield outer
        begun = time.monotonic()
        tini, everyone = _tini(outer), psutil.Process(outer.pid).children(recursive=True)
        tini.send_signal(signal.SIGTERM)
        code = outer.wait(60)
        took = time.monotonic() - begun
        assert code == 0, code
        assert took < STOP_S, took
        assert not any(process.is_running() for process in everyone)
        assert not here.healthy(), "the health check holds although nothing runs"
        say(f"SIGTERM ends it with 0 in {took:.2f} s, nothing is left, and the health check fails then")
    finally:
        outer.kill()
        outer.wait()
        log.close()


def is_closed(here: Container) -> None:
    """What the processes of the container may not do."""
    done = here.run("sh", "-c", "id -u; echo $$; grep -E 'Cap(Eff|Bnd|Prm)|NoNewPrivs' /proc/self/status")
    assert done.returncode == 0, done
    uid, pid, *status = done.stdout.split()
    assert (uid, pid) == (here.config["User"], "1"), done
    assert set(status[1::2]) == {"0" * 16, "1"}, status
    for place, writable in (
        ("/opt/gatewright", 1),
        ("/etc", 1),
        ("/", 1),
        ("/tmp", 0),
        ("/var/lib/gatewright", 0),
    ):
        code = here.run("touch", f"{place}/trial").returncode
        assert code == writable, f"touch {place}/trial ended with {code}"


def builds(here: Container) -> str:
    """The example is declared from outside, and built and seen by the container, as etcd says."""
    store = etcd(here.settings)
    files = [*map(str, sorted(TEMPLATES_DIR.glob("*.yaml"))), str(GATEWAY_FILE)]
    begun = time.monotonic()
    apply = [sys.executable, "run.py", "--config", str(here.settings), "apply", *files]
    subprocess.run(apply, check=True, cwd=ROOT, capture_output=True)
    keys = {key.removeprefix("/config") for key in store.range("/config/")}
    declared = {key for key in keys if not key.startswith("/v2.0/heat_templates/")}
    assert declared
    until("outcomes", lambda: declared <= {key.removeprefix("/state") for key in store.range("/state/")})
    took = time.monotonic() - begun
    states = [json.loads(value) for value in store.range("/state/").values()]
    assert not [state for state in states if state.get("error")], states
    until("monitoring", lambda: bool(store.range("/monitoring/")))
    return (
        f"{len(states)} outcomes without error after {took:.1f} s, {len(store.range('/monitoring/'))} watched"
    )


def reaps(outer: subprocess.Popen[bytes]) -> str:
    """A part that is killed is replaced, and leaves no zombie."""
    before = {process.pid for process in psutil.Process(outer.pid).children(recursive=True)}
    victim = next(p for p in psutil.Process(outer.pid).children(recursive=True) if p.name() == "gw:Telemetry")
    victim.kill()
    took = until("its end", lambda: not psutil.pid_exists(victim.pid))
    until("ready again", ready)
    after = psutil.Process(outer.pid).children(recursive=True)
    assert {process.pid for process in after} - before, "nothing was begun in its place"
    assert not [process for process in after if process.status() == psutil.STATUS_ZOMBIE]
    return f"a process that was killed was replaced, and reaped within {took:.1f} s"


def _tini(outer: subprocess.Popen[bytes]) -> psutil.Process:
    return next(p for p in psutil.Process(outer.pid).children(recursive=True) if p.name() == "tini")


def main(arguments: Sequence[str]) -> int:
    """0: everything is as it must be."""
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.container", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(sys.prefix) / "container", help="folder, kept")
    parser.add_argument("--base", default="", metavar="IMAGE", help="another base than the recipe's")
    parser.add_argument("--built", action="store_true", help="do not build: use the image of the last time")
    parser.add_argument("--traces", action="store_true", help="the image that is built with TRACES=1")
    parsed = parser.parse_args(arguments)
    if lacking():
        sys.exit(lacking())
    store = Store(parsed.work.absolute(), parsed.traces)
    if not parsed.built:
        store.build(parsed.base)
    with container(store) as here:
        trial(here, lambda text: print("ok    ", text, flush=True), traces=parsed.traces)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
