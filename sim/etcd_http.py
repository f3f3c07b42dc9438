"""etcd as seen by somebody else than the product: plain HTTP (its JSON gateway), every revision exactly.

Not the product's own adapter: who checks a writer should not read through its eyes, the port gives no revision
for a deletion, and a process that never touches gRPC may start processes freely. Every call raises OSError or
HTTPException while etcd cannot be reached or does not answer.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from actors.ports import Entry

#: Who owns what at present: changes with every start and is no JSON.
OWNERSHIP = ("/gatewright/owner", "/gatewright/controllers/", "/gatewright/shards/")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one key. `value` None: it was deleted. `created`: the revision that created it."""

    revision: int
    key: str
    value: bytes | None
    created: int = 0

    @property
    def entry(self) -> Entry:
        """What was put."""
        assert self.value is not None, "a deletion leaves nothing"
        return Entry(self.key, self.value, self.revision, self.created)

    @property
    def json(self) -> Any:
        """The value decoded; None for a deletion."""
        return None if self.value is None else json.loads(self.value)


def _b64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()


def _text(kv: dict[str, str], member: str) -> bytes:
    return base64.b64decode(kv.get(member, ""))


def _change(event: dict[str, Any]) -> Change:
    kv, deleted = event["kv"], event.get("type") == "DELETE"
    value = None if deleted else _text(kv, "value")
    return Change(int(kv["mod_revision"]), _key(kv), value, int(kv.get("create_revision", 0)))


def _key(kv: dict[str, str]) -> str:
    return _text(kv, "key").decode("utf-8", "surrogateescape")


class Refused(OSError):
    """etcd answers, and will not or cannot do it now. The text is its own."""


class Compacted(RuntimeError):
    """The history that was asked for is gone."""


class Etcd:
    """One etcd, by `host:port`. `timeout_s`: of one call."""

    def __init__(self, endpoint: str, timeout_s: float = 5.0) -> None:
        self.endpoint = endpoint
        self._timeout_s = timeout_s

    def _open(self, path: str, body: object, timeout_s: float) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self.endpoint, timeout=timeout_s)
        connection.request("POST", path, json.dumps(body))
        return connection

    def _call(self, path: str, body: object) -> Any:
        with contextlib.closing(self._open(path, body, self._timeout_s)) as connection:
            response = connection.getresponse()
            answer = json.loads(response.read())
            if response.status != 200:
                raise Refused(str(answer))
            return answer

    def put(self, key: str, value: bytes) -> int:
        """Write one key, as the API server does; the revision."""
        body = {"key": _b64(key), "value": base64.b64encode(value).decode()}
        return int(self._call("/v3/kv/put", body)["header"]["revision"])

    def write(self, values: Mapping[str, bytes | None]) -> int:
        """Write or (None) delete many keys in one transaction; the revision."""
        operations = []
        for key, value in values.items():
            if value is None:
                operations.append({"request_delete_range": {"key": _b64(key)}})
            else:
                put = {"key": _b64(key), "value": base64.b64encode(value).decode()}
                operations.append({"request_put": put})
        return int(self._call("/v3/kv/txn", {"success": operations})["header"]["revision"])

    def compact(self, revision: int) -> None:
        """Throw away all history before that revision."""
        self._call("/v3/kv/compaction", {"revision": str(revision)})

    def leads(self) -> bool:
        """Whether this member is the leader of its cluster."""
        answer = self._call("/v3/maintenance/status", {})
        return bool(answer.get("leader") == answer["header"]["member_id"])

    def range(self, prefix: str = "/") -> dict[str, bytes]:
        """All keys that begin with `prefix`. Raises OSError while etcd is down."""
        return self.snapshot(prefix)[1]

    def snapshot(self, prefix: str = "/") -> tuple[int, dict[str, bytes]]:
        """The same, with the revision at which it was so."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        answer = self._call("/v3/kv/range", {"key": _b64(prefix), "range_end": _b64(end)})
        values = {_key(kv): _text(kv, "value") for kv in answer.get("kvs", ())}
        return int(answer["header"]["revision"]), values

    def values(self) -> dict[str, Any]:
        """All keys with their decoded values, but for ownership and what is no JSON."""
        values = {}
        for key, value in self.range().items():
            with contextlib.suppress(ValueError, RecursionError):
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

    def entry(self, key: str) -> Entry | None:
        """A key as it is now."""
        for kv in self._call("/v3/kv/range", {"key": _b64(key)}).get("kvs", ()):
            return Entry(key, _text(kv, "value"), int(kv["mod_revision"]), int(kv["create_revision"]))
        return None

    def revision(self) -> int:
        """The present revision."""
        return int(self._call("/v3/kv/range", {"key": _b64("/")})["header"]["revision"])

    def history(self, since: int = 1) -> list[Change]:
        """Every change after revision `since` until now. etcd keeps all of it for at least five minutes."""
        now = self.revision()
        changes: list[Change] = []
        for batch in self.watch(since + 1) if now > since else ():
            changes += [change for change in batch if change.revision <= now]
            if batch and batch[-1].revision >= now:
                break
        return changes

    def watch(self, revision: int, silence_s: float = 10.0) -> Iterator[list[Change]]:
        """Changes from `revision` on, whole revisions each. Raises TimeoutError after `silence_s` without any, and
        Compacted."""
        create = {"key": _b64("/"), "range_end": _b64("0"), "start_revision": str(revision)}
        with (
            contextlib.closing(self._open("/v3/watch", {"create_request": create}, silence_s)) as connection,
            connection.getresponse() as response,
        ):
            for line in response:
                answer = json.loads(line).get("result") or {"canceled": line}
                if answer.get("compact_revision"):
                    raise Compacted(f"history before {answer['compact_revision']} is gone")
                if answer.get("canceled"):
                    raise Refused(str(answer))
                yield [_change(event) for event in answer.get("events", ())]

    def requests(self) -> dict[str, int]:
        """How often each gRPC method was called successfully so far, by name, from etcd's own metrics."""
        connection = http.client.HTTPConnection(self.endpoint, timeout=5.0)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        pattern = r'grpc_server_handled_total\{grpc_code="OK",grpc_method="(\w+)",[^}]*\} (\S+)'
        return {method: int(float(count)) for method, count in re.findall(pattern, text)}
