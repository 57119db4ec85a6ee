"""From a typed function with a Google docstring to the JSON schema that a model is told."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import docstring_parser
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError

from perception_tools.artifacts import ArtifactKind
from perception_tools.results import ToolOutput

# ---- names of artifacts, as argument types ------------------------------------------------------


def _name_of(kind: ArtifactKind) -> Any:
    return Field(pattern=rf"^{kind}_[0-9]+$", description=f"name of a {kind} artifact, e.g. {kind}_1")


ImageName = Annotated[str, _name_of("image")]
DepthName = Annotated[str, _name_of("depth")]
MaskName = Annotated[str, _name_of("mask")]
CloudName = Annotated[str, _name_of("cloud")]
BoxName = Annotated[str, _name_of("box")]
GraspName = Annotated[str, _name_of("grasp")]
PointWorld = Annotated[tuple[float, float, float], Field(description="point in world, [x, y, z] in [m]")]

# ---- schemas ------------------------------------------------------------------------------------

_SCALARS: tuple[Any, ...] = (str, int, float, bool, type(None))


def argument_model(function: Callable[..., Any]) -> tuple[type[BaseModel], str]:
    """Return the pydantic model of a tool's arguments (all but the context) and its description.

    Raises:
        TypeError: The function lacks a docstring, an annotation or an `Args:` entry, or has a type
            that JSON schema can't carry.
    """
    name = function.__name__
    doc = docstring_parser.parse(inspect.getdoc(function) or "", docstring_parser.DocstringStyle.GOOGLE)
    if not doc.short_description:
        raise TypeError(f"tool {name}: needs a docstring")
    described = {p.arg_name: (p.description or "").replace("\n", " ") for p in doc.params}
    hints = get_type_hints(function, include_extras=True)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    fields: dict[str, Any] = {}
    for p in parameters:
        if p.name not in hints:
            raise TypeError(f"tool {name}: parameter {p.name!r} needs a type")
        if not described.get(p.name):
            raise TypeError(f"tool {name}: parameter {p.name!r} needs an `Args:` entry")
        default = ... if p.default is inspect.Parameter.empty else p.default
        fields[p.name] = (hints[p.name], Field(default, description=described[p.name]))
    config = ConfigDict(extra="forbid", allow_inf_nan=False)
    try:
        model = create_model(f"{name}_arguments", __config__=config, **fields)
    except PydanticSchemaGenerationError as error:
        raise TypeError(f"tool {name}: JSON schema can't carry its types: {error}") from error
    text = doc.short_description
    if doc.long_description:
        text += "\n" + doc.long_description
    return model, text


def parameter_schema(arguments: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of an argument model, in the subset that model providers accept.

    Fixed-length tuples of one type become arrays with `items` (not `prefixItems`).

    Raises:
        TypeError: Some type has no exact JSON counterpart (it would become "anything" or "string").
    """
    for name, info in arguments.model_fields.items():
        _check_carried(info.annotation, name)
    return _uniform_items(arguments.model_json_schema())


def return_schema(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the JSON schema of a tool's value; {} where it returns a bare `ToolOutput`.

    Raises:
        TypeError: No return annotation.
    """
    annotation = get_type_hints(function).get("return")
    if annotation is None:
        raise TypeError("it needs a return annotation")
    if annotation is ToolOutput:
        return {}
    if get_origin(annotation) is ToolOutput:
        annotation = get_args(annotation)[0]
    return TypeAdapter(annotation).json_schema()


def _uniform_items(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_uniform_items(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: _uniform_items(part) for key, part in schema.items()}
    items = schema.get("prefixItems")
    if items and all(item == items[0] for item in items):
        del schema["prefixItems"]
        schema["items"] = items[0]
    return schema


def _check_carried(annotation: Any, where: str, seen: tuple[Any, ...] = ()) -> None:
    """Raise TypeError where an annotation has no exact JSON counterpart."""
    origin, args = get_origin(annotation), get_args(annotation)
    if annotation in _SCALARS or origin is Literal or annotation in seen:
        return
    if origin is Annotated:
        return _check_carried(args[0], where, seen)
    if origin in (Union, UnionType, list, tuple, Sequence) or (origin is dict and args[0] is str):
        for part in args[1:] if origin is dict else args:
            if part is not Ellipsis:
                _check_carried(part, where, seen)
        return
    if inspect.isclass(annotation) and origin is None and issubclass(annotation, BaseModel):
        for name, info in annotation.model_fields.items():
            _check_carried(info.annotation, f"{where}.{name}", (*seen, annotation))
        return
    if inspect.isclass(annotation) and origin is None and issubclass(annotation, Enum):
        return
    raise TypeError(f"{where!r} has type {annotation!r}; use str, int, float, bool, Literal, lists or models")


def explain(name: str, arguments: type[BaseModel], error: ValidationError) -> str:
    """Say in one line what is wrong with the arguments of a tool, and which there are."""
    details = []
    for item in error.errors(include_url=False, include_context=False, include_input=True)[:4]:
        where = ".".join(str(part) for part in item["loc"]) or "arguments"
        if item["type"] == "extra_forbidden":
            details.append(f"unknown argument {where!r}")
        elif item["type"] == "missing":
            details.append(f"missing argument {where!r}")
        else:
            details.append(f"{where}: {item['msg']} (got {str(item['input'])[:60]!r})")
    known = ", ".join(arguments.model_fields)
    return f"{name}: {'; '.join(details)}. Arguments: {known or 'none'}"
