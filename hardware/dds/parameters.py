"""Parameters: declared by the node, set by its configuration, served to `ros2 param`."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from hardware.bus import Message, ParameterSpec, ParameterValue
from hardware.dds.names import node_path
from hardware.dds.node import Node
from hardware.dds.services import ServiceServer

_GROUP: Final = "_parameters"
_VALUE: Final = "rcl_interfaces/msg/ParameterValue"
_SEPARATOR: Final = "."
_KINDS: Final[dict[str, tuple[int, str]]] = {
    "bool": (1, "bool_value"),
    "int": (2, "integer_value"),
    "float": (3, "double_value"),
    "str": (4, "string_value"),
    "bool[]": (6, "bool_array_value"),
    "int[]": (7, "integer_array_value"),
    "float[]": (8, "double_array_value"),
    "str[]": (9, "string_array_value"),
}
"""ROS's number of each type and the field that carries it."""


def kind_of(value: Any) -> str:
    """Return the type of a parameter's value; "none" if ROS has none such."""
    if isinstance(value, (list, tuple)):
        kinds = {kind_of(element) for element in value} or {"str"}
        kinds = {"float"} if kinds == {"int", "float"} else kinds
        return f"{kinds.pop()}[]" if len(kinds) == 1 else "none"
    name = type(value).__name__
    return name if name in ("bool", "int", "float", "str") else "none"


def fit(name: str, value: Any, spec: ParameterSpec) -> ParameterValue:
    """Return a value as the parameter's type; whole numbers pass for floats.

    Raises:
        ValueError: It is of another type or out of range.
    """
    expected, given = kind_of(spec.default), kind_of(value)
    is_empty = isinstance(value, (list, tuple)) and not value and expected.endswith("[]")
    is_whole = given.replace("int", "float") == expected
    if given != expected and not is_empty and not is_whole:
        raise ValueError(f"parameter {name} must be {expected}, got {given} {value!r}")
    if isinstance(value, (list, tuple)):
        values = tuple(float(v) if expected == "float[]" else v for v in value)
        for element in values:
            _check_range(name, element, spec)
        return values  # pyright: ignore[reportReturnType] (one type, as checked above)
    value = float(value) if expected == "float" else value
    _check_range(name, value, spec)
    return value


def _check_range(name: str, value: Any, spec: ParameterSpec) -> None:
    if isinstance(value, (bool, str)):
        return
    if spec.minimum is not None and not value >= spec.minimum:
        raise ValueError(f"parameter {name} must be at least {spec.minimum}, got {value}")
    if spec.maximum is not None and not value <= spec.maximum:
        raise ValueError(f"parameter {name} must be at most {spec.maximum}, got {value}")


class Parameters:
    """The parameters of a node."""

    def __init__(self, node: Node) -> None:
        """Begin with `use_sim_time`, which every ROS node has."""
        self._node = node
        self._lock = threading.Lock()
        sim_time = ParameterSpec(node.config.use_sim_time, "Follow the topic /clock.")
        self._specs: dict[str, ParameterSpec] = {"use_sim_time": sim_time}
        self._values: dict[str, ParameterValue] = {"use_sim_time": node.config.use_sim_time}
        self._is_served = False

    def declare(self, parameters: Mapping[str, ParameterSpec]) -> Mapping[str, ParameterValue]:
        """Declare; return a view of the values that follows what is set later.

        Raises:
            ValueError: A default or configured value does not fit, or the name is declared already.
        """
        given = self._node.config.parameters
        for name, spec in parameters.items():
            if name in self._specs:
                raise ValueError(f"parameter {name} is declared already")
            self._values[name] = fit(name, given.get(name, spec.default), spec)
            self._specs[name] = spec
        if not self._is_served:
            self._is_served = True
            self._serve()
        return MappingProxyType(self._values)

    def check_all_declared(self) -> None:
        """Refuse configured parameters that nobody declared.

        Raises:
            ValueError: Names one, and near ones.
        """
        for name in self._node.config.parameters:
            if name not in self._specs:
                near = difflib.get_close_matches(name, self._specs, 3) or sorted(self._specs)
                raise ValueError(f"no parameter {name!r} is declared; there are: {', '.join(near)}")

    # ---- services ---------------------------------------------------------------------------

    def _serve(self) -> None:
        path = node_path(self._node.config.namespace, self._node.config.node_name)
        served = {
            "DescribeParameters": ("describe_parameters", self._describe),
            "GetParameters": ("get_parameters", self._get),
            "GetParameterTypes": ("get_parameter_types", self._types),
            "ListParameters": ("list_parameters", self._list),
            "SetParameters": ("set_parameters", self._set),
            "SetParametersAtomically": ("set_parameters_atomically", self._set_atomically),
        }
        for kind, (name, answer) in served.items():
            service = f"rcl_interfaces/srv/{kind}"
            ServiceServer(self._node, service, f"{path}/{name}", _answering(answer), _GROUP)

    def _make(self, type_name: str, **fields: Any) -> Message:
        return self._node.types.message_class(type_name)(**fields)

    def _value(self, name: str) -> Message:
        """Return a parameter's value as a message; type 0 if there is no such parameter."""
        if name not in self._values:
            return self._make(_VALUE)
        number, field = _KINDS[kind_of(self._specs[name].default)]
        value = self._values[name]
        content = list(value) if isinstance(value, tuple) else value
        return self._make(_VALUE, type=number, **{field: content})

    def _get(self, request: Any) -> Message:
        values = [self._value(name) for name in request.names]
        return self._make("rcl_interfaces/srv/GetParameters_Response", values=values)

    def _types(self, request: Any) -> Message:
        types = [_KINDS[kind_of(self._specs[n].default)][0] if n in self._specs else 0 for n in request.names]
        return self._make("rcl_interfaces/srv/GetParameterTypes_Response", types=types)

    def _list(self, request: Any) -> Message:
        """Answer by prefixes, "a" meaning "a" and "a.*", and depth, the number of levels (0: all)."""
        found = []
        for name in sorted(self._specs):
            rest = [name] if not request.prefixes else []
            for prefix in request.prefixes:
                if name == prefix or name.startswith(prefix + _SEPARATOR):
                    rest.append(name[len(prefix) + 1 :])
            if any(not request.depth or part.count(_SEPARATOR) < request.depth for part in rest):
                found.append(name)
        prefixes = sorted({name.rpartition(_SEPARATOR)[0] for name in found if _SEPARATOR in name})
        result = self._make("rcl_interfaces/msg/ListParametersResult", names=found, prefixes=prefixes)
        return self._make("rcl_interfaces/srv/ListParameters_Response", result=result)

    def _describe(self, request: Any) -> Message:
        descriptors = [self._descriptor(name) for name in request.names]
        return self._make("rcl_interfaces/srv/DescribeParameters_Response", descriptors=descriptors)

    def _descriptor(self, name: str) -> Message:
        if name not in self._specs:
            return self._make("rcl_interfaces/msg/ParameterDescriptor", name=name)
        spec = self._specs[name]
        kind = kind_of(spec.default)
        return self._make(
            "rcl_interfaces/msg/ParameterDescriptor",
            name=name,
            type=_KINDS[kind][0],
            description=spec.description,
            read_only=spec.read_only,
            **self._range(kind, spec),
        )

    def _range(self, kind: str, spec: ParameterSpec) -> dict[str, Any]:
        """Return the descriptor's range, if the parameter has one."""
        if spec.minimum is None and spec.maximum is None:
            return {}
        if kind.startswith("int"):
            low = -(2**63) if spec.minimum is None else int(spec.minimum)
            high = 2**63 - 1 if spec.maximum is None else int(spec.maximum)
            return {"integer_range": [{"from_value": low, "to_value": high}]}
        low = float("-inf") if spec.minimum is None else float(spec.minimum)
        high = float("inf") if spec.maximum is None else float(spec.maximum)
        return {"floating_point_range": [{"from_value": low, "to_value": high}]}

    def _set(self, request: Any) -> Message:
        results = [self._try({p.name: p.value}) for p in request.parameters]
        return self._make("rcl_interfaces/srv/SetParameters_Response", results=results)

    def _set_atomically(self, request: Any) -> Message:
        result = self._try({p.name: p.value for p in request.parameters})
        return self._make("rcl_interfaces/srv/SetParametersAtomically_Response", result=result)

    def _try(self, values: Mapping[str, Any]) -> Message:
        """Set all or none."""
        result = "rcl_interfaces/msg/SetParametersResult"
        with self._lock:
            try:
                fitted = {name: self._settable(name, value) for name, value in values.items()}
            except ValueError as error:
                return self._make(result, successful=False, reason=str(error))
            self._values.update(fitted)
        return self._make(result, successful=True)

    def _settable(self, name: str, message: Any) -> ParameterValue:
        if name not in self._specs:
            raise ValueError(f"no parameter {name!r} is declared")
        spec = self._specs[name]
        if spec.read_only or name == "use_sim_time":
            raise ValueError(f"parameter {name} is read-only")
        fields = {number: field for number, field in _KINDS.values()}
        if message.type not in fields:
            raise ValueError(f"parameter {name} cannot be of type {message.type}")
        value = getattr(message, fields[message.type])
        return fit(name, value.tolist() if hasattr(value, "tolist") else value, spec)


def _answering(answer: Callable[[Any], Message]) -> Callable[[Message, Callable[[Message], None]], None]:
    """Return a handler that responds at once."""
    return lambda request, respond: respond(answer(request))
