"""The pages under config/docs are true where that can be checked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from actors.core import drift, history, keys, machine
from actors.core.json_text import compact, text
from actors.core.model import Ref
from actors.core.ownership import CONTROLLERS, VSHARDS, shard_number
from actors.core.remedies import REMEDIES
from actors.core.stages import STAGES
from config.types import load_types

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "config" / "docs"
TYPES = load_types()


def _examples() -> list[tuple[str, bytes]]:
    blocks = re.findall(r"```text\n(/\S+)\n(.*)\n```", (DOCS / "contract.md").read_text())
    return [(key, value.encode()) for key, value in blocks]


def _again(key: str, value: bytes) -> bytes:
    """The value, read and written by the product's codecs."""
    root = next(r for r in ROOTS if key.startswith(r))
    ref = TYPES.ref(key, root) or Ref("", "")
    match root:
        case keys.CONFIG:
            declared = keys.decode_declared(key, value, ref, 0)
            return keys.encode_declared(
                declared.body, declared.version, marked_for_deletion=declared.marked_for_deletion
            )
        case keys.JOBS:
            job = keys.decode_job(key, value)
            assert key == keys.JOBS + job.id
            return keys.encode_job(job)
        case keys.STATE:
            version, error, _ = keys.decode_state(key, value)
            state = json.loads(value)["state"]
            texts = {k: text(json.loads(v)) if k != "worker_state" else v for k, v in state.items()}
            return keys.encode_state(texts, version, error)
        case keys.MONITORING:
            statuses = json.loads(value)
            version = statuses.pop("version")
            return keys.encode_monitoring(statuses, version)
        case keys.ACCEPTED:
            return keys.encode_accepted(keys.decode_accepted(key, value, ref, 0))
        case keys.HEAT_STACKS:
            outputs = keys.decode_outputs(key, value)
            stack = json.loads(value)
            if not stack["stack_id"]:
                return keys.encode_deleted_stack(ref, stack["tenant_id"])
            return keys.encode_heat_stack(
                ref, stack["tenant_id"], stack["stack_status"], stack["status_reason"], outputs
            )
        case keys.DRIFT:
            known = drift.decode(value)
            finding = drift.Finding(ref, known.version, known.drift, known.text)
            return drift.encode(finding, known.found_s)
        case keys.HISTORY:
            assert history.read(value)
            return compact(json.loads(value))
        case _:
            return compact(json.loads(value)) if value.startswith(b"{") else value


ROOTS = (
    keys.CONFIG,
    keys.JOBS,
    keys.STATE,
    keys.MONITORING,
    keys.ACCEPTED,
    keys.HEAT_STACKS,
    keys.JOB_STATE,
    keys.HISTORY,
    keys.TARGETS,
    keys.PAUSE,
    keys.RECONCILE,
    keys.DRIFT,
    CONTROLLERS,
    "/gatewright/shards/",
)


@pytest.mark.parametrize(("key", "value"), _examples(), ids=[key[:48] for key, _ in _examples()])
def test_examples_are_byte_exact(key: str, value: bytes) -> None:
    """What contract.md shows is what the codecs write, to the byte."""
    assert _again(key, value) == value


def test_every_family_of_keys_has_an_example() -> None:
    """No key that we write is missing; attempts are described without one."""
    shown = {next(root for root in ROOTS if key.startswith(root)) for key, _ in _examples()}
    assert shown == set(ROOTS)
    page = (DOCS / "contract.md").read_text()
    assert f"`{keys.ATTEMPTS}<path>`" in page
    assert f"{VSHARDS} virtual" in page
    assert any(shard_number(key) is not None for key, _ in _examples())


def test_diagram_is_the_machine() -> None:
    """The drawing in architecture.md is what the table draws."""
    assert f"```mermaid\n{machine.mermaid()}\n```" in (DOCS / "architecture.md").read_text()


def test_every_stage_is_explained() -> None:
    """operations.md has each stage that an operator can see."""
    page = (DOCS / "operations.md").read_text()
    table = page[page.index("| stage |") : page.index("## Reasons")]
    assert {name for name in STAGES if f"`{name}`" not in table} == set()


def test_every_remedy_is_listed() -> None:
    """operations.md says of each error what the product says."""
    page = (DOCS / "operations.md").read_text()
    assert [part for part, text in REMEDIES if f"| `{part}` | {text} |" not in page] == []


@pytest.mark.parametrize("page", [*sorted(DOCS.glob("*.md")), ROOT / "README.md"], ids=lambda p: p.name)
def test_named_files_exist(page: Path) -> None:
    """A path in a page leads somewhere."""
    named = re.findall(r"`((?:actors|config|sim|tests)/[\w./-]+)`", page.read_text())
    beside = re.findall(r"`(\w+\.md)`", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert [name for name in beside if not (DOCS / name).exists() and not (ROOT / name).exists()] == []


def test_named_settings_exist() -> None:
    """A setting in operations.md is one of config/sections.py."""
    import dataclasses

    from config.sections import Snapshot

    snapshot = Snapshot()
    sections = {f.name: getattr(snapshot, f.name) for f in dataclasses.fields(snapshot) if f.name != "origin"}
    for page in DOCS.glob("*.md"):
        for section, name in re.findall(rf"`({'|'.join(sections)})\.(\w+)`", page.read_text()):
            if name not in ("py", "md"):
                assert hasattr(sections[section], name), f"{page.name}: {section}.{name}"
