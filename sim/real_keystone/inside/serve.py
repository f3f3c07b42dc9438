"""`python -m sim.real_keystone.inside.serve --state DIR`: Keystone's API in this process.

Prints `READY <url>` and serves until it is told to stop. Runs on the Python of the Keystone environment.
Guarantees: loopback only; dies with its parent; the state folder begins empty and holds one administrator.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_CONFIG = """\
[DEFAULT]
log_file = {state}/keystone.log
[database]
connection = sqlite:///{state}/keystone.sqlite
[token]
provider = fernet
[fernet_tokens]
key_repository = {state}/fernet-keys
[credential]
key_repository = {state}/credential-keys
[oslo_messaging_notifications]
driver = noop
"""


def main() -> None:
    """Make the database and the keys, then serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--admin-password", required=True)
    parser.add_argument("--parent-pid", type=int, required=True)
    options = parser.parse_args()
    _die_with(options.parent_pid)
    state = options.state.resolve()
    file = state / "keystone.conf"
    file.write_text(_CONFIG.format(state=state))
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    me = ["--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid())]
    bootstrap = ["--bootstrap-password", options.admin_password, "--bootstrap-region-id", "RegionOne"]
    for interface in ("public", "internal", "admin"):
        bootstrap += [f"--bootstrap-{interface}-url", url + "/v3"]
    for command in (
        ["db_sync"],
        ["fernet_setup", *me],
        ["credential_setup", *me],
        ["bootstrap", *bootstrap],
    ):
        tool = Path(sys.executable).with_name("keystone-manage")
        manage = [sys.executable, "-W", "ignore", str(tool), "--config-file", str(file)]
        subprocess.run([*manage, *command], check=True, stdout=sys.stderr)  # noqa: S603 - our own command
    _serve(file, listener, url)


def _die_with(parent: int) -> None:
    """Die with the parent, at once by the kernel's help (Linux), within a second elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _serve(file: Path, listener: socket.socket, url: str) -> None:
    """Never returns."""
    os.environ["OS_KEYSTONE_CONFIG_FILES"] = str(file)
    del sys.argv[1:]  # Keystone reads them, too
    import waitress
    from keystone.server import wsgi

    server = waitress.create_server(wsgi.initialize_public_application(), sockets=[listener], threads=8)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print(f"READY {url}", flush=True)
    server.run()


if __name__ == "__main__":
    main()
