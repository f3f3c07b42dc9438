"""Traces of a running product at a real collector; a collector that is away; and a product without the packages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import GATEWAY, PORT, ROOT, Product, environment, eventually, run_once

SECRET = "a-secret-of-the-collector"
#: What `requirements-otel.lock` installs.
EXTRA = re.compile(r"^([\w-]+)==", re.MULTILINE)
GATEWAY_ID, PORT_ID = GATEWAY.split("/")[1], PORT.split("/")[1]


class Traced:
    """A product, and the collector that it tells."""

    def __init__(self, product: Product, collector: Any, settings: dict[str, Any]) -> None:
        self.product, self.collector, self._settings = product, collector, settings

    def ask(self, *arguments: object) -> Any:
        """A command's JSON answer."""
        done = run_once(self.product.folder, *arguments, "--json", **self._settings)
        assert SECRET not in done.stdout + done.stderr
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return json.loads(done.stdout)

    def get(self, path: str) -> str:
        """One request to its HTTP port."""
        http = self.product.said(r"metrics: (http://\S+)/metrics")[1]
        with urllib.request.urlopen(http + path, timeout=20) as answer:
            text: str = answer.read().decode()
        return text

    def lines(self, resource: str) -> list[dict[str, Any]]:
        """Its history."""
        found: list[dict[str, Any]] = json.loads(self.get(f"/api/v1/resources/{resource}/history"))["lines"]
        return found

    def spans(self, outcome: str) -> float:
        """The counter of `/metrics`."""
        text = self.get("/metrics")
        found = re.search(rf'^gatewright_trace_spans_total{{outcome="{outcome}"}} (\d+)$', text, re.MULTILINE)
        return float(found[1]) if found else -1.0

    def rebuild(self) -> None:
        """Have one resource built once more."""
        self.ask("reconcile", PORT_ID)


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    """The example built, with traces."""
    reason = "OpenTelemetry is not installed: requirements-otel.lock"
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason=reason)
    from tests.contract.collector import collecting

    with collecting() as collector:
        settings: dict[str, Any] = {
            "OTEL__ENDPOINT": collector.endpoint,
            "OTEL__HEADERS__Authorization": f"Bearer {SECRET}",
            "STANDALONE__RESOURCE_SECONDS": 0.1,
        }
        with Product(tmp_path_factory.mktemp("traces"), **settings) as product:
            yield Traced(product.built(), collector, settings)


def test_every_version_has_a_trace_that_its_history_agrees_with(traced: Traced) -> None:
    """22 resources, 22 traces of their own; seconds, waits and links are those of `history` and of the log."""
    collector = traced.collector
    eventually(lambda: len(collector.roots()) == 22, what="a trace of each resource")
    assert {one["authorization"] for one in collector.headers} == {f"Bearer {SECRET}"}
    roots = collector.roots()
    by_id = {root.id: root for root in roots.values()}
    gateway = next(root for name, root in roots.items() if GATEWAY_ID in name)
    (line,) = traced.lines(GATEWAY_ID)
    assert gateway.attributes["gatewright.outcome"] == line["outcome"] == "CREATE_COMPLETED"
    assert gateway.trace == gateway.attributes["gatewright.request_id"][4:].replace("-", "")
    parts = collector.children(gateway)
    assert [span.name for span in parts if "gatewright.job" in span.attributes] == [
        "heat create",
        "monitoring create",
    ]
    within = [grandchild for child in parts for grandchild in collector.children(child)]
    assert all(gateway.began <= span.began <= span.ended <= gateway.ended for span in [*parts, *within])
    queued = sum(span.seconds for span in parts if span.name == "queued")
    assert gateway.began / 1e9 + queued == pytest.approx(line["began"], abs=0.05)
    assert gateway.ended / 1e9 >= line["ended"] - 0.05, (
        "written with the outcome, told when that is confirmed"
    )
    heat = sum(span.seconds for span in within if span.name == "heat")
    assert heat == pytest.approx(
        sum(span["seconds"] for span in line["spans"] if span["kind"] == "heat"), abs=0.05
    )
    # each link leads to the first span of a trace that is there, and waits are for one of those
    links = {link for root in roots.values() for link in root.links}
    assert links
    assert all(by_id[span].trace == trace for trace, span in links)
    waits = [span for span in [*parts, *within] if span.name == "waiting" and span.links]
    assert {link for span in waits for link in span.links} <= set(gateway.links)
    assert waits, "the gateway waits for its subnet"


def test_what_became_of_spans_is_a_metric_and_the_doctor_asks_the_collector(traced: Traced) -> None:
    """`/metrics` counts what the collector took; `doctor` says that it takes traces."""
    eventually(lambda: traced.spans("exported") == len(traced.collector.spans) > 100)
    assert traced.spans("dropped") == 0
    (finding,) = [one for one in traced.ask("doctor")["findings"] if one["check"] == "traces"]
    assert finding["severity"] == "ok"


def test_a_collector_that_refuses_harms_nothing(traced: Traced) -> None:
    """Work goes on, what is lost is counted, the log says why once; taken again, the next version is told."""
    collector = traced.collector
    collector.status = 401
    traced.rebuild()
    eventually(lambda: traced.spans("dropped") > 0, 60)
    eventually(lambda: len(traced.lines(PORT_ID)) == 2)
    (finding,) = [one for one in traced.ask("doctor")["findings"] if one["check"] == "traces"]
    assert finding["severity"] == "warn"
    assert "Unauthorized" in finding["text"]
    collector.status = 200
    before = len(collector.spans)
    traced.rebuild()
    eventually(lambda: len(collector.spans) > before, 60)
    again = collector.spans[before]
    first = next(root for name, root in collector.roots().items() if PORT_ID in name)
    assert (again.trace, again.parent) == (first.trace, first.id), "the same version once more"
    assert traced.product.err.count("the collector does not take traces") == 1
    assert SECRET not in traced.product.err + traced.product.out


# ------------------------------------------------------------------------------------- without the packages


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An environment with what we have, but for what `requirements-otel.lock` installs."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True, timeout=60)
    target = next((folder / "env").glob("lib/python3*/site-packages"))
    names = EXTRA.findall((ROOT / "requirements-otel.lock").read_text())
    assert len(names) > 5
    ours = {"opentelemetry", *(name.replace("-", "_") for name in names)}
    for each in Path(sysconfig.get_path("purelib")).iterdir():
        if re.sub(r"-[\d.].*", "", each.name) not in ours and each.name != "__pycache__":
            (target / each.name).symlink_to(each)
    return str(folder / "env" / "bin" / "python")


def run_bare(
    python: str, folder: Path, *arguments: str, **settings: object
) -> subprocess.CompletedProcess[str]:
    """`run.py` by that Python."""
    return subprocess.run(
        [python, str(ROOT / "run.py"), "--state-dir", str(folder / "state"), *arguments],
        cwd=folder,
        env=environment(folder, **settings),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_nothing_of_it_is_needed_by_default(bare_python: str, tmp_path: Path) -> None:
    """Without the packages everything is built as ever."""
    lacks = "import importlib.util as u, sys; sys.exit(u.find_spec('opentelemetry') is not None)"
    assert subprocess.run([bare_python, "-c", lacks], check=False, timeout=60).returncode == 0
    done = run_bare(bare_python, tmp_path, "--once", STANDALONE__RESOURCE_SECONDS=0.05)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "22 settled" in done.stdout


@pytest.mark.parametrize("arguments", [["--once"], ["config", "check"]])
def test_wanted_without_the_packages_one_line_says_what_to_do(
    bare_python: str, tmp_path: Path, arguments: list[str]
) -> None:
    """Exit code 2, and the command that installs them from the lock file; nothing was started."""
    done = run_bare(bare_python, tmp_path, *arguments, OTEL__ENDPOINT="http://127.0.0.1:4318")
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert "otel.endpoint is set, and needs opentelemetry-sdk" in line
    assert line.endswith(
        f"{bare_python} -m pip install --require-hashes --no-deps -r {ROOT}/requirements-otel.lock"
    )
    assert "etcd" not in done.stdout
