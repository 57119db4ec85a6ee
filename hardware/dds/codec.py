"""Messages to and from CDR, little endian, as ROS 2 writes it (XCDR1, final structs).

A type's codec is a list of steps, composed once: runs of scalars (`scalars.py`), strings and numbers
(`fields.py`), and messages, which have steps of their own. Names of joints, which repeat in every message,
are compared with the last ones before they are encoded or decoded again.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

from hardware.dds.cdr import (
    COUNT,
    HEADER,
    CdrError,
    Step,
    aligned,
    check_class,
    check_size,
    pad,
    read_count,
)
from hardware.dds.fields import Numbers, String, Strings
from hardware.dds.scalars import Run
from hardware.dds.types import Field, Message, Types

__all__ = ["CdrError", "Codec"]


class Codec:
    """Reads and writes messages of one type; safe from any thread."""

    def __init__(self, types: Types, name: str, prefix: str = "") -> None:
        """Compose it.

        Args:
            types: The distribution's types.
            name: Type of message.
            prefix: `struct` format of what precedes the message (the header of a service), 16 bytes.
        """
        self.cls: Final = types.message_class(name)
        self._steps = _steps(types, self.cls)
        self._prefix = struct.Struct("<" + prefix)

    def encode(self, message: Any, *prefix: int) -> bytearray:
        """Return the sample.

        Raises:
            ValueError: The message is of another type, or a field does not fit its type; names it.
        """
        out = bytearray(HEADER)
        out += self._prefix.pack(*prefix)
        check_class(message, self.cls, "message")
        try:
            for step in self._steps:
                step.write(out, message)
        except (ValueError, struct.error, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"{self.cls.TYPE}: {error}") from error
        out += bytes(-len(out) % 4)
        return out

    def decode(self, data: bytes) -> Message:
        """Return the message.

        Raises:
            CdrError: The bytes are no sample of the type.
        """
        if data[:2] != HEADER[:2]:
            raise CdrError(f"{self.cls.TYPE}: encapsulation {data[:2].hex()}, expected {HEADER[:2].hex()}")
        message = self.cls.__new__(self.cls)
        pos = 4 + self._prefix.size
        try:
            for step in self._steps:
                pos = step.read(data, pos, message)
        except (struct.error, ValueError) as error:
            raise CdrError(f"{self.cls.TYPE}: {error}") from error
        if len(data) - pos > 3:
            raise CdrError(f"{self.cls.TYPE}: {len(data) - pos} bytes too many")
        return message

    def prefix(self, data: bytes) -> tuple[int, ...]:
        """Return what precedes the message.

        Raises:
            CdrError: The sample is too short.
        """
        try:
            return self._prefix.unpack_from(data, 4)
        except struct.error as error:
            raise CdrError(f"{self.cls.TYPE}: {error}") from error


class _Nested:
    """One message of variable size."""

    def __init__(self, types: Types, field: Field) -> None:
        self._name = field.name
        self._cls = types.message_class(field.base)
        self._steps = _steps(types, self._cls)

    def write(self, out: bytearray, message: Any) -> None:
        value = getattr(message, self._name)
        check_class(value, self._cls, self._name)
        _within(self._name, self._steps, out, value)

    def read(self, data: bytes, pos: int, message: Any) -> int:
        value = self._cls.__new__(self._cls)
        for step in self._steps:
            pos = step.read(data, pos, value)
        setattr(message, self._name, value)
        return pos


class _Messages:
    """An array or sequence of messages."""

    def __init__(self, types: Types, field: Field) -> None:
        self._field = field
        self._cls = types.message_class(field.base)
        self._steps = _steps(types, self._cls)

    def write(self, out: bytearray, message: Any) -> None:
        field = self._field
        values = getattr(message, field.name)
        check_size(field, len(values))
        if field.kind == "sequence":
            pad(out, 4)
            out += COUNT.pack(len(values))
        for i, value in enumerate(values):
            check_class(value, self._cls, f"{field.name}[{i}]")
            _within(f"{field.name}[{i}]", self._steps, out, value)

    def read(self, data: bytes, pos: int, message: Any) -> int:
        field, cls = self._field, self._cls
        count = field.size
        if field.kind == "sequence":
            count, pos = read_count(data, aligned(pos, 4), field)
        values = []
        for _ in range(count):
            value = cls.__new__(cls)
            for step in self._steps:
                pos = step.read(data, pos, value)
            values.append(value)
        setattr(message, field.name, values)
        return pos


def _within(name: str, steps: Sequence[Step], out: bytearray, value: Any) -> None:
    """Write a nested message; an error names the path to its field."""
    try:
        for step in steps:
            step.write(out, value)
    except ValueError as error:
        raise ValueError(f"{name}.{error}") from error


def _steps(types: Types, cls: type[Message]) -> list[Step]:
    """Return the steps of a message type."""
    steps: list[Step] = []
    run: list[Field] = []
    for field in cls.FIELDS:
        if _is_fixed(types, field):
            run.append(field)
            continue
        if run:
            steps.append(_run(types, run))
            run = []
        steps.append(_step(types, field))
    return [*steps, _run(types, run)] if run else steps


def _is_fixed(types: Types, field: Field) -> bool:
    """Return whether a field is one scalar or a message of scalars alone."""
    if field.kind != "one" or field.base == "string":
        return False
    return not field.is_nested or all(_is_fixed(types, child) for child in types.fields(field.base))


def _step(types: Types, field: Field) -> Step:
    if field.is_nested:
        return (_Nested if field.kind == "one" else _Messages)(types, field)
    if field.base == "string":
        return (String if field.kind == "one" else Strings)(field)
    return Numbers(field)


def _run(types: Types, fields: Sequence[Field]) -> Run:
    leaves: list[tuple[str, str]] = []
    nested: list[tuple[str, Any]] = []

    def walk(members: Sequence[Field], prefix: str) -> list[Any]:
        tree: list[Any] = []
        for field in members:
            path = prefix + field.name
            if field.is_nested:
                cls = types.message_class(field.base)
                nested.append((path, cls))
                tree.append((field.name, cls, walk(cls.FIELDS, path + ".")))
            else:
                tree.append((field.name, len(leaves)))
                leaves.append((path, field.base))
        return tree

    return Run(leaves, walk(fields, ""), nested)
