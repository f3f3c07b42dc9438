"""The seed's gateway, an update and a delete: on OpenStack's own Heat and on the embedded one the same keys."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sim.real_heat.environment import NoRealHeatError, heat_python, required
from tests.e2e.harness import LOGICAL_PORT, PORT, Product, eventually

KEPT = ("/state/", "/monitoring/", "/esi-worker/", "/jobs/", "/config/")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SUFFIX = re.compile(r"(:\d+):[a-z0-9]{5}\b")


def plain(value: Any, declared: set[str]) -> Any:
    """Without what is new in every run: ids that Heat gave, suffixes of jobs, the order of outputs."""
    if isinstance(value, str):
        if value[:2] in ("[]", "[{", "{}", '{"'):  # JSON inside JSON
            return plain(json.loads(value), declared)
        ids = _UUID.sub(lambda found: found[0] if found[0] in declared else "<id>", value)
        return _SUFFIX.sub(r"\1:*", ids)
    if isinstance(value, list):
        made = [plain(one, declared) for one in value]
        named = bool(made) and all(isinstance(one, dict) and "output_key" in one for one in made)
        return sorted(made, key=lambda one: str(one["output_key"])) if named else made
    if isinstance(value, dict):
        return {key: plain(one, declared) for key, one in value.items()}
    return value


def declare(product: Product, path: str, *, marked: bool = False, **changes: Any) -> None:
    """Write the next version of a resource, as the API server does."""
    key = f"/config/v2.0/{path}"
    config = product.etcd.values()[key]
    body = json.loads(config["body"]) if isinstance(config["body"], str) else config["body"]
    version = config["version"] + 1
    text = json.dumps({**body, **changes})
    following = {**config, "version": version, "body": text, "marked_for_deletion": marked}
    product.etcd.put(key, json.dumps(following).encode())
    eventually(
        lambda: product.etcd.values().get(f"/state/v2.0/{path}", {}).get("version") == version,
        timeout_s=180,
        what=f"{path} version {version}",
    )


def story(folder: Path, kind: str) -> list[dict[str, Any]]:
    """All keys after the gateway is built, after an update and after a delete."""
    chapters = []
    with Product(folder, "--heat", kind, STANDALONE__RESOURCE_SECONDS=0.1) as product:
        product.built(300)
        steps: tuple[Callable[[], None], ...] = (
            lambda: None,
            lambda: declare(product, PORT, name="renamed"),
            lambda: declare(product, LOGICAL_PORT, marked=True),
        )
        for step in steps:
            step()
            values = {key: value for key, value in product.etcd.values().items() if key.startswith(KEPT)}
            declared = set(
                _UUID.findall(
                    "".join(key for key in values)
                    + json.dumps([value for key, value in values.items() if key.startswith("/config/")])
                )
            )
            chapters.append({key: plain(value, declared) for key, value in values.items()})
        errors = [
            v["error"] for k, v in product.etcd.values().items() if k.startswith("/state/") and v.get("error")
        ]
        assert errors == []
        names = sorted(one["stack_name"] for one in product.stacks())
        chapters.append({"stacks": names})
    return chapters


@pytest.mark.timeout(900)
def test_the_same_keys_with_either_heat(tmp_path: Path) -> None:
    """Built, updated and deleted: every key and value is the same but for ids that Heat gives."""
    try:
        heat_python()
    except NoRealHeatError as error:
        if required():
            raise
        pytest.skip(str(error))
    real, embedded = story(tmp_path / "real", "real"), story(tmp_path / "embedded", "embedded")
    for theirs, ours in zip(real, embedded, strict=True):
        assert theirs.keys() == ours.keys()
        assert {key: (theirs[key], ours[key]) for key in ours if theirs[key] != ours[key]} == {}
    assert len(real[0]) > 60
