"""Certificates and keys that the settings name are tried before anything connects with them."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

import pytest

from actors.cli import rendezvous
from actors.cli.context import Context, UsageError
from actors.cli.reach import connected, effective
from actors.cli.rendezvous import Running
from config import tls
from config.sections import EtcdSection, HeatSection, OtelSection, PathsSection, Snapshot
from config.settings import SettingsError
from tests.contract.certificates import Authority


def refused(settings: Snapshot) -> str:
    """The one line that says why."""
    with pytest.raises(SettingsError) as raised:
        tls.check(settings)
    assert len(str(raised.value).splitlines()) == 1
    return str(raised.value)


def test_what_can_be_used_is_taken(tmp_path: Path) -> None:
    """No files at all; an authority; and a certificate with its key."""
    authority = Authority(tmp_path)
    cert, key = authority.issue("me")
    tls.check(Snapshot())
    etcd = EtcdSection(ca_file=authority.ca_file, cert_file=cert, key_file=key)
    tls.check(replace(Snapshot(), etcd=etcd, otel=OtelSection(ca_file=authority.ca_file)))
    assert tls.context("etcd", etcd).cert_store_stats()["x509_ca"] == 1, "nobody else is trusted"


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    """Not there, not PEM, a key of another certificate: the setting, the file and the reason."""
    authority = Authority(tmp_path)
    (cert, key), (_, other) = authority.issue("me"), authority.issue("other")
    away, text = tmp_path / "away", tmp_path / "text"
    text.write_text("hello")
    ca = authority.ca_file
    etcd, heat, otel = (
        refused(replace(Snapshot(), etcd=EtcdSection(ca_file=ca, cert_file=cert, key_file=away))),
        refused(
            replace(Snapshot(), heat=HeatSection(endpoint="https://h/v1", cert_file=cert, key_file=other))
        ),
        refused(replace(Snapshot(), otel=OtelSection(ca_file=text))),
    )
    assert etcd == f"etcd.key_file: {away} cannot be used: No such file or directory"
    assert heat.startswith(f"heat.cert_file: {cert} cannot be used: ")
    assert "MISMATCH" in heat.upper()
    assert otel.startswith(f"otel.ca_file: {text} cannot be used: ")
    tls.check(replace(Snapshot(), etcd=EtcdSection(ca_file=ca, cert_file=cert, key_file=key)), "etcd")


def test_who_only_asks_needs_those_of_etcd_only(tmp_path: Path) -> None:
    """An operator who may not read Heat's key can ask all the same; etcd's own are tried before it is dialled."""
    ca = Authority(tmp_path).ca_file
    etcd = EtcdSection(("https://127.0.0.1:1",), ca_file=ca)
    heat = HeatSection(endpoint="https://h/v1", ca_file=tmp_path / "away")

    def ask(settings: Snapshot) -> None:
        with connected(Context(settings, lambda *_: None, argparse.Namespace(), {})):  # type: ignore[arg-type]
            pass

    ask(replace(Snapshot(), etcd=etcd, heat=heat))
    with pytest.raises(SettingsError, match=r"etcd\.ca_file"):
        ask(replace(Snapshot(), etcd=replace(etcd, ca_file=tmp_path / "away")))


def test_a_system_with_tls_is_not_found_by_its_state_folder_alone(tmp_path: Path) -> None:
    """Its addresses are there, whom to trust is not: one line says that the settings are to be given."""
    rendezvous.write(tmp_path, Running(os.getpid(), etcd=("https://127.0.0.1:1",)))
    with pytest.raises(
        UsageError, match=r"not given here \(--config, GATEWRIGHT_\*\): etcd\.endpoints: https"
    ):
        effective(replace(Snapshot(), paths=PathsSection(state_dir=tmp_path)))
