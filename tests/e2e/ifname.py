"""ifName as the kernel has it at this moment, with _ for /: net-snmp keeps the old name of a row that is replaced.

A pass_persist script of snmpd: needs nothing but Python, and ends with its pipe.
"""

import sys
from pathlib import Path

BASE = ".1.3.6.1.2.1.31.1.1.1.1"


def rows() -> dict[int, str]:
    """ifIndex → name, ascending."""
    found = {}
    for path in Path("/sys/class/net").iterdir():
        try:
            found[int((path / "ifindex").read_text())] = path.name.replace("_", "/")
        except OSError:
            continue
    return dict(sorted(found.items()))


def answer(command: str, oid: str) -> str:
    """To get or getnext of an OID."""
    asked = [int(arc) for arc in oid.removeprefix(BASE).strip(".").split(".") if arc]
    known = rows()
    if command == "get":
        match = asked[0] if len(asked) == 1 else -1
    else:
        match = next((index for index in known if [index] > asked), -1)
    return f"{BASE}.{match}\nstring\n{known[match]}" if match in known else "NONE"


def main() -> None:
    """Answer until the pipe ends."""
    while line := sys.stdin.readline():
        command = line.strip()
        if command == "PING":
            text = "PONG"
        elif command in ("get", "getnext"):
            text = answer(command, sys.stdin.readline().strip())
        else:
            text = "NONE"
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
