"""Strings, and arrays and sequences of strings and numbers."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from hardware.dds.cdr import COUNT, aligned, check_size, pad, read_count
from hardware.dds.types import DTYPES, Field

_MAX_CACHED_NAMES: Final = 256


def _write_string(out: bytearray, text: Any, name: str, bound: int) -> None:
    if not isinstance(text, str):
        raise ValueError(f"{name} must be a string, got {text!r}")
    raw = text.encode()
    if b"\0" in raw:
        raise ValueError(f"{name} must have no NUL character")
    if bound and len(raw) > bound:
        raise ValueError(f"{name} must have at most {bound} bytes, got {len(raw)}")
    pad(out, 4)
    out += COUNT.pack(len(raw) + 1)
    out += raw
    out += b"\0"


def _read_string(data: bytes, pos: int) -> tuple[str, int]:
    pos = aligned(pos, 4)
    (size,) = COUNT.unpack_from(data, pos)
    if size == 0:
        return "", pos + 4
    end = pos + 4 + size
    if end > len(data) or data[end - 1]:
        raise ValueError(f"string of {size} bytes at {pos} has no end")
    return data[pos + 4 : end - 1].decode(), end


class String:
    """One string."""

    def __init__(self, field: Field) -> None:
        self._name, self._bound = field.name, field.bound

    def write(self, out: bytearray, message: Any) -> None:
        """Append the value; see `Step`."""
        _write_string(out, getattr(message, self._name), self._name, self._bound)

    def read(self, data: bytes, pos: int, message: Any) -> int:
        """Read the value; see `Step`."""
        text, pos = _read_string(data, pos)
        setattr(message, self._name, text)
        return pos


class Strings:
    """An array or sequence of strings.

    Both begin at a multiple of 4, so equal strings are equal bytes wherever they stand.
    """

    def __init__(self, field: Field) -> None:
        self._field = field
        self._last: tuple[tuple[str, ...], bytes] = ((), b"")

    def write(self, out: bytearray, message: Any) -> None:
        """Append the value; see `Step`."""
        field = self._field
        value = getattr(message, field.name)
        if isinstance(value, str):
            raise ValueError(f"{field.name} must be a list of strings, got {value!r}")
        texts = tuple(value)
        pad(out, 4)
        last, block = self._last
        if texts and texts == last:
            out += block
            return
        check_size(field, len(texts))
        start = len(out)
        if field.kind == "sequence":
            out += COUNT.pack(len(texts))
        for text in texts:
            _write_string(out, text, field.name, field.bound)
        self._remember(texts, bytes(out[start:]))

    def read(self, data: bytes, pos: int, message: Any) -> int:
        """Read the value; see `Step`."""
        pos = aligned(pos, 4)
        last, block = self._last
        if last and data.startswith(block, pos):
            setattr(message, self._field.name, list(last))
            return pos + len(block)
        start, count = pos, self._field.size
        if self._field.kind == "sequence":
            count, pos = read_count(data, pos, self._field)
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


class Numbers:
    """An array or sequence of numbers.

    Bytes are read without a copy and cannot be written to; the rest is aligned anew, so copied.
    """

    def __init__(self, field: Field) -> None:
        self._field = field
        self._dtype = DTYPES[field.base]

    def write(self, out: bytearray, message: Any) -> None:
        """Append the value; see `Step`."""
        field = self._field
        values = as_numbers(getattr(message, field.name), self._dtype, field)
        check_size(field, values.size)
        if field.kind == "sequence":
            pad(out, 4)
            out += COUNT.pack(values.size)
        if values.size:
            pad(out, self._dtype.itemsize)
            out += values.data

    def read(self, data: bytes, pos: int, message: Any) -> int:
        """Read the value; see `Step`."""
        field, size = self._field, self._dtype.itemsize
        count = field.size
        if field.kind == "sequence":
            count, pos = read_count(data, aligned(pos, 4), field)
        pos = aligned(pos, size) if count else pos
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
