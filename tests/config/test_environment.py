"""Variables that look like settings and are none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config.bootstrap import ROOT
from config.settings import OTHERS, SettingsError, load


def loaded(tmp_path: Path, **environ: str) -> object:
    """The settings of a machine with nothing but these variables."""
    return load(environ={"HOME": str(tmp_path), **environ}, directory=tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("GATEWRIGHT_HTTP_TOKEN", "no such setting; did you mean GATEWRIGHT_HTTP__TOKEN?"),
        ("GATEWRIGHT_HTTP_TOKN", "did you mean GATEWRIGHT_HTTP__TOKEN?"),
        ("GATEWRIGHT_ETCD_ENDPOINTS", "did you mean GATEWRIGHT_ETCD__ENDPOINTS?"),
        ("GATEWRIGHT_QQQQ", "no such setting: they are GATEWRIGHT_<SECTION>__<KEY>"),
    ],
)
def test_a_variable_that_would_be_ignored_is_refused(tmp_path: Path, name: str, said: str) -> None:
    """Who believes to have set a token must not run without one; the value is not told."""
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, **{name: "s3cret"})
    assert str(caught.value).startswith(f"environment {name}: ")
    assert said in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_what_kubernetes_sets_for_a_service_is_none_of_ours(tmp_path: Path) -> None:
    """A Service that is called gatewright does not keep its own pods from starting."""
    service = {
        "GATEWRIGHT_SERVICE_HOST": "10.0.0.1",
        "GATEWRIGHT_SERVICE_PORT": "8080",
        "GATEWRIGHT_SERVICE_PORT_HTTP": "8080",
        "GATEWRIGHT_PORT": "tcp://10.0.0.1:8080",
        "GATEWRIGHT_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "GATEWRIGHT_PORT_8080_TCP_ADDR": "10.0.0.1",
        "GATEWRIGHT_HTTP_PORT": "tcp://10.0.0.1:8080",
    }
    assert loaded(tmp_path, **service) == loaded(tmp_path)


def test_the_variables_of_the_project_itself_are_allowed(tmp_path: Path) -> None:
    """Each that a file of the project reads or sets beside the settings, and no other."""
    folders = (".ci", "actors", "config", "sim", "tests")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    used = {
        name
        for path in files
        if path.suffix in {".py", ".sh", ""} and path != Path(__file__)
        for name in re.findall(r"GATEWRIGHT_[A-Z]+(?:_[A-Z]+)*(?![A-Z_<{])", path.read_text(errors="replace"))
    }
    assert used == OTHERS
    assert loaded(tmp_path, **dict.fromkeys(OTHERS, "1")) == loaded(tmp_path)
