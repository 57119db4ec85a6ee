"""Scalars that follow one another in a message, through nested messages too: one `struct` call."""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from hardware.dds.cdr import check_class
from hardware.dds.types import DTYPES

CHARS: Final = {
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


class Run:
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
        """Append the value; see `Step`."""
        for path, get, cls in self._nested:
            if type(get(message)) is not cls:
                check_class(get(message), cls, path)
        for path, get in self._bools:
            if not isinstance(get(message), (bool, np.bool_)):
                raise ValueError(f"{path} must be a bool, got {get(message)!r}")
        try:
            out += self._structs[(len(out) + 4) & 7].pack(*self._get(message))
        except (struct.error, OverflowError) as error:
            raise ValueError(self._explain(message)) from error

    def read(self, data: bytes, pos: int, message: Any) -> int:
        """Read the value; see `Step`."""
        layout = self._structs[(pos + 4) & 7]
        self._assemble(message, layout.unpack_from(data, pos))
        return pos + layout.size

    def _explain(self, message: Any) -> str:
        """Name the field that does not fit."""
        for path, base in self._leaves:
            value = operator.attrgetter(path)(message)
            try:
                struct.pack("<" + CHARS[base], value)
            except (struct.error, OverflowError):
                return f"{path} must be a {base}, got {value!r}"
        return "a field does not fit its type"


def _layout(bases: Sequence[str], phase: int) -> struct.Struct:
    """Return the struct of scalars that begin `phase` bytes after a multiple of 8."""
    form, pos = "<", phase
    for base in bases:
        size = DTYPES[base].itemsize
        form += f"{-pos % size}x{CHARS[base]}"
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
