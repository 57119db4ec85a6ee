"""Settings are checked against their types and their units; a wrong one is told where it was given."""

from __future__ import annotations

import re
from dataclasses import is_dataclass
from functools import cache
from typing import Any, Final, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError


def check_types(settings: Any) -> None:
    """Refuse a dataclass whose values are not of the types that its fields state; call it first.

    Numbers must be finite; a whole number is good where a real one is asked for, not the other way round.

    Raises:
        ValueError: Names the first wrong field, its value and what was expected.
    """
    for name, adapter in _adapters(type(settings)).items():
        value = getattr(settings, name)
        try:
            adapter.validate_python(value, strict=True)
        except ValidationError as error:
            what = error.errors()[0]
            where = "".join(f"[{k}]" for k in what["loc"])
            raise ValueError(f"{name}{where} is {what['input']!r}; {_lower(what['msg'])}") from None


_QUANTITY: Final = re.compile(
    r".*_(m|kg|s|rad|n|j|m_s|rad_s|n_m|n_s_m|n_m_rad|n_m_s_rad|m_n|kg_m3)|.*(tolerance|speed|seed).*"
)
_POSITIVE: Final = frozenset(
    "tolerance length width thickness radius size mass density step stroke work speed spin dropped".split()
)
_EXTENTS: Final = frozenset(("size", "region"))
_LOW_HIGH: Final = (("nearest", "farthest"), ("least", "most"), ("lowest", "highest"), ("min", "max"))


def check_ranges(settings: Any) -> None:
    """Refuse numbers that a quantity can't have, by the names of a dataclass's fields.

    A name that ends in a unit (`_m`, `_kg`, `_n_m_rad`, ...) is not negative, and positive where 0 makes
    no sense: sizes, masses, steps, tolerances. Two such numbers are a span, low <= high, unless they are
    extents (`size`, `region`); one of angles may be negative. Of two corners, the first is the lower one.
    What is `nearest` or `least` is at most what is `farthest` or `most`.

    Raises:
        ValueError: Names the first wrong field, its value and what to use.
    """
    values = {name: getattr(settings, name) for name in type(settings).__dataclass_fields__}
    for name, value in values.items():
        if isinstance(value, tuple) and value and isinstance(value[0], tuple):
            if len(value) == 2 and not all(low < high for low, high in zip(*value, strict=True)):
                raise ValueError(f"{name} is {value}; every lower bound must be below its upper one")
        elif _QUANTITY.fullmatch(name):
            _check_quantity(name, value)
    for name, low in values.items():
        for small, large in _LOW_HIGH:
            other = name.replace(small, large, 1)
            if small in name.split("_") and other in values and low > values[other]:
                raise ValueError(f"{name} is {low}, {other} is {values[other]}; use {name} <= {other}")


def _check_quantity(name: str, value: Any) -> None:
    words = name.split("_")
    if isinstance(value, tuple) and len(value) == 2 and _EXTENTS.isdisjoint(words):
        low, high = value
        is_angle = words[-1] == "rad"
        if not (low <= high and (is_angle or low >= 0)):
            raise ValueError(f"{name} is {value}; use {'' if is_angle else '0 <= '}low <= high")
        return
    for number in value if isinstance(value, tuple) else (value,):
        if number < 0 or (number == 0 and not _POSITIVE.isdisjoint(words)):
            wanted = "0 or a positive number" if _POSITIVE.isdisjoint(words) else "a positive number"
            raise ValueError(f"{name} is {value}; use {wanted}")


@cache
def _adapters(cls: type) -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(cls)
    finite = ConfigDict(allow_inf_nan=False, arbitrary_types_allowed=True)
    return {
        name: TypeAdapter(hints[name], config=None if is_dataclass(hints[name]) else finite)
        for name in cls.__dataclass_fields__
    }


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
