"""The alert rules in Prometheus' own tool: they load, and each fires for what it is about, and only for that."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
RULES = HERE.parents[1] / "config" / "deploy" / "prometheus-alerts.yaml"
CASES = HERE / "alerts_test.yaml"


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    """No rule is without a unit test, and no test is of a rule that is gone."""
    named = set(re.findall(r"\bGatewright\w+", CASES.read_text()))
    assert named == set(re.findall(r"alert: (\w+)", RULES.read_text()))


@pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is not installed (apt-get install prometheus)"
)
def test_rules_do_what_their_unit_tests_say() -> None:
    """`promtool test rules`: as few alerts in a system that is well as in each trouble."""
    done = subprocess.run(
        ["promtool", "test", "rules", str(CASES)], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
