"""The `Tool` contract: one typed Python function with a Google docstring is the tool.

    @tool(read_only=True)
    def depth_at(
        ctx: ToolContext,
        depth: DepthName,
        u_px: Annotated[float, Field(ge=0, description="column [px]")],
        v_px: Annotated[float, Field(ge=0, description="row [px]")],
    ) -> DepthReading:
        '''Read the depth at one pixel. ...'''

The JSON schema of its arguments comes from the signature (pydantic); descriptions come from the
`Args:` section of the docstring unless the annotation has one. The first parameter is the context
and is not part of the schema. The function returns a pydantic model, or `ToolOutput` when there
are also images to show; it fails by raising a `ToolError` of the right kind.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Annotated, Any, Generic, TypeVar, get_type_hints

import docstring_parser
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError

from perception_tools.artifacts import Artifact, ArtifactError, ArtifactKind, Workspace
from perception_tools.camera import Camera
from perception_tools.geometry import BoolArray, FloatArray, FrameError

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

# ---- failures, by kind --------------------------------------------------------------------------


class ErrorKind(StrEnum):
    """Why a call gave no positive result. Kinds are never mixed."""

    BAD_ARGUMENTS = "bad_arguments"  # the model's fault; the message says what to fix
    NEGATIVE = "negative"  # a true answer: nothing found, no grasp
    REFUSED = "refused"  # safety or permission
    FAILED = "failed"  # executed, but the sensed outcome is wrong
    CANCELLED = "cancelled"
    INFRASTRUCTURE = "infrastructure"  # time-out, crash, out of memory


class ToolError(Exception):
    """Base of the failures that a tool may raise; `reason` is a short stable identifier.

    Args:
        message: One line for the model: what happened and what to do.
        reason: Enumerated reason, snake_case (e.g. `no_grasp`, `slipped`), stable across versions.
        evidence: Small JSON-able readings that support it.
    """

    kind = ErrorKind.INFRASTRUCTURE

    def __init__(self, message: str, *, reason: str = "", evidence: Mapping[str, Any] | None = None) -> None:
        """See the class."""
        super().__init__(message)
        self.reason = reason
        self.evidence = dict(evidence or {})


class BadArguments(ToolError):
    """The arguments are wrong; the message says what to fix."""

    kind = ErrorKind.BAD_ARGUMENTS


class Negative(ToolError):
    """A true negative answer: nothing found, no grasp, not reachable."""

    kind = ErrorKind.NEGATIVE


class Refused(ToolError):
    """Safety or permission forbids it; nothing moved."""

    kind = ErrorKind.REFUSED


class Failed(ToolError):
    """It was executed, but the sensed outcome is wrong."""

    kind = ErrorKind.FAILED


class Cancelled(ToolError):
    """It was cancelled before it ended; the robot is still."""

    kind = ErrorKind.CANCELLED


class Infrastructure(ToolError):
    """Time-out, crash, out of memory, camera unplugged: not an answer at all."""

    kind = ErrorKind.INFRASTRUCTURE


# ---- calls and results --------------------------------------------------------------------------


@dataclass(frozen=True)
class ToolSpec:
    """What a model is told of a tool; `parameters` and `returns` are JSON schemas."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    returns: Mapping[str, Any] = field(default_factory=dict)
    read_only: bool = True


@dataclass(frozen=True)
class ToolCall:
    """A model's request. `arguments` is a mapping, or the raw text where it was not a JSON object."""

    id: str
    name: str
    arguments: Mapping[str, Any] | str


@dataclass(frozen=True)
class TextPart:
    """Plain text."""

    text: str


@dataclass(frozen=True)
class ValuePart:
    """A JSON-able value: the machine-readable answer."""

    value: Mapping[str, Any]


@dataclass(frozen=True)
class ImagePart:
    """An image to show to the model, by artifact name."""

    artifact: str
    caption: str = ""


@dataclass(frozen=True)
class ArtifactPart:
    """An artifact that the call made, by name."""

    artifact: str
    kind: str
    label: str = ""


Part = TextPart | ValuePart | ImagePart | ArtifactPart


@dataclass(frozen=True)
class ToolResult:
    """Answer to one call, bound to its id.

    Attributes:
        call_id: Id of the call.
        name: Name of the tool.
        parts: Text, value, images and artifacts, in order.
        error: Kind of failure, or None.
        reason: Enumerated reason of the failure, or "".
        message: One line, for the model, when `error` is set.
        seconds: Wall time of the call [s].
    """

    call_id: str
    name: str
    parts: tuple[Part, ...] = ()
    error: ErrorKind | None = None
    reason: str = ""
    message: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the call gave a positive result."""
        return self.error is None

    @property
    def value(self) -> Mapping[str, Any]:
        """The first value part ({} if there is none)."""
        return next((p.value for p in self.parts if isinstance(p, ValuePart)), {})


@dataclass(frozen=True)
class ToolOutput:
    """What a tool function returns when there are images to show beside the value."""

    value: BaseModel
    images: Sequence[Artifact] = ()


# ---- context ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ToolContext:
    """What a tool may use; one is built per run, `for_call` binds it to a call.

    Attributes:
        workspace: The run's artifacts.
        cameras: Cameras by name.
        clock: Robot's clock [s].
        settings: Settings of tools by tool or module name (e.g. ``settings["segment"]``).
        is_robot: Self filter: points in world [m] (N, 3) -> bool (N,), True on the robot's own
            body (and what it holds) at this moment; None if unknown.
        tool: Name of the tool being called.
        call_id: Id of the call.
        cancel: Set when the call must end early.
    """

    workspace: Workspace
    cameras: Mapping[str, Camera]
    clock: Callable[[], float]
    settings: Mapping[str, Any] = field(default_factory=dict)
    is_robot: Callable[[FloatArray], BoolArray] | None = None
    tool: str = ""
    call_id: str = ""
    cancel: threading.Event = field(default_factory=threading.Event)

    def for_call(self, tool_name: str, call_id: str, cancel: threading.Event) -> ToolContext:
        """Return this context bound to one call."""
        return replace(self, tool=tool_name, call_id=call_id, cancel=cancel)

    def put(self, kind: ArtifactKind, data: Any, **fields: Any) -> Artifact:
        """Store an artifact with this call's provenance; `fields` as in `Artifact`."""
        fields.setdefault("stamp_s", self.clock())
        return self.workspace.put(kind, data, tool=self.tool, call_id=self.call_id, **fields)

    def camera(self, name: str) -> Camera:
        """Return a camera by name.

        Raises:
            BadArguments: Unknown name; lists the valid ones.
        """
        if name not in self.cameras:
            raise BadArguments(f"no camera {name!r}; cameras: {', '.join(self.cameras) or 'none'}")
        return self.cameras[name]


# ---- the tool -----------------------------------------------------------------------------------

ContextT = TypeVar("ContextT", bound=ToolContext)


@dataclass(frozen=True, eq=False)
class Tool(Generic[ContextT]):
    """A function offered to a planner. Call it through the executor, or directly in tests.

    Attributes:
        function: The typed function; its first parameter is the context.
        spec: What models are told.
        arguments: Pydantic model of the arguments.
        timeout_s: Wall-time limit of one call [s].
        moves_robot: It is a skill: serial, permission-gated.
        bypasses_gates: Only `stop`: runs at once whatever else is going on.
    """

    function: Callable[..., BaseModel | ToolOutput]
    spec: ToolSpec
    arguments: type[BaseModel]
    timeout_s: float
    moves_robot: bool = False
    bypasses_gates: bool = False

    @property
    def name(self) -> str:
        """Name of the tool."""
        return self.spec.name

    def validate(self, arguments: Mapping[str, Any] | str) -> dict[str, Any]:
        """Return typed keyword arguments for `function`.

        Raises:
            BadArguments: Not an object, unknown, missing or out of range; says which and why.
        """
        if not isinstance(arguments, Mapping):
            raise BadArguments(f"arguments of {self.name} are not a JSON object: {str(arguments)[:120]!r}")
        try:
            model = self.arguments.model_validate(dict(arguments))
        except ValidationError as error:
            raise BadArguments(_explain(self, error)) from error
        return {name: getattr(model, name) for name in self.arguments.model_fields}

    def __call__(self, ctx: ContextT, /, **arguments: Any) -> BaseModel | ToolOutput:
        """Validate and run.

        Raises:
            ToolError: Of the kind that happened. Artifact and frame errors become `BadArguments`.
        """
        try:
            return self.function(ctx, **self.validate(arguments))
        except (ArtifactError, FrameError) as error:
            raise BadArguments(str(error)) from error


def _explain(a_tool: Tool[Any], error: ValidationError) -> str:
    details = []
    for item in error.errors(include_url=False, include_context=False, include_input=True)[:4]:
        where = ".".join(str(part) for part in item["loc"]) or "arguments"
        if item["type"] == "extra_forbidden":
            details.append(f"unknown argument {where!r}")
        elif item["type"] == "missing":
            details.append(f"missing argument {where!r}")
        else:
            details.append(f"{where}: {item['msg']} (got {str(item['input'])[:60]!r})")
    names = ", ".join(a_tool.arguments.model_fields)
    return f"{a_tool.name}: {'; '.join(details)}. Arguments: {names or 'none'}"


def tool(
    *,
    read_only: bool = True,
    moves_robot: bool = False,
    bypasses_gates: bool = False,
    timeout_s: float = 20.0,
) -> Callable[[Callable[..., BaseModel | ToolOutput]], Tool[Any]]:
    """Turn a typed function into a `Tool`.

    Args:
        read_only: May run beside other read-only calls of the same turn.
        moves_robot: It is a skill; implies not read-only.
        bypasses_gates: Runs at once, permission or not (only `stop`).
        timeout_s: Wall-time limit of a call [s].

    Raises:
        TypeError: At import, if the function lacks annotations, a docstring or an `Args:` entry,
            or has a type that JSON schema can't carry.
    """

    def decorate(function: Callable[..., BaseModel | ToolOutput]) -> Tool[Any]:
        arguments, description = _schema_of(function)
        try:
            parameters = arguments.model_json_schema()
            returns = _return_schema(function)
        except Exception as error:
            raise TypeError(
                f"tool {function.__name__}: JSON schema can't carry its types: {error}"
            ) from error
        spec = ToolSpec(function.__name__, description, parameters, returns, read_only and not moves_robot)
        return Tool(function, spec, arguments, timeout_s, moves_robot, bypasses_gates)

    return decorate


def _schema_of(function: Callable[..., Any]) -> tuple[type[BaseModel], str]:
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
    try:
        model = create_model(f"{name}_arguments", __config__=ConfigDict(extra="forbid"), **fields)
    except PydanticSchemaGenerationError as error:
        raise TypeError(f"tool {name}: JSON schema can't carry its types: {error}") from error
    text = doc.short_description
    if doc.long_description:
        text += "\n" + doc.long_description
    return model, text


def _return_schema(function: Callable[..., Any]) -> dict[str, Any]:
    annotation = get_type_hints(function).get("return")
    if annotation is None:
        raise TypeError("it needs a return annotation")
    if annotation is ToolOutput:
        return {}
    return TypeAdapter(annotation).json_schema()
