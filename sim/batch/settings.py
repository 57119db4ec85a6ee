"""Settings are checked against their own types, so that a wrong one is told where it was given."""

from __future__ import annotations

from dataclasses import is_dataclass
from functools import cache
from typing import Any, get_type_hints

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
