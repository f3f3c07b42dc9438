"""net-snmp's agent with SNMPv3 and made-up ports, on every address of loopback."""

from __future__ import annotations

from pathlib import Path

from tests.contract.snmpd import Snmpd

USER, KEY = "bench", "not a secret at all"


def snmpd_v3(directory: Path, ports: tuple[str, ...]) -> Snmpd:
    """It has these ports from index 501 on, all up, and answers USER with KEY (SHA-256, AES)."""
    rows = [
        line
        for index, name in enumerate(ports, 501)
        for line in (
            f'override .1.3.6.1.2.1.31.1.1.1.1.{index} octet_str "{name}"',
            f"override .1.3.6.1.2.1.2.2.1.8.{index} integer 1",
        )
    ]
    running = Snmpd(directory, address="0.0.0.0")
    running.start(f'createUser {USER} SHA-256 "{KEY}" AES "{KEY}"', f"rouser {USER} priv", *rows)
    return running
