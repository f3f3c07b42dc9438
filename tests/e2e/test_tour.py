"""What an operator sees and does beside a running system: questions, steering, metrics, API, dashboard."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.cli.doctor_etcd import etcd_server
from config.sections import EtcdSection
from tests.e2e import browser as web
from tests.e2e.browser import Browser
from tests.e2e.harness import Product, eventually
from tests.e2e.schema import mismatches
from tests.e2e.tour import SECRETS, SETTINGS, SETTINGS_SECRETS, Tour

GATEWAY, PORT, SUBNET, LOGICAL = "5c241c51", "327f59b7", "e1353d56", "b04853c4"
SWITCH_PORT = "xe-0/0/3.1025"


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tour]:
    """One system for all, with the gateway built."""
    with Product(tmp_path_factory.mktemp("tour"), **SETTINGS) as product:
        product.built()
        yield Tour(product)


def test_the_first_hour_is_told_three_commands(tour: Tour) -> None:
    """The end of building names three commands on what was built, and each works as printed."""
    commands = re.findall(r"python run\.py --state-dir \S+ (.+)", tour.product.out)
    assert len(commands) == 3
    for command in commands:
        extra = ["--times", "1"] if "--watch" in command else []
        assert tour.do(*command.split(), *extra)


def test_status_counts_what_there_is(tour: Tour) -> None:
    """By type, live, and every resource once."""
    status = tour.ask("status")
    assert status["live"]
    assert status["counts"] == {"settled": 22}
    assert status["groups"]["port"] == {"settled": 3}
    assert {row["resource"].partition(":")[0] for row in status["rows"]} == set(status["groups"])
    assert tour.ask("status", "--type", "port", "--by", "stage")["groups"] == {"settled": {"settled": 3}}


def test_what_does_not_exist_is_not_well(tour: Tour) -> None:
    """A stage or type that there is not is wrong use, not "none of that": who mistypes must not think all is well."""
    tour.do("status", "--stage", "fialed", code=2)
    tour.do("status", "--type", "prot", code=2)
    assert "no such type 'prot'; did you mean port?" in tour.said[-1]
    assert "version 0" not in tour.do("explain", GATEWAY, "--at", "2d")


def test_etcd_alone_answers_the_same_questions(tour: Tour) -> None:
    """Without a controller that can be asked, status, explain and graph work, and say so."""
    file = tour.product.state_dir / "running.json"
    kept = file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    try:
        file.write_text(json.dumps({**json.loads(kept), "http": ""}))
        status = tour.ask("status")
        assert (status["live"], status["counts"]) == (False, {"settled": 22})
        assert "CREATE_COMPLETED" in tour.do("explain", GATEWAY)
    finally:
        file.write_text(kept)


def test_the_critical_path_sums_to_the_wall_time(tour: Tour) -> None:
    """Of the gateway's provisioning: legs follow one another, parts sum to the wall time within 1 %."""
    path = tour.ask("graph", GATEWAY, "--critical-path")["critical_path"]
    assert [leg["resource"].split(":")[0] for leg in path["legs"]] == [
        "network",
        "subnet",
        "common_function_gateway",
    ]
    wall = path["wall_seconds"]
    assert sum(path["totals"].values()) == pytest.approx(wall, rel=0.01)
    lines = [
        line for ref in ("network:f2de53ae", "common_function_gateway:5c241c51") for line in tour.lines(ref)
    ]
    ends = max(line["ended"] for line in lines)
    assert path["ended"] == pytest.approx(ends, abs=0.002)
    assert path["began"] <= min(line["began"] for line in lines)
    assert path["totals"]["heat"] > 0.5 * wall
    assert "* network" in tour.do("graph", GATEWAY, "--critical-path")


def test_a_resource_that_is_not_there_is_its_own_exit_code(tour: Tour) -> None:
    """3 for none, 2 for a wrong argument."""
    tour.do("explain", "nothing-of-that-name", code=3)
    tour.do("explain", GATEWAY, "--at", "yesterday", code=2)
    tour.do("pause", "--type", "nonsense", code=2)


def test_a_past_moment_can_be_asked_for(tour: Tour) -> None:
    """While the gateway waited for its subnet, that is what explain --at says."""
    (line,) = tour.lines(GATEWAY)
    waited = next(span for span in line["spans"] if span["blocker"] and span["seconds"] > 0.05)
    before = sum(span["seconds"] for span in line["spans"][: line["spans"].index(waited)])
    _, text = tour.get(
        f"/api/v1/resources/{GATEWAY}/explain?at={line['began'] + before + waited['seconds'] / 2}"
    )
    first = json.loads(text)["chain"][0]
    assert (first["stage"], first["text"]) == ("waiting", f"waited for {waited['blocker']}")


def test_a_plan_says_what_would_be_done_and_does_nothing(tour: Tour) -> None:
    """Deleting the network would take its dependents first; etcd does not change by asking."""
    revision = tour.product.etcd.revision()
    plan = tour.ask("plan", "network:f2de53ae", "--delete")["plan"]
    order = [row["resource"].split(":")[0] for row in plan]
    assert (
        order.index("ese_logical_port") < order.index("port") < order.index("subnet") < order.index("network")
    )
    assert {row["action"] for row in plan} == {"logical_delete"}
    assert tour.product.etcd.revision() == revision


def test_pause_is_seen_everywhere_and_resume_ends_it(tour: Tour) -> None:
    """A reconcile of a paused type waits, visibly in status, explain, metrics and doctor; resume lets it go on."""
    tour.do("pause", "--type", "subnet")
    tour.do("reconcile", SUBNET)
    eventually(lambda: tour.counts().get("paused") == 1, what="paused in status")
    assert "paused (type/subnet)" in tour.do("explain", SUBNET)
    eventually(lambda: tour.metric("paused") == 1, what="paused in metrics")
    assert any(f["check"] == "paused" for f in tour.ask("doctor")["findings"])
    status = tour.ask("status")
    assert [pause["scope"] for pause in status["paused"]] == ["type/subnet"]
    assert status["paused"][0]["resume"] == "resume --type subnet"
    assert tour.metric("paused_scopes") == 1
    lines = len(tour.lines(SUBNET))
    tour.do("resume", "--type", "subnet")
    eventually(lambda: len(tour.lines(SUBNET)) == lines + 1, what="reconciled after resume")
    eventually(lambda: tour.counts() == {"settled": 22}, what="all settled")
    assert "nothing is failed" in tour.do("retry")


def test_a_pulled_cable_is_drift_until_it_is_plugged_again(tour: Tour) -> None:
    """The port's status, the gauge of drifted targets, and afterwards the time it took."""
    tour.do("port", "down", SWITCH_PORT)
    eventually(lambda: tour.metric("drifted_targets") == 1, what="drift in metrics")
    down = {"logical_port": "DOWN"}
    eventually(lambda: tour.api(f"resources/{LOGICAL}")["monitoring"] == down, what="DOWN in the API")
    assert tour.api(f"resources/{LOGICAL}")["drift"] == {"logical_port": "UP"}
    assert "logical_port is DOWN, wanted UP" in tour.do("status")
    tour.do("port", "up", SWITCH_PORT)
    eventually(lambda: tour.metric("drift_seconds_count") == 1, what="drift measured")
    assert tour.metric("drifted_targets") == 0


def test_metrics_tell_what_was_done(tour: Tour) -> None:
    """Requests, writes, times, memory per process; every family once with help and type."""
    _, text = tour.get("/metrics")
    for family in set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)):
        assert len(re.findall(rf"^# TYPE {family} ", text, re.MULTILINE)) == 1
        assert f"# HELP {family} " in text
    assert tour.metric("first_time_to_reconcile_seconds_count") >= 22
    assert tour.metric("first_time_to_readiness_seconds_count") >= 22
    assert tour.metric("etcd_writes_total") > 100
    assert tour.metric("heat_requests_total") > 10
    assert tour.metric("snmp_requests_total") > 10
    assert tour.metric("process_resident_bytes") > 50e6
    assert 'process="bridge' in text


def test_the_api_is_what_its_description_says(tour: Tour) -> None:
    """Every path of the OpenAPI document answers in the form that it says; without the token only what it says does."""
    document = json.loads(tour.get("/openapi.json", token="")[1])
    for path, described in document["paths"].items():
        status, text = tour.get(path.replace("{resource}", GATEWAY))
        assert status == 200, path
        content = described["get"]["responses"]["200"]["content"]
        if "application/json" in content:
            assert mismatches(json.loads(text), content["application/json"]["schema"], document) == [], path
        status, text = tour.get(path.replace("{resource}", GATEWAY), token="")
        assert (status == 401) is bool(described["get"]["security"])
    for path, status in (
        ("/api/v1/resources/nothing", 404),
        ("/api/v1/status?limit=-1", 400),
        ("/api/v1/resources?offset=x", 400),
        (f"/api/v1/resources/{GATEWAY}/explain?at=nan", 400),
        ("/api/v1/graph?format=png", 400),
    ):
        refused = tour.get(path)
        assert refused[0] == status, path
        assert mismatches(json.loads(refused[1]), document["components"]["schemas"]["Error"], document) == []
    assert tour.get("/api/v1/status", token="wrong")[0] == 401


def test_the_api_only_reads(tour: Tour) -> None:
    """No method but GET (and HEAD) is taken by any path, with the right token too."""
    paths = json.loads(tour.get("/openapi.json")[1])["paths"]
    for path in paths:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert tour.get(path.replace("{resource}", GATEWAY), method=method)[0] == 405


def test_doctor_finds_nothing_that_stops_work(tour: Tour) -> None:
    """On a system that works no finding is an error, and what is wrong has a remedy."""
    findings = tour.ask("doctor")["findings"]
    checks = {finding["check"] for finding in findings}
    assert {
        "files",
        "snmp socket",
        "etcd version",
        "etcd latency",
        "clock",
        "templates",
        "heat",
        "devices",
    } <= checks
    assert not [finding for finding in findings if finding["severity"] == "error"]
    assert all(finding["remedy"] for finding in findings if finding["severity"] == "warn")


def test_doctor_names_each_etcd_that_it_cannot_ask() -> None:
    """An endpoint that does not answer is a finding though others do."""
    (closed,) = etcd_server("http://127.0.0.1:1", EtcdSection())
    assert (closed.severity, "127.0.0.1:1 does not answer" in closed.text) == ("warn", True)
    assert closed.remedy


@pytest.mark.skipif(bool(web.missing()), reason=web.missing() or "there is one")
def test_the_dashboard_can_be_used(tour: Tour, tmp_path: Path) -> None:
    """Token, counts, filter, a resource's page by keyboard, its parts, and back; nothing comes from outside."""
    pictures = Path(os.environ["GATEWRIGHT_SHOTS"]) if "GATEWRIGHT_SHOTS" in os.environ else tmp_path
    with Browser() as page:
        page.size(1200, 900)
        page.open(tour.http)
        page.shows("a token is needed")
        page.type("#token", "a-secret-token\ue007")
        page.shows("22 resources", "T0011CF000", "logical_port UP")
        page.shot(pictures / "table.png")
        page.type("#q", "gateway")
        page.shows("1 resource", selector="caption")
        assert page.script("return document.activeElement.id") == "q"
        page.press("\ue004")  # the select
        page.press("\ue004")  # the first row's link
        page.press("\ue007")
        page.shows("T0011CF000", "Why", "CREATE_COMPLETED", "Critical path", "History")
        assert page.script("return document.querySelectorAll('svg a').length") > 3
        assert page.script("return document.querySelectorAll('#waterfall .bar i').length") > 2
        assert page.script("return document.querySelectorAll('#waterfall li').length") > 2
        page.shot(pictures / "resource.png")
        page.size(420, 900)
        eventually(lambda: page.script("return document.documentElement.scrollWidth <= window.innerWidth"))
        page.shot(pictures / "phone.png")
        page.click("#title a")
        page.shows("T0011CF000", selector="#table-card")
        outside = page.script(
            "const names = performance.getEntriesByType('resource').map((entry) => entry.name);"
            "return names.filter((name) => !name.startsWith(location.origin))"
        )
        assert outside == []


def test_settings_are_shown_with_their_origin_and_without_secrets(tour: Tour) -> None:
    """Where each value comes from is said; secrets are masked; the reference has every one of them."""
    shown = tour.ask("config", "show", "--effective")["settings"]
    rows = {f"{row['section']}.{row['key']}": row for row in shown}
    assert rows["http.token"]["value"] == "***"
    assert rows["http.token"]["origin"] == "environment GATEWRIGHT_HTTP__TOKEN"
    assert "a-secret-community" not in rows["snmp.communities"]["value"]
    reference = tour.ask("config", "reference")["settings"]
    assert set(rows) == {f"{row['section']}.{row['key']}" for row in reference}


def test_a_wrong_setting_names_file_line_key_and_what_is_allowed(tour: Tour) -> None:
    """One line on stderr and exit code 2."""
    file = tour.product.folder / "wrong.toml"
    file.write_text('[log]\nlevel = "loud"\n')
    tour.do("--config", file, "config", "check", code=2)
    assert re.search(r"wrong\.toml:2: log\.level: must be 'debug', 'info'", tour.said[-1])


def test_hanging_up_takes_the_settings_anew(tour: Tour) -> None:
    """SIGHUP: the settings are read again, the actors are started with them, and everything is still settled."""
    before = tour.product.out.count("dashboard: ")
    tour.product.process.send_signal(signal.SIGHUP)
    tour.product.said("settings read again")
    eventually(lambda: tour.product.out.count("dashboard: ") > before, what="the API is told again")
    tour.http = re.findall(r"dashboard: (http://[\d.]+:\d+)/", tour.product.out)[-1]
    eventually(lambda: tour.get("/readyz")[0] == 200, what="ready again")
    status = tour.ask("status")
    assert (status["live"], status["counts"]) == (True, {"settled": 22})


def test_no_secret_is_shown_anywhere(tour: Tour) -> None:
    """Passwords, communities, keys and tokens are in no output, no log and no answer of this whole tour; those of
    the settings are in no key and no value of etcd either."""
    for question in (f"explain {LOGICAL}", f"history {GATEWAY}", "graph --format dot", f"plan {LOGICAL}"):
        tour.do(*question.split())
    for path in ("/api/v1/status", "/api/v1/resources", f"/api/v1/resources/{LOGICAL}", "/metrics"):
        assert tour.get(path)[0] == 200
    everything = "\n".join([*tour.said, tour.product.out, tour.product.err])
    assert "the time-series store does not take values" in everything
    for secret in SECRETS:
        assert secret not in everything
    stored = everything_in_etcd(tour)
    assert b"ESE_NODE_COMMUNITY" in stored
    for secret in SETTINGS_SECRETS:
        assert secret.encode() not in stored


def everything_in_etcd(tour: Tour) -> bytes:
    """All keys and values, by etcd's own JSON gateway."""
    running = json.loads((tour.product.state_dir / "running.json").read_text())
    first = base64.b64encode(b"\0").decode()
    body = json.dumps({"key": first, "range_end": first}).encode()
    request = urllib.request.Request(f"{running['etcd'][0]}/v3/kv/range", body, method="POST")
    with urllib.request.urlopen(request, timeout=20) as answer:
        pairs = json.loads(answer.read())["kvs"]
    return b"\n".join(base64.b64decode(pair.get(part, "")) for pair in pairs for part in ("key", "value"))


def test_drain_ends_it_within_ten_seconds(tour: Tour) -> None:
    """The last of the tour: drain ends the system cleanly; afterwards nothing runs and etcd is gone."""
    assert "drained and stopped" in tour.do("drain")
    assert tour.product.process.wait(5) == 0
    assert not (tour.product.state_dir / "running.json").exists()
    tour.do("status", code=4)
