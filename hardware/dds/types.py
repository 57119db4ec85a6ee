"""Message classes, constants and type hashes of a ROS distribution, generated on first use.

The definitions are those of `rosbags`' typestores plus `interfaces.py`. Services and actions are expanded
to the messages that travel: `X_Request`, `X_Response`, `X_SendGoal_Request`, `X_FeedbackMessage` and so on
(https://design.ros2.org/articles/actions.html).
"""

from __future__ import annotations

import difflib
import functools
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.base import normalize_fieldname
from rosbags.typesys.store import Typestore

from hardware.dds.interfaces import Distro, texts

_STORES: Final[Mapping[str, Stores]] = {
    "humble": Stores.ROS2_HUMBLE,
    "jazzy": Stores.ROS2_JAZZY,
    "kilted": Stores.ROS2_KILTED,
    "lyrical": Stores.ROS2_LYRICAL,
}
DTYPES: Final = {
    "bool": np.dtype("?"),
    "byte": np.dtype("u1"),
    "char": np.dtype("u1"),
    **{
        f"{kind}{8 * size}": np.dtype(f"<{kind[0]}{size}")
        for kind in ("int", "uint")
        for size in (1, 2, 4, 8)
    },
    "float32": np.dtype("<f4"),
    "float64": np.dtype("<f8"),
}
_DEFAULTS: Final = {"geometry_msgs/msg/Quaternion": {"w": 1.0}}
"""Defaults that definitions give and `rosbags` drops."""


@dataclass(frozen=True)
class Field:
    """A field of a message.

    Attributes:
        name: Name; a Python keyword gets a trailing "_".
        base: Primitive type, or the name of a message type.
        kind: One value, an array of `size`, or a sequence of at most `size` (0: any number).
        size: See `kind`.
        bound: Longest string [bytes]; 0 for any.
    """

    name: str
    base: str
    kind: Literal["one", "array", "sequence"]
    size: int = 0
    bound: int = 0

    @property
    def is_nested(self) -> bool:
        """Whether the values are messages."""
        return "/" in self.base


class Message:
    """Base of all message classes: the fields of the ROS type, which cannot be misspelt."""

    __slots__ = ()
    TYPE: ClassVar[str]
    FIELDS: ClassVar[tuple[Field, ...]]
    _makers: ClassVar[dict[str, Callable[[], Any]]]
    _nested: ClassVar[dict[str, Callable[[Any], Any]]]

    def __init__(self, **fields: Any) -> None:
        """Set what is given and ROS's defaults elsewhere; nested messages may be dicts.

        Raises:
            ValueError: No such field; lists the fields.
        """
        unknown = fields.keys() - self._makers.keys()
        if unknown:
            names = ", ".join(self._makers)
            raise ValueError(f"{self.TYPE} has no field {sorted(unknown)[0]!r}; it has: {names}")
        for name, make in self._makers.items():
            if name not in fields:
                value = make()
            elif name in self._nested:
                value = self._nested[name](fields[name])
            else:
                value = fields[name]
            setattr(self, name, value)

    def __eq__(self, other: object) -> bool:
        """Return whether type and all fields are equal."""
        if type(self) is not type(other):
            return NotImplemented
        return all(_equal(getattr(self, name), getattr(other, name)) for name in self._makers)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Return the type and its fields."""
        return f"{self.TYPE}({', '.join(f'{name}={getattr(self, name)!r}' for name in self._makers)})"


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return bool(np.array_equal(np.asarray(a), np.asarray(b), equal_nan=False))
    return bool(a == b)


class Types:
    """The types of one distribution; `types_of` returns the shared instance."""

    def __init__(self, distro: Distro) -> None:
        """Read the definitions."""
        self.distro: Final = distro
        self.store: Final = get_typestore(_STORES[distro])
        self.services: Final[set[str]] = set()
        self.actions: Final[set[str]] = set()
        for name, text in texts(distro).items():
            self._define(name, text)
        self._classes: dict[str, type[Message]] = {}
        self._hashes = Typestore()
        self._hashes.fielddefs = {
            name: (constants, [(field, _char_is_uint8(desc)) for field, desc in fields])
            for name, (constants, fields) in self.store.fielddefs.items()
        }

    def fields(self, name: str) -> tuple[Field, ...]:
        """Return the fields of a message type.

        Raises:
            ValueError: No such type; lists near ones.
        """
        if name not in self.store.fielddefs:
            raise ValueError(self._unknown(name))
        return tuple(_field(name_, desc) for name_, desc in self.store.fielddefs[name][1])

    def constants(self, name: str) -> Mapping[str, Any]:
        """Return the constants of a message type."""
        self.fields(name)
        return {constant: value for constant, _, value in self.store.fielddefs[name][0]}

    def type_hash(self, name: str) -> str:
        """Return the type hash, `RIHS01_...`, of a message or service type; "" on Humble, which has none."""
        return "" if self.distro == "humble" else self._hashes.hash_rihs01(name)

    def message_class(self, name: str) -> type[Message]:
        """Return the class of a message type.

        Raises:
            ValueError: No such type; lists near ones.
        """
        if name not in self._classes:
            self._classes[name] = self._make(name)
        return self._classes[name]

    def require(self, name: str, kind: Literal["srv", "action"]) -> None:
        """Refuse the name of an unknown service or action.

        Raises:
            ValueError: No such type; lists those there are.
        """
        known = self.services if kind == "srv" else self.actions
        if name not in known:
            near = difflib.get_close_matches(name, known, 3) or sorted(known)
            raise ValueError(f"no {kind} type {name!r}; known: {', '.join(near)}")

    def _unknown(self, name: str) -> str:
        known = self.store.fielddefs
        tail = name.rsplit("/", 1)[-1]
        near = difflib.get_close_matches(name, known, 3)
        near += [known_name for known_name in known if known_name.endswith("/" + tail)]
        return f"no message type {name!r} in {self.distro}; near: {', '.join(dict.fromkeys(near)) or 'none'}"

    def _make(self, name: str) -> type[Message]:
        fields = self.fields(name)
        defaults = _DEFAULTS.get(name, {})
        nested = {
            field.name: _reader(field, self.message_class(field.base)) for field in fields if field.is_nested
        }
        makers = {field.name: self._maker(field, defaults.get(field.name)) for field in fields}
        body = {
            "__slots__": tuple(field.name for field in fields),
            "__doc__": f"ROS message {name}.",
            "TYPE": name,
            "FIELDS": fields,
            "_makers": makers,
            "_nested": nested,
        }
        return type(name.rsplit("/", 1)[-1], (Message,), body)

    def _maker(self, field: Field, default: Any) -> Callable[[], Any]:
        """Return what makes a field's default."""
        if field.is_nested:
            cls = self.message_class(field.base)
            if field.kind == "one":
                return cls
            return lambda: [cls() for _ in range(field.size if field.kind == "array" else 0)]
        if field.base == "string":
            return (
                (lambda: "") if field.kind == "one" else lambda: [""] * (field.size * (field.kind == "array"))
            )
        dtype = DTYPES[field.base]
        if field.kind == "one":
            value = dtype.type(0).item() if default is None else default
            return lambda: value
        size = field.size if field.kind == "array" else 0
        return lambda: np.zeros(size, dtype)

    def _define(self, name: str, text: str) -> None:
        kind = name.split("/")[1]
        if kind == "msg":
            if name not in self.store.fielddefs:
                self.store.register(get_types_from_msg(text, name))
            return
        parts = _split(text)
        if kind == "srv":
            self.services.add(name)
            self._define_service(name, *(_parse(part, name) for part in parts))
            return
        self.actions.add(name)
        goal_id = ("goal_id", (Nodetype.NAME, "unique_identifier_msgs/msg/UUID"))
        for suffix, part in zip(("Goal", "Result", "Feedback"), parts, strict=True):
            _register(self.store, f"{name}_{suffix}", *_parse(part, name))
        self._define_service(
            f"{name}_SendGoal",
            ([], [goal_id, ("goal", (Nodetype.NAME, f"{name}_Goal"))]),
            (
                [],
                [
                    ("accepted", (Nodetype.BASE, ("bool", 0))),
                    ("stamp", (Nodetype.NAME, "builtin_interfaces/msg/Time")),
                ],
            ),
        )
        self._define_service(
            f"{name}_GetResult",
            ([], [goal_id]),
            ([], [("status", (Nodetype.BASE, ("int8", 0))), ("result", (Nodetype.NAME, f"{name}_Result"))]),
        )
        feedback = ("feedback", (Nodetype.NAME, f"{name}_Feedback"))
        _register(self.store, f"{name}_FeedbackMessage", [], [goal_id, feedback])

    def _define_service(self, name: str, request: tuple[list, list], response: tuple[list, list]) -> None:
        """Register request and response and, for the service's type hash, the event and the service."""
        _register(self.store, f"{name}_Request", *request)
        _register(self.store, f"{name}_Response", *response)
        if "service_msgs/msg/ServiceEventInfo" not in self.store.fielddefs:
            return
        event = [
            ("info", (Nodetype.NAME, "service_msgs/msg/ServiceEventInfo")),
            ("request", (Nodetype.SEQUENCE, ((Nodetype.NAME, f"{name}_Request"), 1))),
            ("response", (Nodetype.SEQUENCE, ((Nodetype.NAME, f"{name}_Response"), 1))),
        ]
        _register(self.store, f"{name}_Event", [], event)
        members = [
            (f"{part.lower()}_message", (Nodetype.NAME, f"{name}_{part}"))
            for part in ("Request", "Response", "Event")
        ]
        _register(self.store, name, [], members)


@functools.cache
def types_of(distro: Distro) -> Types:
    """Return the types of a distribution."""
    return Types(distro)


def _split(text: str) -> list[str]:
    """Split an interface at its lines of dashes."""
    groups = itertools.groupby(text.splitlines(), lambda line: line.strip() == "---")
    parts, last_was_bar = [], True
    for is_bar, lines in groups:
        if is_bar:
            parts += [""] if last_was_bar else []
        else:
            parts.append("\n".join(lines))
        last_was_bar = is_bar
    return parts + ([""] if last_was_bar else [])


def _parse(text: str, name: str) -> tuple[list, list]:
    """Return constants and fields of one part; an empty one carries one byte, as on the wire."""
    ((constants, fields),) = get_types_from_msg(text + "\n", name + "_Part").values()
    return list(constants), list(fields)


def _register(store: Typestore, name: str, constants: list, fields: list) -> None:
    if not fields:
        fields = [("structure_needs_at_least_one_member", (Nodetype.BASE, ("uint8", 0)))]
    store.register({name: (constants, fields)})


def _field(name: str, desc: Any) -> Field:
    """Read `rosbags`' description of a field."""
    kind, content = desc
    name = normalize_fieldname(name)
    if kind == Nodetype.NAME:
        return Field(name, content, "one")
    if kind == Nodetype.BASE:
        return Field(name, content[0], "one", bound=content[1])
    element = _field(name, content[0])
    return Field(
        name, element.base, "array" if kind == Nodetype.ARRAY else "sequence", content[1], element.bound
    )


def _char_is_uint8(desc: Any) -> Any:
    """Return a field's description as ROS hashes it: its generators replace `char` by `uint8`."""
    kind, content = desc
    if kind == Nodetype.BASE:
        return (kind, ("uint8", 0)) if content[0] == "char" else desc
    if kind == Nodetype.NAME:
        return desc
    return (kind, (_char_is_uint8(content[0]), content[1]))


def _reader(field: Field, cls: type[Message]) -> Callable[[Any], Any]:
    """Return what turns dicts given for a nested field into messages."""

    def one(value: Any) -> Any:
        return cls(**value) if isinstance(value, Mapping) else value

    return one if field.kind == "one" else lambda values: [one(value) for value in values]
