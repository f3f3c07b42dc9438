"""`config check` looks at what the settings point to, as a start does."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from actors.cli import main, main_job
from actors.cli.context import Services
from config.documents import DocumentError
from config.settings import load

WRONG = [
    ('monitor_types_file = "/nonexistent.yaml"', "/nonexistent.yaml: cannot be read"),
    ("intervals = { port = 5 }", "snmp.intervals: no such monitor type: 'port'"),
]


@pytest.mark.parametrize(("setting", "said"), WRONG)
def test_kinds_of_monitors_are_checked_with_the_settings(
    setting: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table of kinds that cannot be read, and a kind that there is not, are found by the check: exit code 2."""
    file = tmp_path / "settings.toml"
    file.write_text(f"[snmp]\n{setting}\n")
    assert main(["--config", str(file), "config", "check"], lambda *_: None) == 2  # type: ignore[arg-type]
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("setting", "said"), WRONG)
def test_a_run_begins_nothing_with_them(setting: str, said: str, tmp_path: Path) -> None:
    """They are refused before the first service is started."""
    file = tmp_path / "settings.toml"
    file.write_text(f"[snmp]\n{setting}\n")

    def services(*_: object) -> Services:
        raise AssertionError("services are made")

    parsed = argparse.Namespace(config=file, state_dir=tmp_path, declare=None, once=False)
    with pytest.raises(DocumentError, match=said.partition(":")[0]):
        main_job.Run(load(file, directory=tmp_path), services, parsed)
