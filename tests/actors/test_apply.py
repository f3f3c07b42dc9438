"""`apply` of what etcd does not take."""

from __future__ import annotations

import argparse
import errno
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actors import wiring
from actors.cli import applying, main, reach
from actors.cli.context import Context
from actors.core.errors import ErrorClass, PortError
from actors.runtime.inline import InlineHost
from config.sections import EtcdSection, Snapshot
from sim.fake_etcd import FakeEtcd
from sim.fake_store import FakeStore
from tests.actors.bridge_rig import Clock

FILE = """
- {type: network, body: {id: a}}
- {type: network, body: {id: b, text: TEXT}}
- {type: network, body: {id: c}}
"""


class Failing(FakeStore):
    """Raises this for every commit, if there is one."""

    failure: PortError | None = None
    commits = 0

    def commit(self, sets: Any) -> Any:
        """As the port."""
        self.commits += 1
        if self.failure is not None:
            raise self.failure
        return super().commit(sets)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Failing:
    """An empty etcd, which the commands reach."""
    store = Failing(FakeEtcd(Clock(InlineHost())))
    monkeypatch.setattr(wiring, "etcd", lambda _settings: store)
    return store


def context(path: Path) -> Context:
    """Of `apply PATH`."""
    parser = argparse.ArgumentParser()
    applying.add_commands(parser, parser.add_subparsers())
    settings = Snapshot(etcd=EtcdSection(endpoints=("http://127.0.0.1:1",)))
    return Context(settings, lambda *_: None, parser.parse_args(["apply", str(path)]))  # type: ignore[arg-type]


def test_a_document_too_large_is_named_and_the_others_are_written(
    store: Failing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """File, document, key and what to do; the exit code says that one failed."""
    path = tmp_path / "big.yaml"
    path.write_text(FILE.replace("TEXT", "x" * 2_000_000))
    applied = context(path)
    assert applied.parsed.run(applied) == 1
    told = capsys.readouterr()
    assert told.out == "/config/v2.0/networks/a version 1\n/config/v2.0/networks/c version 1\n"
    assert f"{path}: document 2: /config/v2.0/networks/b not written: TooLarge" in told.err
    assert "make it smaller" in told.err


def test_a_template_that_cannot_be_compiled_is_not_written(
    store: Failing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mapping that is none and Jinja2 that is none: key, parameter or line; the good one beside them is written."""
    path = tmp_path / "templates.yaml"
    path.write_text("""
- {id: a, handler: heat_worker, parameter_mappings: {size: {nosuch: 1}}, template_file: ""}
- {id: b, handler: heat_worker, parameter_mappings: {}, template_file: "{% for y in %}"}
- {id: c, handler: heat_worker, parameter_mappings: {size: Csmall}, template_file: ""}
""")
    applied = context(path)
    assert applied.parsed.run(applied) == 1
    told = capsys.readouterr()
    assert told.out == "/config/v2.0/heat_templates/c version 1\n"
    first, second = told.err.splitlines()
    assert f"{path}: document 1: /config/v2.0/heat_templates/a not written" in first
    assert "size" in first
    assert f"{path}: document 2: /config/v2.0/heat_templates/b not written" in second
    assert "not written: line 1" in second


@pytest.mark.parametrize(
    ("error_class", "error"),
    [
        (ErrorClass.TRANSIENT, reach.UnreachableError),
        (ErrorClass.IN_DOUBT, reach.UnreachableError),
        (ErrorClass.QUOTA, reach.RefusedError),
        (ErrorClass.TERMINAL, reach.RefusedError),
    ],
)
def test_only_silence_is_unreachable(
    store: Failing, tmp_path: Path, error_class: ErrorClass, error: type[Exception]
) -> None:
    """An etcd that answers and refuses can be reached."""
    store.failure = PortError(error_class, "Some", "thing")
    with pytest.raises(error), reach.connected(context(tmp_path)) as (_, found, _):
        found.commit([])


def test_an_end_in_the_middle_says_how_far_it_came(
    store: Failing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The document at which nobody answered any more is named."""
    path = tmp_path / "three.yaml"
    path.write_text(FILE)
    store.failure = PortError(ErrorClass.IN_DOUBT, "Timeout", "no answer")
    applied = context(path)
    with pytest.raises(reach.UnreachableError):
        applied.parsed.run(applied)
    assert f"{path}: document 1: here it ends, 0 of 3 are done" in capsys.readouterr().err


class Unread(io.StringIO):
    """A pipe whose reader has left (`| head`)."""

    def flush(self) -> None:
        """No."""
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_all_is_declared_though_nobody_reads_on(
    store: Failing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that leaves after the first line has the file declared as a whole, not its beginning."""
    path = tmp_path / "three.yaml"
    path.write_text(FILE)
    applied = context(path)
    monkeypatch.setattr(sys, "stdout", Unread())
    with pytest.raises(BrokenPipeError):
        applied.parsed.run(applied)
    assert store.commits == 3


def test_an_output_on_a_full_disk_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And exit code 1, no traceback."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["config", "check"], lambda *_: None) == 1  # type: ignore[arg-type]
    assert capsys.readouterr().err == ("gatewright: the output cannot be written: No space left on device\n")


def test_ctrl_c_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """And the exit code of a process that SIGINT ended."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("actors.cli.load", interrupted)
    assert main(["config", "check"], lambda *_: None) == 130  # type: ignore[arg-type]
    assert capsys.readouterr().err == "gatewright: interrupted\n"


def test_what_etcd_refuses_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As every failure that is neither of use nor of reach."""

    @contextmanager
    def refused(_context: Context) -> Iterator[Any]:
        raise reach.RefusedError("etcd at x: NoSpace: full")
        yield

    monkeypatch.setattr(applying, "connected", refused)
    path = tmp_path / "three.yaml"
    path.write_text(FILE)
    assert main(["apply", str(path)], lambda *_: None) == 1  # type: ignore[arg-type]
    assert "NoSpace: full" in capsys.readouterr().err
