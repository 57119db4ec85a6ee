"""What all parts of the codec share: alignment, counts and checks of CDR, little endian.

Values align to their size, counted from the end of the 4-byte header, so `pos % 8` of a byte in a sample,
header included, is 4 ahead of its alignment.
"""

from __future__ import annotations

import struct
from typing import Any, Final, Protocol

from hardware.dds.types import Field, Message

HEADER: Final = b"\x00\x01\x00\x00"
COUNT: Final = struct.Struct("<I")


class CdrError(ValueError):
    """Bytes that are no sample of the type."""


class Step(Protocol):
    """Writes and reads some fields of a message."""

    def write(self, out: bytearray, message: Any) -> None:
        """Append the fields to a sample."""
        ...

    def read(self, data: bytes, pos: int, message: Any) -> int:
        """Set the fields from a sample; return where they end."""
        ...


def check_class(value: Any, cls: type[Message], name: str) -> None:
    """Refuse a value that is no message of a class."""
    if type(value) is not cls:
        got = getattr(type(value), "TYPE", type(value).__name__)
        hint = " (of another distribution)" if got == cls.TYPE else ""
        raise ValueError(f"{name} must be a {cls.TYPE}, got {got}{hint}")


def pad(out: bytearray, size: int) -> None:
    """Align the end of a sample to a value's size."""
    out += bytes(-(len(out) + 4) % size if size == 8 else -len(out) % size)


def aligned(pos: int, size: int) -> int:
    """Return where a value of some size begins, at `pos` or after."""
    return pos + (-(pos + 4) % 8 if size == 8 else -pos % size)


def check_size(field: Field, size: int) -> None:
    """Refuse more or fewer values than a field takes."""
    if field.kind == "array" and size != field.size:
        raise ValueError(f"{field.name} must have {field.size} values, got {size}")
    if field.kind == "sequence" and field.size and size > field.size:
        raise ValueError(f"{field.name} must have at most {field.size} values, got {size}")


def read_count(data: bytes, pos: int, field: Field) -> tuple[int, int]:
    """Return how many values follow, refusing more than there can be."""
    (count,) = COUNT.unpack_from(data, pos)
    if count > len(data) - pos - 4 or (field.size and count > field.size):
        raise ValueError(f"{field.name} cannot have {count} values")
    return count, pos + 4
