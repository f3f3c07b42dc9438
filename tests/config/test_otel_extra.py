"""The settings of traces, and the lock file of what they need."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config import otel_extra
from config.bootstrap import DEV_LOCK, OTEL_LOCK, ROOT, RUNTIME_LOCK, lacking_extra
from config.effective import effective
from config.sections import OtelSection, Snapshot
from config.settings import SettingsError, load

ENDPOINT = "GATEWRIGHT_OTEL__ENDPOINT"


def settings(folder: Path, **environ: str) -> Snapshot:
    """What these variables say."""
    return load(environ={"HOME": str(folder), **environ}, directory=folder)


def locked(name: str) -> dict[str, str]:
    """Package → its line and hashes in a lock file."""
    found = re.findall(r"^([\w.-]+)(==(?:.*\\\n)*.*)$", (ROOT / name).read_text(), re.MULTILINE)
    return dict(found)


def test_no_traces_by_default(tmp_path: Path) -> None:
    """Nothing set: no traces, and nothing is missing."""
    plain = settings(tmp_path)
    assert plain.otel == OtelSection()
    assert plain.options(()).traces is False
    assert otel_extra.missing(plain) == ""
    otel_extra.check(plain)


def test_an_endpoint_switches_them_on(tmp_path: Path) -> None:
    """With or without the path; headers are secret wherever settings are shown."""
    given = {ENDPOINT: "https://collector:4318/", "GATEWRIGHT_OTEL__HEADERS__Authorization": "Bearer hush"}
    found = settings(tmp_path, **given)
    assert found.options(()).traces is True
    assert found.otel.url == "https://collector:4318/v1/traces"
    assert OtelSection(endpoint="http://c:4318/v1/traces").url == "http://c:4318/v1/traces"
    assert found.otel.headers["Authorization"].reveal() == "Bearer hush"
    shown = {
        row.key: row.value for row in effective(found, None, {}, given, tmp_path) if row.section == "otel"
    }
    assert shown["headers"] == "Authorization = ***"
    assert "hush" not in repr(found)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (ENDPOINT, "collector:4318", "is not http"),
        (ENDPOINT, "http://me:hush@collector:4318", "a login belongs into headers"),
        (ENDPOINT, "http://collector:4318/?key=hush", "is not http"),
        ("GATEWRIGHT_OTEL__HEADERS", "Bearer hush", "headers: must be a table"),
        ("GATEWRIGHT_OTEL__HEADERS__X-Key", "hush\nX-Other: hush", "must be printable ASCII"),
        ("GATEWRIGHT_OTEL__HEADERS__X Key", "hush", "must be printable ASCII"),
        ("GATEWRIGHT_OTEL__QUEUE_MAX", "0", "queue_max"),
    ],
)
def test_what_cannot_be_taken_is_named_and_shows_no_secret(
    tmp_path: Path, name: str, value: str, said: str
) -> None:
    """One line with the setting and what is wrong with it, without what may be a secret."""
    with pytest.raises(SettingsError, match=re.escape(said)) as raised:
        settings(tmp_path, **{name: value})
    assert "GATEWRIGHT_OTEL__" in str(raised.value)
    assert "hush" not in str(raised.value)


def test_the_lock_is_what_the_others_lack(tmp_path: Path) -> None:
    """Nothing in it is in the runtime's lock; the tests' lock has it with the same versions and hashes."""
    extra, runtime, dev = locked(OTEL_LOCK), locked(RUNTIME_LOCK), locked(DEV_LOCK)
    assert {"opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"} <= extra.keys()
    assert not extra.keys() & runtime.keys()
    assert extra.items() <= dev.items()
    assert {name: dev[name] for name in runtime} == runtime
    assert all("--hash=sha256:" in lines for lines in extra.values())
    assert not {"grpcio", "opentelemetry-exporter-otlp-proto-grpc"} & extra.keys()


def test_what_is_missing_is_told_with_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing to import from, the setting is refused in one line that ends with the command."""
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    wanted = settings(tmp_path, **{ENDPOINT: "http://collector:4318"})
    assert [one.partition(">")[0] for one in lacking_extra("otel")] == [
        "opentelemetry-sdk",
        "opentelemetry-exporter-otlp-proto-http",
    ]
    with pytest.raises(SettingsError, match=f"needs opentelemetry-sdk.*{OTEL_LOCK}$") as raised:
        otel_extra.check(wanted)
    assert len(str(raised.value).splitlines()) == 1


def test_where_nothing_can_be_installed_it_says_who_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container and a service cannot write to their own installation: the owner, or the build of the image, can."""
    assert "TRACES" not in otel_extra.how_to_install()
    monkeypatch.setattr("sysconfig.get_path", lambda _: "/proc/nowhere")
    assert otel_extra.how_to_install().endswith("an image is built with --build-arg TRACES=1)")
