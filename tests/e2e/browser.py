"""A headless Chromium driven by the WebDriver protocol, for the dashboard."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.e2e.harness import eventually

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
)
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def missing() -> str:
    """Why there is no browser to test with; "" if there is one."""
    if shutil.which("chromium") and shutil.which("chromedriver"):
        return ""
    return "chromium and chromedriver are not installed (apt-get install chromium chromium-driver)"


class Browser:
    """One window. Use as a context manager; nothing of it is left behind."""

    def __init__(self, *flags: str) -> None:
        # a short path: the browser puts sockets into it
        self._profile = Path(tempfile.mkdtemp(prefix="gw-browser-"))
        self._flags = [*FLAGS, *flags, f"--user-data-dir={self._profile}"]

    def __enter__(self) -> Browser:
        environment = {**os.environ, "TMPDIR": str(self._profile)}
        self._driver = subprocess.Popen(
            ["chromedriver", "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
            start_new_session=True,
        )
        try:
            self._begin()
        except BaseException:
            self._end()
            raise
        return self

    def _begin(self) -> None:
        assert self._driver.stdout is not None
        found = None
        while found is None:
            line = self._driver.stdout.readline()
            assert line, "chromedriver ended"
            found = re.search(r"started successfully on port (\d+)", line)
        self._base = f"http://127.0.0.1:{found[1]}"
        options = {"goog:chromeOptions": {"args": self._flags, "binary": shutil.which("chromium")}}
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": options}})
        self._base += f"/session/{made['sessionId']}"

    def _end(self) -> None:
        os.killpg(self._driver.pid, signal.SIGKILL)
        self._driver.wait()
        if self._driver.stdout is not None:
            self._driver.stdout.close()
        shutil.rmtree(self._profile, ignore_errors=True)

    def __exit__(self, *_: object) -> None:
        try:
            self._call("DELETE", "")
        finally:
            self._end()

    def open(self, url: str) -> None:
        """Go there."""
        self._call("POST", "/url", {"url": url})

    def size(self, width: int, height: int) -> None:
        """As wide and high as that."""
        self._call("POST", "/window/rect", {"width": width, "height": height})

    def script(self, text: str, *arguments: Any) -> Any:
        """Run a script and return its value."""
        return self._call("POST", "/execute/sync", {"script": text, "args": list(arguments)})

    def text(self, selector: str = "body") -> str:
        """What can be read there; "" if there is no such element."""
        found = self.script(
            "const n = document.querySelector(arguments[0]); return n ? n.innerText : ''", selector
        )
        return str(found)

    def shows(self, *words: str, selector: str = "body", timeout_s: float = 20.0) -> None:
        """Wait until all words can be read there."""
        eventually(lambda: all(w in self.text(selector) for w in words), timeout_s, f"{words} in {selector}")

    def click(self, selector: str) -> None:
        """Click the first such element."""
        self._call("POST", f"/element/{self._find(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        """Type into it."""
        self._call("POST", f"/element/{self._find(selector)}/value", {"text": text})

    def press(self, key: str) -> None:
        """One key, for whatever has the focus. Tab is \\ue004, Enter \\ue007."""
        keys = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": keys}]})

    def shot(self, file: Path) -> None:
        """A picture of what can be seen."""
        file.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def _find(self, selector: str) -> str:
        body = {"using": "css selector", "value": selector}
        return str(self._call("POST", "/element", body)[ELEMENT])

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(
            self._base + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()[:500]) from None
