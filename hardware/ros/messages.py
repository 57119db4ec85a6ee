"""Message classes of ROS by name, and messages from fields; needs a sourced ROS 2.

Since Jazzy the generated setters check nothing unless `ROS_PYTHON_CHECK_FIELDS` is 1 when a package is first
imported, and what does not fit is then misread by the C code that sends it: an int in a float field, say. So
the checks are switched on here, and numbers are converted to what their fields are.
"""

from __future__ import annotations

import array
import difflib
import importlib
import numbers
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

os.environ.setdefault("ROS_PYTHON_CHECK_FIELDS", "1")


@cache
def class_of(type_name: str) -> Any:
    """Return the class of `pkg/msg/X`, `pkg/srv/X`, `pkg/srv/X_Request`, `pkg/action/X_Goal` and so on.

    Raises:
        ValueError: No such type is installed.
    """
    package, _, rest = type_name.partition("/")
    kind, _, name = rest.partition("/")
    base, _, part = name.partition("_")
    try:
        module = importlib.import_module(f"{package}.{kind}")
    except ImportError as error:
        raise ValueError(
            f"no message package {package!r} ({kind}); install ros-<distro>-{package}"
        ) from error
    if hasattr(module, name):
        return getattr(module, name)
    if kind in ("srv", "action") and hasattr(module, base) and hasattr(getattr(module, base), part):
        return getattr(getattr(module, base), part)
    near = difflib.get_close_matches(name, dir(module), 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"no type {type_name!r}{hint}")


def message(type_name: str, fields: Mapping[str, Any]) -> Any:
    """Make a message; see `hardware.bus.Bus.message`.

    Raises:
        ValueError: No such type, no such field, or a value that does not fit.
    """
    return _fill(class_of(type_name)(), fields)


def constants(type_name: str) -> dict[str, Any]:
    """Return the constants of a message type: its class's attributes in capitals; a `byte` is an int."""
    found = class_of(type_name)
    names = [n for n in dir(type(found)) if n.isupper() and not n.startswith("_") and "__" not in n]
    values = {name: getattr(found, name) for name in names}
    return {name: value[0] if isinstance(value, bytes) else value for name, value in values.items()}


def _fill(made: Any, fields: Mapping[str, Any]) -> Any:
    known = made.get_fields_and_field_types()
    for name, value in fields.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(known)}"
            raise ValueError(f"{type(made).__name__} has no field {name!r}; {hint}")
        try:
            setattr(made, name, _value(getattr(made, name), known[name], value))
        except (AssertionError, TypeError, OverflowError, ValueError) as error:
            raise ValueError(f"{type(made).__name__}.{name} ({known[name]}): {error}") from error
    return made


def _value(default: Any, type_text: str, value: Any) -> Any:
    """Return what the generated setter takes: messages for dicts, lists or typed arrays for arrays."""
    element = type_text.removeprefix("sequence<").split(",")[0].split("[")[0].rstrip(">")
    is_one = type_text == element
    if isinstance(value, Mapping):
        return _fill(type(default)(), value)
    if is_one:
        return _scalar(element, value)
    if "/" in element and isinstance(value, list | tuple):
        package, name = element.split("/")[0], element.rpartition("/")[2]
        made = class_of(f"{package}/msg/{name}")
        return [_fill(made(), item) if isinstance(item, Mapping) else item for item in value]
    if isinstance(default, np.ndarray):
        return np.asarray(value, dtype=default.dtype)
    if isinstance(default, array.array):
        return _array(default, value)
    if isinstance(value, list | tuple | np.ndarray):
        return [_scalar(element, item) for item in value]
    return value


def _scalar(element: str, value: Any) -> Any:
    """Return a single value as its field has it: a `byte` is one of `bytes` there, an int here."""
    if isinstance(value, np.generic):
        value = value.item()
    if element == "octet" and isinstance(value, int):
        return value.to_bytes(1, "little")
    if element in ("float", "double") and isinstance(value, numbers.Real) and not isinstance(value, bool):
        return float(value)
    return value


def _array(default: Any, value: Any) -> Any:
    """Return an `array.array` of the field's type, of NumPy's arrays by way of bytes, which is fast."""
    if not isinstance(value, np.ndarray):
        return array.array(default.typecode, value)
    filled = array.array(default.typecode)
    filled.frombytes(np.ascontiguousarray(value, dtype=np.dtype(default.typecode)).tobytes())
    return filled
