"""The `Tool` contract: one typed Python function with a Google docstring is the tool.

    @tool(read_only=True)
    def depth_at(
        ctx: ToolContext,
        depth: DepthName,
        u_px: Annotated[float, Field(ge=0)],
        v_px: Annotated[float, Field(ge=0)],
    ) -> DepthReading:
        '''Read the depth at one pixel. ...'''

The JSON schema of its arguments comes from the signature (pydantic); descriptions come from the
`Args:` section of the docstring. The first parameter is the context and is not part of the schema.
The function returns a pydantic model, or `ToolOutput[Model]` when there are also images to show; it
fails by raising a `ToolError` of the right kind.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from perception_tools.artifacts import Artifact, ArtifactError, ArtifactKind, Workspace
from perception_tools.camera import Camera
from perception_tools.errors import (
    BadArguments,
    Cancelled,
    ErrorKind,
    Failed,
    Infrastructure,
    Negative,
    Refused,
    ToolError,
)
from perception_tools.geometry import BoolArray, FloatArray, FrameError
from perception_tools.results import (
    ArtifactPart,
    ImagePart,
    Part,
    TextPart,
    ToolCall,
    ToolOutput,
    ToolResult,
    ToolSpec,
    ValuePart,
)
from perception_tools.schema import (
    BoxName,
    CloudName,
    DepthName,
    GraspName,
    ImageName,
    MaskName,
    PointWorld,
    argument_model,
    explain,
    parameter_schema,
    return_schema,
)
from perception_tools.senses import Senses

__all__ = [
    "ArtifactPart",
    "BadArguments",
    "BoxName",
    "Cancelled",
    "CloudName",
    "DepthName",
    "ErrorKind",
    "Failed",
    "GraspName",
    "ImageName",
    "ImagePart",
    "Infrastructure",
    "MaskName",
    "Negative",
    "Part",
    "PointWorld",
    "Refused",
    "TextPart",
    "Tool",
    "ToolCall",
    "ToolContext",
    "ToolError",
    "ToolOutput",
    "ToolResult",
    "ToolSpec",
    "ValuePart",
    "tool",
]


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
        senses: Touch, force, sound and temperature; None if the robot has no such senses.
        tool: Name of the tool being called.
        call_id: Id of the call.
        cancel: Set when the call must end early.
    """

    workspace: Workspace
    cameras: Mapping[str, Camera]
    clock: Callable[[], float]
    settings: Mapping[str, Any] = field(default_factory=dict)
    is_robot: Callable[[FloatArray], BoolArray] | None = None
    senses: Senses | None = None
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
            raise BadArguments(explain(self.name, self.arguments, error)) from error
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
        arguments, description = argument_model(function)
        try:
            parameters = parameter_schema(arguments)
            returns = return_schema(function)
        except Exception as error:
            raise TypeError(
                f"tool {function.__name__}: JSON schema can't carry its types: {error}"
            ) from error
        spec = ToolSpec(function.__name__, description, parameters, returns, read_only and not moves_robot)
        return Tool(function, spec, arguments, timeout_s, moves_robot, bypasses_gates)

    return decorate
