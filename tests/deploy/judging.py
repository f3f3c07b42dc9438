"""What both trials judge by: /readyz of the controller, and the etcd that it is given."""

from __future__ import annotations

import time
import tomllib
import urllib.request
from collections.abc import Callable
from pathlib import Path

from sim.etcd_http import Etcd
from tests.deploy.peers import PORT

#: How long one HTTP request may take, in seconds.
ANSWER_S = 60.0
#: Seconds in which whatever is under way comes to pass, also in an emulated machine on a busy one.
PATIENCE_S = 900.0


def until(what: str, holds: Callable[[], bool]) -> float:
    """Wait for it; the seconds it took. Raises TimeoutError."""
    begun = time.monotonic()
    while not holds():
        if time.monotonic() - begun > PATIENCE_S:
            raise TimeoutError(f"not within {PATIENCE_S:.0f} s: {what}")
        time.sleep(0.05)
    return time.monotonic() - begun


def ready() -> bool:
    """Whether /readyz says so."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz", timeout=ANSWER_S) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def etcd(settings: Path) -> Etcd:
    """The etcd that the controller with these settings is given."""
    endpoint: str = tomllib.loads(settings.read_text())["etcd"]["endpoints"][0]
    return Etcd(endpoint.removeprefix("http://"))
