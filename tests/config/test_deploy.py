"""The deployment files: they can be read, name only metrics that exist, and each alert has its page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from actors.core.exposition import FAMILIES, PREFIX
from actors.core.ownership import VSHARDS

CONFIG = Path(__file__).parents[2] / "config"
DEPLOY, DOCS = CONFIG / "deploy", CONFIG / "docs"


def _offered() -> set[str]:
    """Every series that /metrics can have."""
    names: set[str] = set()
    for name, (kind, _) in FAMILIES.items():
        parts = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        names.update(f"{PREFIX}{name}{part}" for part in parts)
    return names


def _alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "prometheus-alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((DEPLOY / "grafana.json").read_text())
    return loaded


def _expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in _alerts())
    yield from (target["expr"] for panel in _dashboard()["panels"] for target in panel["targets"])


@pytest.mark.parametrize("expression", list(_expressions()))
def test_expressions_use_metrics_that_exist(expression: str) -> None:
    """A metric that is renamed or removed breaks no alert and no panel unseen."""
    used = set(re.findall(rf"\b{PREFIX}\w+", expression))
    assert used <= _offered(), f"not offered: {sorted(used - _offered())}"
    assert used or expression.startswith("up{")
    assert all(expression.count(a) == expression.count(b) for a, b in ("()", "{}", "[]"))


def test_counters_are_seen_as_rates() -> None:
    """A counter or the parts of a histogram are never shown or compared as they are."""
    totals = {f"{PREFIX}{name}" for name, (kind, _) in FAMILIES.items() if kind == "counter"}
    for expression in _expressions():
        for match in re.finditer(rf"\b{PREFIX}\w+", expression):
            name = match[0]
            if name in totals or name.endswith("_bucket"):
                assert re.search(r"(rate|increase)\($", expression[: match.start()]), expression


def test_every_metric_is_on_the_dashboard() -> None:
    """What is measured can be seen, but for the counters of the runtime and what others imply."""
    shown = " ".join(target["expr"] for panel in _dashboard()["panels"] for target in panel["targets"])
    missing = {name for name in FAMILIES if f"{PREFIX}{name}" not in shown}
    assert missing <= {"runtime", "etcd_revision"}


def test_alerts_are_whole() -> None:
    """Names are unique; each has a severity and a sentence; the number of shards is the product's."""
    names = [rule["alert"] for rule in _alerts()]
    assert len(set(names)) == len(names)
    for rule in _alerts():
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"]["summary"]
    (shards,) = (rule for rule in _alerts() if rule["alert"] == "GatewrightShardsUnowned")
    assert shards["expr"].endswith(f"< {VSHARDS}")


def test_every_alert_has_a_page() -> None:
    """Each alert has a section of its name in operations.md, and no section is left over."""
    page = (DOCS / "operations.md").read_text()
    assert set(re.findall(r"^### (\w+)$", page, re.MULTILINE)) == {rule["alert"] for rule in _alerts()}


def test_panels_do_not_overlap() -> None:
    """The dashboard has a Prometheus to choose, unique panels, and no two in one place."""
    board = _dashboard()
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert [v["name"] for v in board["templating"]["list"]] == ["source", "instance"]


def test_unit_is_told_what_the_product_tells() -> None:
    """Type=notify with a watchdog, wrong settings are not tried again, and paths go together."""
    unit = (DEPLOY / "gatewright.service").read_text()
    for line in ("Type=notify", "RestartPreventExitStatus=2", "NoNewPrivileges=yes", "LimitCORE=0"):
        assert f"\n{line}\n" in unit
    assert re.search(r"^WatchdogSec=\d+$", unit, re.MULTILINE)
    assert "--state-dir /var/lib/gatewright " in unit
    assert "\nStateDirectory=gatewright\n" in unit


def test_container_has_everything_that_is_copied() -> None:
    """The recipe copies only what is there and not ignored, runs as nobody in particular, and asks /healthz."""
    recipe = (DEPLOY / "Containerfile").read_text()
    ignored = (CONFIG.parent / ".dockerignore").read_text().splitlines()
    copied = {
        source for each in re.findall(r"^COPY (.+) \S+$", recipe, re.MULTILINE) for source in each.split()
    }
    for source in copied:
        assert (CONFIG.parent / source).exists(), source
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == {
        source.split("/")[0] for source in copied
    }
    assert re.search(r"^USER \d+$", recipe, re.MULTILINE)
    assert "/healthz" in recipe
