"""`python -m tests.deploy.guest REPORT`: the trial of the systemd unit, as root inside the machine of `machine.py`.

Guarantees: each step is one line `{"step", "ok", "said"}` in REPORT, an exception is a step that failed, and the last
line is `{"end"}`. Judges by systemd, by /proc and by etcd, not by what the service says of itself.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.deploy.judging import ANSWER_S, PATIENCE_S, etcd, ready, until
from tests.deploy.peers import PORT, TOKEN

NAME = "gatewright"
ROOT = Path(__file__).parents[2]
SETTINGS = Path("/etc/gatewright/gatewright.toml")
#: What the unit promises of `stop`, in seconds.
STOP_S = 10.0
#: How often a command is given that did not reach etcd.
TRIES = 5
#: Members of /proc/PID/status, as they must be in every process of the service.
CONFINED = {"NoNewPrivs": "1", "Seccomp": "2", "CapEff": "0" * 16, "CapBnd": "0" * 16}


def systemctl(*arguments: str) -> str:
    """Its output. Raises CalledProcessError."""
    done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=True, timeout=300)
    return done.stdout.strip()


def show(member: str) -> str:
    """One property of the unit."""
    return systemctl("show", NAME, "--value", "-p", member)


def pids() -> set[int]:
    """Every process in the control group of the unit."""
    group = Path("/sys/fs/cgroup/system.slice") / f"{NAME}.service"
    return {int(line) for file in group.glob("**/cgroup.procs") for line in file.read_text().split()}


def run(*arguments: str) -> str:
    """One command of the product, as an operator gives it: once more where etcd did not answer in time (4)."""
    command = [sys.executable, str(ROOT / "run.py"), "--config", str(SETTINGS), *arguments]
    for _ in range(TRIES):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
        if done.returncode != 4:
            break
    assert done.returncode == 0, f"{arguments[0]} ended with {done.returncode}: {done.stderr.strip()}"
    return done.stdout


def drop_in(text: str) -> None:
    """Have the unit changed by that, or by nothing."""
    file = Path(f"/run/systemd/system/{NAME}.service.d/trial.conf")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    systemctl("daemon-reload")


# ----------------------------------------------------------------------------------------------- the steps


def starts() -> str:
    """`systemctl start` returns when READY=1 was said, and /readyz follows."""
    begun = time.monotonic()
    systemctl("start", NAME)
    took = time.monotonic() - begun
    assert show("ActiveState") == "active", show("SubState")
    return f"active after {took:.1f} s, ready {until('ready', ready):.1f} s later, {len(pids())} processes"


def is_confined() -> str:
    """The hardening holds for every process: user, capabilities, filter, limits, and what can be written."""
    uid = subprocess.run(["id", "-u", NAME], capture_output=True, text=True, check=True).stdout.strip()
    everyone = pids()
    assert everyone
    for pid in everyone:
        status = dict(re.findall(r"^(\w+):\t(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE))
        assert {name: status[name] for name in CONFINED} == CONFINED, status
        assert set(status["Uid"].split()) == {uid}, status["Uid"]
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"^Max open files +65536 +65536 ", limits, re.MULTILINE), limits
        assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE), limits
    main = show("MainPID")
    places = ("/opt/gatewright", "/etc/gatewright", "/usr", "/var/lib", "/sys/fs/cgroup", "/home")
    for place in (*places, f"/var/lib/{NAME}"):
        command = ["nsenter", "-t", main, "-m", "touch", f"{place}/trial"]
        written = subprocess.run(command, capture_output=True, check=False).returncode == 0
        assert written == (place not in places), f"{place}: {written}"
    assert Path(f"/var/lib/{NAME}").stat().st_mode & 0o777 == 0o700
    return f"{len(everyone)} processes of uid {uid}; not even root writes in their {', '.join(places)}"


def is_told() -> str:
    """The example is declared by `apply`, from another process on the machine."""
    documents = [str(file) for file in sorted((ROOT / "config" / "templates").glob("*.yaml"))]
    said = run("apply", *documents, str(ROOT / "config" / "examples" / "gateway.yaml"))
    return f"{len(_declared())} resources; {said.strip().splitlines()[-1]}"


def _declared() -> set[str]:
    keys = {key.removeprefix("/config") for key in etcd(SETTINGS).range("/config/")}
    return {key for key in keys if not key.startswith("/v2.0/heat_templates/")}


def builds() -> str:
    """Everything of the example has its outcome, without error, and is seen on its devices, as etcd says."""
    declared = _declared()
    assert declared, "nothing is declared"

    def built() -> bool:
        return declared <= {key.removeprefix("/state") for key in etcd(SETTINGS).range("/state/")}

    took = until("an outcome of everything", built)
    states = {key: json.loads(value) for key, value in etcd(SETTINGS).range("/state/").items()}
    errors = {key: value["error"] for key, value in states.items() if value.get("error")}
    assert not errors, errors
    until("monitoring", lambda: bool(etcd(SETTINGS).range("/monitoring/")))
    watched = len(etcd(SETTINGS).range("/monitoring/"))
    return f"{len(states)} outcomes without error ({took:.0f} s more), {watched} watched"


def makes_no_other_calls() -> str:
    """No system call outside the filter is even tried: with the filter off and the log on, only our proof is logged."""
    logged = "SystemCallLog=~@system-service"
    drop_in(f"[Service]\nSystemCallFilter=\n{logged}\n")
    systemctl("restart", NAME)
    until("ready", ready)
    systemctl("reload", NAME)
    time.sleep(5)
    until("ready", ready)
    systemctl("stop", NAME)
    call = "import ctypes; ctypes.CDLL(None).umount2(b'/nowhere', 0)"
    proof = ["systemd-run", "--wait", "-p", logged, "/usr/bin/python3", "-c", call]
    subprocess.run(proof, capture_output=True, check=False, timeout=PATIENCE_S)
    log = subprocess.run(["dmesg"], capture_output=True, text=True, check=True).stdout
    tried = set(re.findall(r'type=1326.*comm="([^"]+)".*syscall=(\d+)', log))
    drop_in("")
    assert {name for name, _ in tried} == {"python3"}, tried
    return "none was logged, but that of our proof"


def pings() -> str:
    """The watchdog is fed, again and again."""
    before = int(show("WatchdogTimestampMonotonic"))
    took = until("a ping", lambda: int(show("WatchdogTimestampMonotonic")) > before)
    return f"the next within {took:.1f} s; WatchdogUSec={show('WatchdogUSec')}"


def reloads() -> str:
    """SIGHUP keeps the main process, begins the actors anew, and the service is ready again."""
    main, before = show("MainPID"), pids()
    systemctl("reload", NAME)
    took = until("other actors", lambda: pids() & before == {int(main)} and len(pids()) > 1 and ready())
    assert (show("MainPID"), show("NRestarts")) == (main, "0")
    return f"{len(before) - 1} processes were replaced in {took:.1f} s, the main process stayed"


def _ends_and_begins(before: set[int]) -> float:
    """Seconds until all of them are gone and another main process is ready."""

    def replaced() -> bool:
        fresh = int(show("MainPID")) not in (0, *before)
        return fresh and not pids() & before and show("ActiveState") == "active"

    took = until("another main process", replaced)
    until("ready", ready)
    alive = {pid for pid in before if Path(f"/proc/{pid}").exists()}
    assert not alive, f"orphans: {alive}"
    others = _of_the_user() - pids()
    assert not others, f"outside of the control group: {others}"
    return took


def _of_the_user() -> set[int]:
    done = subprocess.run(["ps", "-o", "pid=", "-u", NAME], capture_output=True, text=True, check=False)
    return {int(pid) for pid in done.stdout.split()}


def survives_a_kill() -> str:
    """SIGKILL of the main process: everything of it ends, and the service is begun again."""
    before = pids()
    os.kill(int(show("MainPID")), signal.SIGKILL)
    gone = until("the end of the others", lambda: not pids() & before)
    took = _ends_and_begins(before)
    return f"the others were gone after {gone:.2f} s, active again after {gone + took:.1f} s"


def survives_a_hang() -> str:
    """SIGSTOP of the main process: the watchdog ends it with all others, and the service is begun again."""
    systemctl("start", NAME)
    until("ready", ready)
    before, restarts = pids(), int(show("NRestarts"))
    begun = time.monotonic()
    os.kill(int(show("MainPID")), signal.SIGSTOP)
    until("the watchdog", lambda: show("ActiveState") != "active" or int(show("NRestarts")) > restarts)
    noticed = time.monotonic() - begun
    _ends_and_begins(before)
    assert "watchdog" in _journal().lower()
    return f"noticed after {noticed:.0f} s, active again after {time.monotonic() - begun:.0f} s"


def _journal() -> str:
    command = ["journalctl", "-u", NAME, "-o", "cat", "--no-pager", "-n", "400"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def stops() -> str:
    """`systemctl stop` ends everything in order, in time, with result success."""
    begun = time.monotonic()
    systemctl("stop", NAME)
    took = time.monotonic() - begun
    assert took < STOP_S, f"{took:.1f} s"
    assert not pids() | _of_the_user(), "processes are left"
    assert show("Result") == "success", show("Result")
    assert show("ExecMainStatus") == "0", show("ExecMainStatus")
    left = etcd(SETTINGS).range("/gatewright/controllers/")
    assert not left, f"ownership was not given back: {sorted(left)}"
    return f"in {took:.2f} s, nothing left, ownership given back"


def stops_without_etcd() -> str:
    """The same while etcd stands still."""
    starts()
    etcds = subprocess.run(["pidof", "etcd"], capture_output=True, text=True, check=True).stdout.split()
    for pid in etcds:
        os.kill(int(pid), signal.SIGSTOP)
    try:
        time.sleep(3)
        begun = time.monotonic()
        systemctl("stop", NAME)
        took = time.monotonic() - begun
    finally:
        for pid in etcds:
            os.kill(int(pid), signal.SIGCONT)
    assert took < STOP_S, f"{took:.1f} s"
    assert not pids()
    return f"in {took:.2f} s, result {show('Result')}"


def gives_up_on_wrong_settings() -> str:
    """Settings that cannot be used end it with exit code 2, and it is not tried again."""
    before = SETTINGS.read_text()
    SETTINGS.write_text(before + "\n[limits]\nno_such_limit = 1\n")
    try:
        subprocess.run(["systemctl", "start", NAME], capture_output=True, check=False, timeout=300)
        time.sleep(8)
        assert show("ActiveState") == "failed", show("ActiveState")
        assert show("ExecMainStatus") == "2", show("ExecMainStatus")
        said = _journal().splitlines()
        assert any("no_such_limit" in line for line in said), said
    finally:
        SETTINGS.write_text(before)
        systemctl("reset-failed", NAME)
    return "exit code 2, failed, not restarted; the journal names the key"


def is_rated() -> str:
    """What `systemd-analyze security` makes of the unit: less is better, 10 is no protection."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", NAME], capture_output=True, text=True, check=False
    )
    (overall,) = re.findall(r"Overall exposure level for \S+: ([\d.]+ \w+)", done.stdout)
    assert float(overall.split()[0]) < 3.0, done.stdout
    lacking = [" ".join(line.split()[1:3]) for line in done.stdout.splitlines() if line.startswith("✗")]
    return f"{overall}; not used: {', '.join(lacking)}"


def hides_its_token() -> str:
    """The token of EnvironmentFile is asked for, and stands in no line of the journal."""
    url = f"http://127.0.0.1:{PORT}/metrics"
    try:
        urllib.request.urlopen(url, timeout=ANSWER_S)
        raise AssertionError("no token was asked for")
    except urllib.error.HTTPError as error:
        assert error.code == 401, error.code
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
        assert b"gatewright_ready 1" in answer.read()
    assert TOKEN not in _journal()
    return "401 without, metrics with it"


STEPS: tuple[Callable[[], str], ...] = (
    starts,
    is_confined,
    is_told,
    pings,
    is_rated,
    builds,
    hides_its_token,
    reloads,
    survives_a_kill,
    stops,
    survives_a_hang,
    makes_no_other_calls,
    stops_without_etcd,
    gives_up_on_wrong_settings,
)


def main(report: Path) -> None:
    """All steps in order; whether one fails or not, the next is tried."""
    with report.open("w", buffering=1, encoding="utf-8") as file:
        for step in STEPS:
            try:
                row = {"step": step.__name__, "ok": True, "said": step()}
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
                row = {"step": step.__name__, "ok": False, "said": said}
            file.write(json.dumps(row) + "\n")
        file.write(json.dumps({"end": True, "journal": _journal().splitlines()[-60:]}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
