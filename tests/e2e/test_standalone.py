"""`python run.py` with nothing configured: first start, second start, its end by whatever means, what it shows."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sim.etcd_http import OWNERSHIP
from tests.e2e.harness import GATEWAY, LOGICAL_PORT, Product, eventually, run_once
from tests.e2e.terminal import Terminal

FAST = {"STANDALONE__RESOURCE_SECONDS": 0.1}
#: What a second start must not touch.
SETTLED = ("/state/", "/monitoring/", "/esi-worker/", "/jobs/", "/config/", "/gatewright/targets/")
MONITORING = {
    "ese_devices/9f05b260-26ca-46f7-98c3-ad88e411a989": {"switch": "UP"},
    "ese_physical_ports/976156ef-05b4-47f4-9497-a36531563a08": {"port": "UP"},
    "ese_physical_ports/5b2dee2e-7420-4cd4-b270-5081eb9eb371": {"port": "UP"},
    "edge_routers/8aba84f9-4675-4d22-a231-e9eabde80818": {"router": "UP"},
    "edge_routers/769b5e3b-3320-41ec-9be0-4567b50f1aab": {"router": "UP"},
    "er_physical_interfaces/a752c6c0-2075-4e7f-9040-5fcefcad0252": {"interface": "UP"},
    "er_physical_interfaces/96c3629b-9bfb-4d54-adc1-750d024c2858": {"interface": "UP"},
    LOGICAL_PORT: {"logical_port": "UP"},
    "ese_logical_ports/9c601c38-a854-459d-aec2-433873b3a4e6": {"logical_port": "UP"},
    GATEWAY: {"primary_41": "MASTER", "secondary_41": "BACKUP", "primary_42": "MASTER", "secondary_42": "BACKUP"},
}  # fmt: skip


@dataclass
class First:
    """The first start: where, what it said, what etcd held at its end and at which revision, how Ctrl-C went."""

    folder: Path
    out: str
    values: dict[str, Any]
    revision: int
    code: int
    stop_s: float
    places: dict[str, list[str]]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[First]:
    """From nothing to everything watched, then Ctrl-C as a terminal sends it: to the whole process group."""
    folder = tmp_path_factory.mktemp("standalone")
    with Product(folder, **FAST) as product:
        product.built()
        values = product.etcd.values()
        revision = product.etcd.revision()
        product.note()
        places = product.listening()
        began = time.monotonic()
        code = product.end(signal.SIGINT, group=True)
        stop_s = time.monotonic() - began
        product.assert_nothing_left()
    yield First(folder, product.out, values, revision, code, stop_s, places)


def test_from_nothing_to_everything_up(first: First) -> None:
    """A clean first start builds all 22 resources without error and sees every watched one as it should be."""
    states = {key: value for key, value in first.values.items() if key.startswith("/state/")}
    assert len(states) == 22
    assert {state["error"] for state in states.values()} == {""}
    watched = {
        k[len("/monitoring/v2.0/") :]: v for k, v in first.values.items() if k.startswith("/monitoring/")
    }
    assert watched == {path: {**statuses, "version": 1} for path, statuses in MONITORING.items()}
    assert "22 settled" in first.out


def test_a_pipe_gets_plain_lines(first: First) -> None:
    """Without a terminal: lines that begin with the time, no control characters, one per step, and the bill."""
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", first.out)
    timed = [line for line in first.out.splitlines() if re.match(r" *\d+\.\d s  ", line)]
    assert any("ese_logical_port b04853c4 v1 waiting: waits for port:" in line or
               "ese_logical_port b04853c4 v1 waiting: waits for ese_" in line
               for line in timed)  # fmt: skip
    assert "where the time went, in seconds" in first.out
    rest = [line for line in first.out.splitlines() if line not in timed]
    assert all(line[0] in "w┏┃┡│└" for line in rest), rest


def test_ctrl_c_ends_everything_at_once(first: First) -> None:
    """SIGINT to the whole group ends in less than 5 s with code 0 (nothing left: asserted by the fixture)."""
    assert (first.code, first.stop_s < 5.0) == (0, True)
    assert first.out.rstrip().endswith("stopped; nothing is left running")


def test_only_loopback_listens(first: First) -> None:
    """No process listens on any address but loopback, TCP or UDP; the SNMP poller asks from any, as it must."""
    assert set(first.places) >= {"etcd", "heat", "agents", "admin", "shard", "bridge"}
    places = dict(first.places)
    reach = places.pop("snmp pool")
    assert len([ip for ip in reach if not ip.startswith("127.")]) <= 1
    ips = {ip for each in places.values() for ip in each}
    assert {ip for ip in ips if not ip.startswith("127.")} == set()


def test_a_terminal_gets_a_live_table(tmp_path: Path) -> None:
    """On a terminal a table is redrawn in place, the log goes to a file, and the key Ctrl-C ends everything."""
    with Terminal(tmp_path, **FAST) as terminal:
        terminal.shows("watching; Ctrl-C ends it", 60)
        assert len(re.findall(r"\x1b\[\d*A|\x1b\[2K", terminal.shown)) > 10  # lines are rewritten
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.shown)
        assert re.search(r"resource[ │┃]+v[ │┃]+stage[ │┃]+what", plain)
        assert '"logger"' not in terminal.shown
        began = time.monotonic()
        terminal.press(b"\x03")
        assert terminal.process.wait(10) == 0
        assert time.monotonic() - began < 5.0
        terminal.shows("stopped; nothing is left running", 5)
    log = (tmp_path / "state" / "gatewright.log").read_text()
    assert '"logger": "gatewright' in log
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "settings", "named"),
    [
        ((), {"LIMITS__RETRY_BASE_S": "-1"}, "GATEWRIGHT_LIMITS__RETRY_BASE_S"),
        ((), {"LIMITS__NO_SUCH": "1"}, "no such setting"),
        (("--config", "there-is-none.toml"), {}, "there-is-none.toml"),
        (("--declare", "there-is-none.yaml"), {}, "there-is-none.yaml"),
    ],
    ids=["value", "name", "file", "declarations"],
)
def test_wrong_settings_are_one_line(
    tmp_path: Path, arguments: tuple[str, ...], settings: dict[str, Any], named: str
) -> None:
    """A setting or file that cannot be used is one line that names it, exit code 2, and nothing was started."""
    done = run_once(tmp_path, *arguments, **settings)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("gatewright: ")
    assert named in done.stderr
    assert not (tmp_path / "state").exists()


def test_no_etcd_is_one_line(tmp_path: Path) -> None:
    """Where no etcd can be had, that is said in one line, without a traceback, and nothing is left running."""
    done = run_once(tmp_path, ETCD_BIN="/there/is/none")
    assert done.returncode == 1
    assert done.stderr == ""
    assert "error: ETCD_BIN=/there/is/none is no etcd that runs here" in done.stdout
    assert "actor system" not in done.stdout


def test_a_system_that_keeps_dying_is_given_up(tmp_path: Path) -> None:
    """After four deaths within a minute it ends with exit code 70, says why, and leaves nothing running."""
    with Product(tmp_path, **FAST) as product:
        product.built()

        def killed_until_it_ended() -> bool:
            with suppress(KeyError):  # it is not there between two starts
                product.kill("admin")
            return product.process.poll() is not None

        eventually(killed_until_it_ended, 50, "giving up")
        assert product.process.wait() == 70
        assert "died four times within a minute; giving up" in product.out
        product.assert_nothing_left()


@pytest.fixture(scope="module")
def second(first: First) -> Iterator[Product]:
    """The next start in the same folder; SIGINT to run.py alone ends it as well."""
    with Product(first.folder, **FAST) as product:
        yield product.built()
        began = time.monotonic()
        assert product.end(signal.SIGINT) == 0
        assert time.monotonic() - began < 5.0
        product.assert_nothing_left()


def test_a_second_start_writes_nothing(first: First, second: Product) -> None:
    """On settled data nothing is written but who owns it."""
    etcd = second.etcd
    assert etcd.values() == first.values
    time.sleep(2.5)  # two polls of every device: what is known already must not be written again
    since = etcd.history(first.revision)
    assert [change.key for change in since if change.key.startswith(SETTLED)] == []
    assert [change.key for change in since if not change.key.startswith(OWNERSHIP)] == []
    assert "22 settled; nothing to do" in second.out


def test_a_port_goes_down_and_up_again(second: Product) -> None:
    """`run.py port down` is seen in /monitoring and on the screen, and so is `port up`."""
    key = f"/monitoring/v2.0/{LOGICAL_PORT}"
    etcd = second.etcd
    for what, status, line in (
        ("down", "DOWN", "logical_port: UP → DOWN"),
        ("up", "UP", "logical_port: DOWN → UP"),
    ):
        told = run_once(second.folder, "port", what, "xe-0/0/3.1025")
        assert (told.returncode, told.stderr) == (0, "")
        eventually(lambda: etcd.get(key) == {"logical_port": status, "version": 1}, 30, what)  # noqa: B023
        second.said(line)
    refused = run_once(second.folder, "port", "down", "xe-9/9/9")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1


def test_one_at_a_time_in_a_folder(second: Product) -> None:
    """A second run in the same folder is refused in one line and harms nothing."""
    refused = run_once(second.folder)
    said = [line for line in (refused.stdout + refused.stderr).splitlines() if "already" in line]
    assert refused.returncode == 1
    assert len(said) == 1
    assert f"pid {second.process.pid} runs in {second.folder / 'state'} already" in said[0]
    assert "nothing is left running" not in refused.stdout
    assert second.control("port down xe-0/0/3.1025")["ok"] is True
