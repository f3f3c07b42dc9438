"""etcd as seen by somebody else than the product: plain HTTP, every revision exactly.

Not the product's own adapter: who checks a writer should not read through its eyes, the port gives no revision
for a deletion, and a test process that never touches gRPC may start processes freely.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

#: Who owns what at present: changes with every start and is no JSON.
OWNERSHIP = ("/gatewright/owner", "/gatewright/controllers/", "/gatewright/shards/")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one key. `value` None: it was deleted."""

    revision: int
    key: str
    value: bytes | None

    @property
    def json(self) -> Any:
        """The value decoded; None for a deletion."""
        return None if self.value is None else json.loads(self.value)


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _text(kv: dict[str, str], member: str) -> bytes:
    return base64.b64decode(kv.get(member, ""))


def _change(event: dict[str, Any]) -> Change:
    kv, deleted = event["kv"], event.get("type") == "DELETE"
    value = None if deleted else _text(kv, "value")
    return Change(int(kv["mod_revision"]), _text(kv, "key").decode(), value)


class Etcd:
    """One etcd, by `host:port`."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def _open(self, path: str, body: object, timeout_s: float) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self.endpoint, timeout=timeout_s)
        connection.request("POST", path, json.dumps(body))
        return connection

    def _call(self, path: str, body: object) -> Any:
        with contextlib.closing(self._open(path, body, 5.0)) as connection:
            response = connection.getresponse()
            answer = json.loads(response.read())
            assert response.status == 200, answer
            return answer

    def put(self, key: str, value: bytes) -> int:
        """Write one key, as the API server does; the revision."""
        body = {"key": _b64(key), "value": base64.b64encode(value).decode()}
        return int(self._call("/v3/kv/put", body)["header"]["revision"])

    def range(self, prefix: str = "/") -> dict[str, bytes]:
        """All keys that begin with `prefix`. Raises OSError while etcd is down."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        answer = self._call("/v3/kv/range", {"key": _b64(prefix), "range_end": _b64(end)})
        return {_text(kv, "key").decode(): _text(kv, "value") for kv in answer.get("kvs", ())}

    def values(self) -> dict[str, Any]:
        """All keys with their decoded values, but for ownership and what is no JSON."""
        values = {}
        for key, value in self.range().items():
            with contextlib.suppress(ValueError):
                if not key.startswith(OWNERSHIP):
                    values[key] = json.loads(value)
        return values

    def get(self, key: str) -> Any:
        """The decoded value of a key, or None if it is not there or etcd is down."""
        try:
            answer = self._call("/v3/kv/range", {"key": _b64(key)})
        except (OSError, http.client.HTTPException):
            return None
        return json.loads(_text(answer["kvs"][0], "value")) if answer.get("kvs") else None

    def revision(self) -> int:
        """The present revision."""
        return int(self._call("/v3/kv/range", {"key": _b64("/")})["header"]["revision"])

    def history(self, since: int = 1) -> list[Change]:
        """Every change after revision `since` until now. etcd keeps all of it for at least five minutes."""
        now = self.revision()
        changes: list[Change] = []
        for batch in self._watch(since + 1) if now > since else ():
            changes += [change for change in batch if change.revision <= now]
            if batch and batch[-1].revision >= now:
                break
        return changes

    def _watch(self, revision: int) -> Iterator[list[Change]]:
        """Changes from `revision` on, whole revisions each. Raises TimeoutError after 10 s of silence."""
        create = {"key": _b64("/"), "range_end": _b64("0"), "start_revision": str(revision)}
        with contextlib.closing(self._open("/v3/watch", {"create_request": create}, 10.0)) as connection:
            with connection.getresponse() as response:
                for line in response:
                    answer = json.loads(line)["result"]
                    assert not answer.get("compact_revision"), "history is gone"
                    yield [_change(event) for event in answer.get("events", ())]

    def requests(self) -> dict[str, int]:
        """How often each gRPC method was called successfully so far, by name, from etcd's own metrics."""
        connection = http.client.HTTPConnection(self.endpoint, timeout=5.0)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        pattern = r'grpc_server_handled_total\{grpc_code="OK",grpc_method="(\w+)",[^}]*\} (\S+)'
        return {method: int(float(count)) for method, count in re.findall(pattern, text)}
