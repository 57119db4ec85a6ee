"""What Cyclone must know of a ROS type: its structure, for discovery and for checking what arrives.

Cyclone's binding describes types by classes and converts samples with them. Here the classes serve only
the description; `codec.py` converts. `byte` is declared as `uint8`, which it is on the wire: the binding
cannot carry it otherwise.
"""

from __future__ import annotations

import copy
import dataclasses
import threading
from typing import Any

from cyclonedds.idl import IdlStruct, make_idl_struct
from cyclonedds.idl import types as idl
from cyclonedds.idl._support import Endianness

from hardware.dds.names import dds_type
from hardware.dds.types import Field, Types

_PRIMITIVES = {
    "bool": bool,
    "byte": idl.uint8,
    "char": idl.uint8,
    **{
        f"{kind}{bits}": getattr(idl, f"{kind}{bits}") for kind in ("int", "uint") for bits in (8, 16, 32, 64)
    },
    "float32": idl.float32,
    "float64": idl.float64,
}
_lock = threading.Lock()
_classes: dict[tuple[str, str, bool], type[IdlStruct]] = {}


def idl_class(types: Types, name: str, *, is_service: bool = False) -> type[IdlStruct]:
    """Return Cyclone's description of a message type.

    Args:
        types: The distribution's types.
        name: Type of message.
        is_service: Whether rmw_cyclonedds' header of requests and responses precedes the message.
    """
    with _lock:
        return _describe(types, name, is_service)


def _describe(types: Types, name: str, is_service: bool) -> type[IdlStruct]:
    key = (types.distro, name, is_service)
    if key not in _classes:
        header = {"guid": idl.uint64, "seq": idl.int64} if is_service else {}
        members = {field.name: _annotation(types, field) for field in types.fields(name)}
        short = name.rsplit("/", 1)[-1]
        typename = dds_type(name).replace("::", ".")
        _classes[key] = make_idl_struct(f"{short}_", typename, {**header, **members})
        if is_service:
            _announce_without_header(_classes[key], _describe(types, name, False))
    return _classes[key]


def _announce_without_header(cls: type[IdlStruct], message: type[IdlStruct]) -> None:
    """Have a service's type be compared with those of others without its header.

    Newer rmw_cyclonedds announces the structure of requests and responses without the header that travels
    in front of them. Cyclone compares minimal types and checks samples by the complete one, so the former
    is taken from the bare message. Older ones announce no structure: there the names decide.
    """
    description: Any = cls.__idl__
    bare: Any = message.__idl__
    for each in (description, bare):
        each.populate()
        each.fill_type_data()
    info, mapping = (copy.copy(part) for part in description._xt_data)
    bare_info, bare_mapping = bare._xt_data
    old, new = (part.minimal.typeid_with_size.type_id for part in (info, bare_info))
    info.minimal = bare_info.minimal
    mapping.identifier_object_pair_minimal = bare_mapping.identifier_object_pair_minimal
    mapping.identifier_complete_minimal = [
        dataclasses.replace(
            pair,
            type_identifier1=new if pair.type_identifier1 == old else pair.type_identifier1,
            type_identifier2=new if pair.type_identifier2 == old else pair.type_identifier2,
        )
        for pair in mapping.identifier_complete_minimal
    ]
    description._xt_data = (info, mapping)
    description._xt_bytedata = tuple(
        part.serialize(endianness=Endianness.Little, use_version_2=True)[4:] for part in (info, mapping)
    )


def _annotation(types: Types, field: Field) -> Any:
    if field.is_nested:
        base = _describe(types, field.base, False)
    elif field.base == "string":
        base = idl.bounded_str[field.bound] if field.bound else str
    else:
        base = _PRIMITIVES[field.base]
    if field.kind == "one":
        return base
    if field.kind == "array":
        return idl.array[base, field.size]
    return idl.sequence[base, field.size] if field.size else idl.sequence[base]
