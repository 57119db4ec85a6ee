"""From what a tool function returned or raised to its result, with a kind for every failure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from perception_tools.artifacts import Artifact, ArtifactError
from perception_tools.errors import BadArguments, Infrastructure, ToolError
from perception_tools.geometry import FrameError
from perception_tools.results import (
    ArtifactPart,
    ImagePart,
    Part,
    ToolCall,
    ToolOutput,
    ToolResult,
    ValuePart,
)
from perception_tools.tool import Tool, ToolContext
from vlm_agent.rendering import jsonable

MAX_MESSAGE = 600  # longest message of a failure [characters]

Plain = tuple[dict[str, Any], tuple[str, ...]]
"""What a call gave, as JSON: its value and the names of the images to show."""


def call_inline(tool: Tool[Any], context: ToolContext, arguments: dict[str, Any]) -> Plain:
    """Run a tool function on validated arguments.

    Raises:
        ToolError: Of the kind that happened; artifact and frame errors become `BadArguments`.
        Exception: Whatever else the function raised.
    """
    try:
        return plain(tool, tool.function(context, **arguments))
    except ArtifactError as error:
        raise BadArguments(str(error), reason="artifact") from error
    except FrameError as error:
        raise BadArguments(str(error), reason="frame") from error


def plain(tool: Tool[Any], output: BaseModel | ToolOutput) -> Plain:
    """Return a tool's output as JSON.

    Raises:
        TypeError: It is neither a pydantic model nor a `ToolOutput`.
    """
    images: Sequence[Artifact] = ()
    if isinstance(output, ToolOutput):
        output, images = output.value, output.images
    if not isinstance(output, BaseModel):
        raise TypeError(
            f"tool {tool.name} returned {type(output).__name__}, needs a pydantic model or ToolOutput"
        )
    return jsonable(output.model_dump(mode="json")), tuple(image.name for image in images)


def good_result(call: ToolCall, output: Plain, made: Sequence[Artifact], seconds: float) -> ToolResult:
    """Return the result of a call that gave an answer."""
    value, images = output
    labels = {artifact.name: artifact.label for artifact in made}
    parts: list[Part] = [ValuePart(value)]
    parts += [ImagePart(name, labels.get(name, "")) for name in images]
    parts += [ArtifactPart(a.name, a.kind, a.label) for a in made]
    return ToolResult(call.id, call.name, tuple(parts), seconds=seconds)


def failed_result(
    call: ToolCall, error: BaseException, made: Sequence[Artifact] = (), seconds: float = 0.0
) -> ToolResult:
    """Return the result of a call that raised; what is no `ToolError` is infrastructure."""
    failure = as_tool_error(error)
    parts: list[Part] = [ValuePart(jsonable(failure.evidence))] if failure.evidence else []
    parts += [ArtifactPart(a.name, a.kind, a.label) for a in made]
    return ToolResult(
        call.id, call.name, tuple(parts), failure.kind, failure.reason, one_line(failure), seconds
    )


def as_tool_error(error: BaseException) -> ToolError:
    """Return `error` itself, or the infrastructure failure that it amounts to."""
    if isinstance(error, ToolError):
        return error
    reason = "out_of_memory" if isinstance(error, MemoryError) else "crash"
    text = one_line(error)
    return Infrastructure(f"{type(error).__name__}: {text}" if text else type(error).__name__, reason=reason)


def one_line(error: object) -> str:
    """Return a message on one line, bounded."""
    text = " ".join(str(error).split())
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}…"
