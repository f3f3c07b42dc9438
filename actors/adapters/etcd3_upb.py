"""Makes the unmodified package `etcd3==0.12.0` load on protobuf's C backend (upb), protobuf 5 and later.

Its generated `*_pb2.py` predate protobuf 3.19 and are refused there. Only the descriptor bytes inside them
matter: they are read from the source text (no generated code is executed), the wire fields that etcd 3.4
knows and etcd3 does not are added, and fresh message classes are put under the names `etcd3.etcdrpc` imports.

Guarantees: no environment variable, no global protobuf state (the descriptor pool is private, so another
package may have its own "rpc.proto"); repeated calls are harmless. Does not guarantee anything for another
release of etcd3: the package is pinned, and a missing descriptor is an ImportError, never a guess.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal import enum_type_wrapper

_FILES = ("kv", "auth", "rpc")  # in order of import
_FIELD = descriptor_pb2.FieldDescriptorProto


def install() -> None:
    """Register the message modules of etcd3. Raises ImportError if etcd3 is absent or already imported."""
    if _module_name("rpc") in sys.modules:
        if getattr(sys.modules[_module_name("rpc")], "__upb__", False):
            return
        raise ImportError("etcd3 was imported before its protobuf shim")
    spec = importlib.util.find_spec("etcd3")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("package etcd3 is not installed")
    folder = Path(spec.submodule_search_locations[0]) / "etcdrpc"
    pool = descriptor_pool.DescriptorPool()
    for name in _FILES:
        file = descriptor_pb2.FileDescriptorProto.FromString(_descriptor_bytes(folder / f"{name}_pb2.py"))
        if name == "rpc":
            _add_newer_fields(file)
        pool.Add(file)
    for name in _FILES:
        sys.modules[_module_name(name)] = _message_module(name, pool.FindFileByName(f"{name}.proto"))


def _module_name(name: str) -> str:
    return f"etcd3.etcdrpc.{name}_pb2"


def _descriptor_bytes(path: Path) -> bytes:
    """The argument `serialized_pb=_b('…')` of the generated file: Latin-1 text holding the descriptor."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        for keyword in node.keywords:
            if keyword.arg != "serialized_pb":
                continue
            literal = keyword.value
            if isinstance(literal, ast.Call):
                literal = literal.args[0]
            value = ast.literal_eval(literal)
            return value if isinstance(value, bytes) else str(value).encode("latin1")
    raise ImportError(f"no protobuf descriptor in {path.name}: not etcd3 0.12.0?")


def _add_newer_fields(file: Any) -> None:
    """The fields of etcd 3.4's rpc.proto that we use and etcd3 0.12.0 does not know."""
    messages = {message.name: message for message in file.message_type}
    file.message_type.add(name="WatchProgressRequest")
    _add(messages["WatchCreateRequest"], "fragment", 8, _FIELD.TYPE_BOOL)
    _add(messages["WatchResponse"], "fragment", 7, _FIELD.TYPE_BOOL)
    progress = _add(messages["WatchRequest"], "progress_request", 3, _FIELD.TYPE_MESSAGE)
    _add(messages["StatusResponse"], "errors", 8, _FIELD.TYPE_STRING).label = _FIELD.LABEL_REPEATED
    _add(messages["StatusResponse"], "dbSizeInUse", 9, _FIELD.TYPE_INT64)
    progress.type_name = ".etcdserverpb.WatchProgressRequest"
    progress.oneof_index = 0


def _add(message: Any, name: str, number: int, kind: int) -> Any:
    if any(field.name == name or field.number == number for field in message.field):
        raise ImportError(f"{message.name}.{name} exists: not etcd3 0.12.0?")
    return message.field.add(name=name, number=number, type=kind, label=_FIELD.LABEL_OPTIONAL)


def _message_module(name: str, file: Any) -> types.ModuleType:
    module = types.ModuleType(_module_name(name))
    members: dict[str, Any] = {"DESCRIPTOR": file, "__upb__": True}
    for message, descriptor in file.message_types_by_name.items():
        members[message] = message_factory.GetMessageClass(descriptor)
    for enum, descriptor in file.enum_types_by_name.items():
        members[enum] = enum_type_wrapper.EnumTypeWrapper(descriptor)
        members.update((value.name, value.number) for value in descriptor.values)
    vars(module).update(members)
    return module
