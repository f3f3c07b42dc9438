"""A real etcd that wants client certificates, reached as the settings say; what `doctor` finds of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from actors import wiring
from actors.cli import main
from actors.cli.doctor_etcd import etcd_server
from actors.cli.finding import Finding
from actors.core.errors import PortError
from config.sections import EtcdSection, Snapshot
from sim.etcd_cluster import ServerTls, start_cluster
from sim.etcd_server import EtcdBinary
from tests.contract.certificates import AUTHORITY, Authority

CLOSED = "https://127.0.0.1:1"


@dataclass(frozen=True)
class Secured:
    """The settings that reach it, and who has signed it."""

    section: EtcdSection
    authority: Authority
    folder: Path

    def finding(self, section: EtcdSection) -> Finding:
        """What is found of it with those settings."""
        (found,) = etcd_server(self.section.endpoints[0], section)
        return found


@pytest.fixture(scope="module")
def secured(etcd_binary: EtcdBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """One member with TLS."""
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder / "authority")
    server = ServerTls(authority.ca_file, *authority.issue("server", server=True))
    running = start_cluster(etcd_binary, folder, 1, tls=server)
    cert, key = authority.issue("me")
    where = (f"https://{running.endpoints[0]}",)
    yield Secured(
        EtcdSection(where, ca_file=authority.ca_file, cert_file=cert, key_file=key), authority, folder
    )
    running.stop()


def test_the_clock_of_an_etcd_behind_tls_is_looked_at(
    secured: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the certificates of the settings; by its address as by the name that all its members have."""
    for section in (secured.section, replace(secured.section, server_name=AUTHORITY)):
        found = secured.finding(section)
        assert (found.check, found.severity) == ("clock", "ok"), found
    ours = time.time
    monkeypatch.setattr("actors.cli.doctor_etcd.time.time", lambda: ours() + 60)
    found = secured.finding(secured.section)
    assert (found.check, found.severity) == ("clock", "warn")
    assert "-60 s from ours" in found.text or "-61 s from ours" in found.text
    assert "NTP" in found.remedy


def test_certificates_that_do_not_fit_are_found(secured: Secured) -> None:
    """None of ours, another authority, another name: each is told as such, and which settings to look at."""
    nobody = replace(secured.section, cert_file=None, key_file=None)
    stranger = replace(secured.section, ca_file=Authority(secured.folder / "stranger").ca_file)
    misnamed = replace(secured.section, server_name="other.test")
    for section in (nobody, stranger, misnamed):
        found = secured.finding(section)
        assert (found.check, found.severity) == ("etcd server", "warn"), found
        assert "no TLS with the certificates of the settings" in found.text
        assert "etcd.server_name" in found.remedy


def test_an_etcd_that_cannot_be_reached_for_its_certificate_is_told_so(
    secured: Secured, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole of `doctor`: etcd is an error, and beside it stands which settings to look at, not just to start it."""
    stranger = Authority(tmp_path / "stranger").ca_file
    file = tmp_path / "gatewright.toml"
    endpoints = [CLOSED, *secured.section.endpoints]
    file.write_text(
        f"[etcd]\n{endpoints = }\nca_file = '{stranger}'\nserver_name = '{AUTHORITY}'\ntimeout_s = 1\n"
    )
    given = ["--config", str(file), "--state-dir", str(tmp_path / "state"), "doctor", "--json"]
    assert main(given, lambda *_: pytest.fail("nothing is started")) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert "error" in [one["severity"] for one in findings if one["check"] == "etcd"]
    away, refused = [one for one in findings if one["check"] == "etcd server"]
    assert "127.0.0.1:1 does not answer (Connection refused)" in away["text"]
    assert "CERTIFICATE_VERIFY_FAILED" in refused["text"]
    assert "etcd.ca_file" in refused["remedy"]


def test_several_endpoints_are_reached_by_the_name_that_all_have(secured: Secured) -> None:
    """One is away: the store goes to the other, whose certificate bears the name; under another name it does not."""
    several = (CLOSED, *secured.section.endpoints)
    for name, reached in ((AUTHORITY, True), ("other.test", False)):
        section = replace(secured.section, endpoints=several, server_name=name)
        with closing(wiring.etcd(replace(Snapshot(), etcd=section))) as store:
            if reached:
                assert store.page("/").entries == ()
            else:
                with pytest.raises(PortError, match="Hostname Verification"):
                    store.page("/")
