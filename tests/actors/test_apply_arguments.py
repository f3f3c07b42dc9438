"""What `apply` may be told about waiting."""

from __future__ import annotations

import argparse

import pytest

from actors.cli import applying


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "soon"])
def test_a_time_that_never_ends_or_is_none_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong use, before anything is written."""
    parser = argparse.ArgumentParser()
    applying.add_commands(parser, parser.add_subparsers())
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["apply", "a.yaml", f"--timeout={text}"])
    assert ended.value.code == 2
    assert f"invalid seconds value: '{text}'" in capsys.readouterr().err
