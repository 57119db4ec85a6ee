"""Messages to and from CDR, little endian, as ROS 2 writes it (XCDR1, final structs).

A type's codec is a list of steps, composed once. Scalars that follow one another, through nested messages
too, are one `struct` call; numeric sequences are NumPy buffers; names of joints, which repeat in every
message, are compared with the last ones before they are encoded or decoded again.

Values align to their size, counted from the end of the 4-byte header, so `pos % 8` of a byte in a sample,
header included, is 4 ahead of its alignment.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import numpy as np

from hardware.dds.types import DTYPES, Field, Message, Types

HEADER: Final = b"\x00\x01\x00\x00"
_CHARS: Final = {
    "bool": "?",
    "byte": "B",
    "char": "B",
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}
_COUNT: Final = struct.Struct("<I")
_MAX_CACHED_NAMES: Final = 256


class CdrError(ValueError):
    """Bytes that are no sample of the type."""


class _Step(Protocol):
    """Writes and reads some fields of a message."""

    def write(self, out: bytearray, message: Any) -> None: ...

    def read(self, data: bytes, pos: int, message: Any) -> int: ...


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
        _check_class(message, self.cls, "message")
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


def _check_class(value: Any, cls: type[Message], name: str) -> None:
    if type(value) is not cls:
        got = getattr(type(value), "TYPE", type(value).__name__)
        hint = " (of another distribution)" if got == cls.TYPE else ""
        raise ValueError(f"{name} must be a {cls.TYPE}, got {got}{hint}")


def _pad(out: bytearray, size: int) -> None:
    out += bytes(-(len(out) + 4) % size if size == 8 else -len(out) % size)


def _aligned(pos: int, size: int) -> int:
    return pos + (-(pos + 4) % 8 if size == 8 else -pos % size)


# ---- runs of scalars ---------------------------------------------------------------------------


class _Run:
    """Scalars that follow one another, those of nested fixed-size messages included."""

    def __init__(
        self, leaves: Sequence[tuple[str, str]], tree: list[Any], nested: Sequence[tuple[str, Any]]
    ) -> None:
        """Compose it.

        Args:
            leaves: Path and primitive type of each scalar.
            tree: How the scalars make up messages, see `_assembler`.
            nested: Path and class of each nested message.
        """
        self._leaves = leaves
        get = operator.attrgetter(*(path for path, _ in leaves))
        self._get: Callable[[Any], tuple] = get if len(leaves) > 1 else lambda message: (get(message),)
        self._structs = [_layout([base for _, base in leaves], phase) for phase in range(8)]
        self._assemble = _assembler(tree)
        self._nested = [(path, operator.attrgetter(path), cls) for path, cls in nested]
        self._bools = [(path, operator.attrgetter(path)) for path, base in leaves if base == "bool"]

    def write(self, out: bytearray, message: Any) -> None:
        for path, get, cls in self._nested:
            if type(get(message)) is not cls:
                _check_class(get(message), cls, path)
        for path, get in self._bools:
            if not isinstance(get(message), (bool, np.bool_)):
                raise ValueError(f"{path} must be a bool, got {get(message)!r}")
        try:
            out += self._structs[(len(out) + 4) & 7].pack(*self._get(message))
        except (struct.error, OverflowError) as error:
            raise ValueError(self._explain(message)) from error

    def read(self, data: bytes, pos: int, message: Any) -> int:
        layout = self._structs[(pos + 4) & 7]
        self._assemble(message, layout.unpack_from(data, pos))
        return pos + layout.size

    def _explain(self, message: Any) -> str:
        """Name the field that does not fit."""
        for path, base in self._leaves:
            value = operator.attrgetter(path)(message)
            try:
                struct.pack("<" + _CHARS[base], value)
            except (struct.error, OverflowError):
                return f"{path} must be a {base}, got {value!r}"
        return "a field does not fit its type"


def _layout(bases: Sequence[str], phase: int) -> struct.Struct:
    """Return the struct of scalars that begin `phase` bytes after a multiple of 8."""
    form, pos = "<", phase
    for base in bases:
        size = DTYPES[base].itemsize
        form += f"{-pos % size}x{_CHARS[base]}"
        pos += -pos % size + size
    return struct.Struct(form)


def _assembler(tree: list[Any]) -> Callable[[Any, tuple], None]:
    """Return what sets fields from a run's values.

    Args:
        tree: `(name, index of the value)` or `(name, class, tree of that class)`.
    """
    plain = [entry for entry in tree if len(entry) == 2]
    nested = [(name, cls, _assembler(branch)) for name, cls, branch in (e for e in tree if len(e) == 3)]

    def assemble(message: Any, values: tuple) -> None:
        for name, index in plain:
            setattr(message, name, values[index])
        for name, cls, fill in nested:
            child = cls.__new__(cls)
            fill(child, values)
            setattr(message, name, child)

    return assemble


# ---- strings -----------------------------------------------------------------------------------


def _write_string(out: bytearray, text: Any, name: str, bound: int) -> None:
    if not isinstance(text, str):
        raise ValueError(f"{name} must be a string, got {text!r}")
    raw = text.encode()
    if b"\0" in raw:
        raise ValueError(f"{name} must have no NUL character")
    if bound and len(raw) > bound:
        raise ValueError(f"{name} must have at most {bound} bytes, got {len(raw)}")
    _pad(out, 4)
    out += _COUNT.pack(len(raw) + 1)
    out += raw
    out += b"\0"


def _read_string(data: bytes, pos: int) -> tuple[str, int]:
    pos = _aligned(pos, 4)
    (size,) = _COUNT.unpack_from(data, pos)
    if size == 0:
        return "", pos + 4
    end = pos + 4 + size
    if end > len(data) or data[end - 1]:
        raise ValueError(f"string of {size} bytes at {pos} has no end")
    return data[pos + 4 : end - 1].decode(), end


class _String:
    """One string."""

    def __init__(self, field: Field) -> None:
        self._name, self._bound = field.name, field.bound

    def write(self, out: bytearray, message: Any) -> None:
        _write_string(out, getattr(message, self._name), self._name, self._bound)

    def read(self, data: bytes, pos: int, message: Any) -> int:
        text, pos = _read_string(data, pos)
        setattr(message, self._name, text)
        return pos


class _Strings:
    """An array or sequence of strings.

    Both begin at a multiple of 4, so equal strings are equal bytes wherever they stand.
    """

    def __init__(self, field: Field) -> None:
        self._field = field
        self._last: tuple[tuple[str, ...], bytes] = ((), b"")

    def write(self, out: bytearray, message: Any) -> None:
        field = self._field
        value = getattr(message, field.name)
        if isinstance(value, str):
            raise ValueError(f"{field.name} must be a list of strings, got {value!r}")
        texts = tuple(value)
        _pad(out, 4)
        last, block = self._last
        if texts and texts == last:
            out += block
            return
        _check_size(field, len(texts))
        start = len(out)
        if field.kind == "sequence":
            out += _COUNT.pack(len(texts))
        for text in texts:
            _write_string(out, text, field.name, field.bound)
        self._remember(texts, bytes(out[start:]))

    def read(self, data: bytes, pos: int, message: Any) -> int:
        pos = _aligned(pos, 4)
        last, block = self._last
        if last and data.startswith(block, pos):
            setattr(message, self._field.name, list(last))
            return pos + len(block)
        start, count = pos, self._field.size
        if self._field.kind == "sequence":
            count, pos = _read_count(data, pos, self._field)
        texts = []
        for _ in range(count):
            text, pos = _read_string(data, pos)
            texts.append(text)
        setattr(message, self._field.name, texts)
        self._remember(tuple(texts), data[start:pos])
        return pos

    def _remember(self, texts: tuple[str, ...], block: bytes) -> None:
        if len(texts) <= _MAX_CACHED_NAMES:
            self._last = (texts, block)


def _check_size(field: Field, size: int) -> None:
    if field.kind == "array" and size != field.size:
        raise ValueError(f"{field.name} must have {field.size} values, got {size}")
    if field.kind == "sequence" and field.size and size > field.size:
        raise ValueError(f"{field.name} must have at most {field.size} values, got {size}")


def _read_count(data: bytes, pos: int, field: Field) -> tuple[int, int]:
    """Return how many values follow, refusing more than there can be."""
    (count,) = _COUNT.unpack_from(data, pos)
    if count > len(data) - pos - 4 or (field.size and count > field.size):
        raise ValueError(f"{field.name} cannot have {count} values")
    return count, pos + 4


# ---- numbers -----------------------------------------------------------------------------------


class _Numbers:
    """An array or sequence of numbers.

    Bytes are read without a copy and cannot be written to; the rest is aligned anew, so copied.
    """

    def __init__(self, field: Field) -> None:
        self._field = field
        self._dtype = DTYPES[field.base]

    def write(self, out: bytearray, message: Any) -> None:
        field = self._field
        values = as_numbers(getattr(message, field.name), self._dtype, field)
        _check_size(field, values.size)
        if field.kind == "sequence":
            _pad(out, 4)
            out += _COUNT.pack(values.size)
        if values.size:
            _pad(out, self._dtype.itemsize)
            out += values.data

    def read(self, data: bytes, pos: int, message: Any) -> int:
        field, size = self._field, self._dtype.itemsize
        count = field.size
        if field.kind == "sequence":
            count, pos = _read_count(data, _aligned(pos, 4), field)
        pos = _aligned(pos, size) if count else pos
        if count * size > len(data) - pos:
            raise ValueError(f"{field.name} cannot have {count} values")
        values = np.frombuffer(data, self._dtype, count, pos)
        if field.base == "bool":
            values = values.view(np.uint8) != 0
        setattr(message, field.name, values.copy() if size > 1 else values)
        return pos + count * size


def as_numbers(value: Any, dtype: np.dtype, field: Field) -> np.ndarray:
    """Return numbers as a contiguous array of a type, refusing what would change them.

    Raises:
        ValueError: Names the field and what it must be.
    """
    if isinstance(value, np.ndarray) and value.dtype == dtype and value.ndim == 1:
        return np.ascontiguousarray(value)
    if isinstance(value, (bytes, bytearray, memoryview)) and dtype.itemsize == 1:
        return np.frombuffer(value, np.uint8).view(dtype)
    try:
        given = np.asarray(value)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{field.name} must be a list of {field.base}: {error}") from error
    if given.ndim != 1:
        raise ValueError(f"{field.name} must be one row of {field.base}, got shape {given.shape}")
    if given.size == 0:
        return np.zeros(0, dtype)
    kinds = {"f": "fiu", "b": "b"}.get(dtype.kind, "iu")
    if given.dtype.kind not in kinds:
        raise ValueError(f"{field.name} must be {field.base}, got {given.dtype}: {given[:3]}")
    with np.errstate(over="ignore"):
        values = given.astype(dtype)
    fits = np.isfinite(values) | ~np.isfinite(given) if dtype.kind == "f" else values == given
    if not np.all(fits):
        raise ValueError(f"{field.name} must be {field.base}, got {given[~fits][0]}")
    return np.ascontiguousarray(values)


# ---- messages in messages ----------------------------------------------------------------------


class _Nested:
    """One message of variable size."""

    def __init__(self, types: Types, field: Field) -> None:
        self._name = field.name
        self._cls = types.message_class(field.base)
        self._steps = _steps(types, self._cls)

    def write(self, out: bytearray, message: Any) -> None:
        value = getattr(message, self._name)
        _check_class(value, self._cls, self._name)
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
        _check_size(field, len(values))
        if field.kind == "sequence":
            _pad(out, 4)
            out += _COUNT.pack(len(values))
        for i, value in enumerate(values):
            _check_class(value, self._cls, f"{field.name}[{i}]")
            _within(f"{field.name}[{i}]", self._steps, out, value)

    def read(self, data: bytes, pos: int, message: Any) -> int:
        field, cls = self._field, self._cls
        count = field.size
        if field.kind == "sequence":
            count, pos = _read_count(data, _aligned(pos, 4), field)
        values = []
        for _ in range(count):
            value = cls.__new__(cls)
            for step in self._steps:
                pos = step.read(data, pos, value)
            values.append(value)
        setattr(message, field.name, values)
        return pos


def _within(name: str, steps: Sequence[_Step], out: bytearray, value: Any) -> None:
    """Write a nested message; an error names the path to its field."""
    try:
        for step in steps:
            step.write(out, value)
    except ValueError as error:
        raise ValueError(f"{name}.{error}") from error


# ---- composition -------------------------------------------------------------------------------


def _steps(types: Types, cls: type[Message]) -> list[_Step]:
    """Return the steps of a message type."""
    steps: list[_Step] = []
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


def _step(types: Types, field: Field) -> _Step:
    if field.is_nested:
        return (_Nested if field.kind == "one" else _Messages)(types, field)
    if field.base == "string":
        return (_String if field.kind == "one" else _Strings)(field)
    return _Numbers(field)


def _run(types: Types, fields: Sequence[Field]) -> _Run:
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

    return _Run(leaves, walk(fields, ""), nested)
