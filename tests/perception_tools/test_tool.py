"""The `tool` decorator: schema from signature, validation before dispatch, failures by kind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import numpy as np
import pytest
from pydantic import BaseModel, Field

from perception_tools.artifacts import Workspace
from perception_tools.geometry import FrameError
from perception_tools.tool import (
    BadArguments,
    Cancelled,
    ErrorKind,
    Failed,
    ImageName,
    Infrastructure,
    Negative,
    PointWorld,
    Refused,
    Tool,
    ToolContext,
    ToolError,
    ToolOutput,
    ToolResult,
    ValuePart,
    tool,
)


class Answer(BaseModel):
    """An answer."""

    value: float = Field(description="the number [m]")


class Side(Enum):
    LEFT = "left"
    RIGHT = "right"


class Options(BaseModel):
    names: list[str]
    limit: int = 3


@pytest.fixture
def ctx() -> ToolContext:
    return ToolContext(workspace=Workspace(), cameras={}, clock=lambda: 2.0)


@tool()
def reach(
    ctx: ToolContext,
    image: ImageName,
    depth_m: Annotated[float, Field(gt=0, le=2)],
    side: Literal["left", "right"] = "left",
    target_m: PointWorld | None = None,
) -> Answer:
    """Reach for something.

    In more words.

    Args:
        image: Where to look.
        depth_m: How far
            away [m].
        side: Which hand.
        target_m: Where to go.
    """
    ctx.workspace.get(image, "image")
    return Answer(value=depth_m)


# ---- schema -------------------------------------------------------------------------------------


def test_schema_comes_from_signature_and_docstring():
    spec = reach.spec
    assert spec.name == "reach" and spec.description == "Reach for something.\nIn more words."
    assert spec.parameters["required"] == ["image", "depth_m"]
    assert spec.parameters["additionalProperties"] is False
    properties = spec.parameters["properties"]
    assert list(properties) == ["image", "depth_m", "side", "target_m"]  # no context
    assert properties["image"]["pattern"] == "^image_[0-9]+$"
    assert properties["depth_m"] == {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 2,
        "description": "How far away [m].",
        "title": "Depth M",
    }
    assert properties["side"]["enum"] == ["left", "right"] and properties["side"]["default"] == "left"
    assert spec.returns["properties"]["value"]["description"] == "the number [m]"


def test_fixed_tuples_are_arrays_with_items():
    # Providers refuse `prefixItems`; three numbers are an array of numbers of length three.
    point = reach.spec.parameters["properties"]["target_m"]["anyOf"][0]
    assert (point["type"], point["items"], point["minItems"], point["maxItems"]) == (
        "array",
        {"type": "number"},
        3,
        3,
    )


def with_type(annotation: Any) -> Callable[..., Any]:
    def use(ctx, x):
        """Use x.

        Args:
            x: Something [1].
        """

    use.__annotations__ = {"ctx": ToolContext, "x": annotation, "return": Answer}
    return use


CARRIED = (
    int,
    float,
    str,
    bool,
    Optional[float],  # noqa: UP045
    list[float],
    tuple[int, str],
    Literal["a", 1],
    Side,
    Options,
)
CARRIED += (list[Options], dict[str, float], PointWorld, list[PointWorld], Annotated[int, Field(ge=0)])
NOT_CARRIED = (Any, object, np.ndarray, bytes, complex, Path, Callable, list, dict, dict[str, Any], set[int])
NOT_CARRIED += (list[np.ndarray], dict[int, float], threading.Event)


@pytest.mark.parametrize("annotation", CARRIED)
def test_types_that_json_schema_carries(annotation):
    assert tool()(with_type(annotation)).spec.parameters["properties"]["x"]


@pytest.mark.parametrize("annotation", NOT_CARRIED)
def test_types_that_it_cannot_carry_are_errors_at_import(annotation):
    with pytest.raises(TypeError, match=r"tool use: JSON schema can't carry its types"):
        tool()(with_type(annotation))


def test_missing_parts_of_a_tool_are_errors_at_import():
    def no_docstring(ctx: ToolContext) -> Answer: ...

    def no_type(ctx: ToolContext, x) -> Answer:
        """Do.

        Args:
            x: Some [m].
        """
        ...

    def no_args_entry(ctx: ToolContext, x: float) -> Answer:
        """Do."""
        ...

    def no_return(ctx: ToolContext):
        """Do."""

    for function, message in (
        (no_docstring, "docstring"),
        (no_type, "'x' needs a type"),
        (no_args_entry, "'x' needs an `Args:` entry"),
        (no_return, "return annotation"),
    ):
        with pytest.raises(TypeError, match=message):
            tool()(function)


def test_outputs_with_images_tell_the_values_schema():
    @tool()
    def show(ctx: ToolContext) -> ToolOutput[Answer]:
        """Show."""
        return ToolOutput(Answer(value=1.0))

    assert list(show.spec.returns["properties"]) == ["value"]


def test_flags():
    def move(ctx: ToolContext) -> Answer:
        """Move."""
        return Answer(value=0)

    assert tool()(move).spec.read_only
    skill = tool(moves_robot=True, timeout_s=60)(move)
    assert skill.moves_robot and not skill.spec.read_only and skill.timeout_s == 60
    assert not tool(read_only=False)(move).spec.read_only
    assert tool(bypasses_gates=True)(move).bypasses_gates


# ---- calls --------------------------------------------------------------------------------------


def test_valid_arguments_reach_the_function_typed(ctx):
    ctx.put("image", np.zeros((2, 2, 3), np.uint8), frame="world")
    assert reach(ctx, image="image_1", depth_m=1).value == 1.0
    assert reach.validate({"image": "image_1", "depth_m": 1, "target_m": [1, 2, 3]}) == {
        "image": "image_1",
        "depth_m": 1.0,
        "side": "left",
        "target_m": (1.0, 2.0, 3.0),
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image": "image_1"}, "missing argument 'depth_m'"),
        ({"image": "image_1", "depth_m": 1, "colour": "red"}, "unknown argument 'colour'"),
        ({"image": "mask_1", "depth_m": 1}, "image: .*image_"),
        ({"image": "image_1", "depth_m": 0}, "depth_m: .*greater than 0"),
        ({"image": "image_1", "depth_m": 2.5}, "depth_m: .*less than or equal to 2"),
        ({"image": "image_1", "depth_m": float("nan")}, "depth_m: .*finite"),
        ({"image": "image_1", "depth_m": "far"}, "depth_m: .*number.*'far'"),
        ({"image": "image_1", "depth_m": 1, "side": "up"}, "side: .*'left' or 'right'"),
        ({"image": "image_1", "depth_m": 1, "target_m": [1, 2]}, "target_m"),
        ("{not json", "not a JSON object"),
        (["image_1", 1], "not a JSON object"),
    ],
)
def test_bad_arguments_say_what_to_fix(arguments, message):
    with pytest.raises(BadArguments, match=message) as error:
        reach.validate(arguments)
    assert "\n" not in str(error.value)


def test_bad_arguments_list_the_valid_ones():
    with pytest.raises(BadArguments, match="Arguments: image, depth_m, side, target_m"):
        reach.validate({})


def test_artifact_and_frame_errors_become_bad_arguments(ctx):
    with pytest.raises(BadArguments, match="no artifact 'image_4'"):
        reach(ctx, image="image_4", depth_m=1)

    @tool()
    def mix(ctx: ToolContext) -> Answer:
        """Mix frames."""
        raise FrameError("'a' is not 'b'")

    with pytest.raises(BadArguments, match="'a' is not 'b'"):
        mix(ctx)


def test_other_failures_keep_their_kind(ctx):
    for error in (Negative, Refused, Failed, Cancelled, Infrastructure):

        @tool()
        def fail(ctx: ToolContext) -> Answer:
            """Fail."""
            raise error("because", reason="why", evidence={"n": 1})  # noqa: B023

        with pytest.raises(error) as caught:
            fail(ctx)
        assert (caught.value.reason, caught.value.evidence) == ("why", {"n": 1})


def test_kinds_are_all_different():
    kinds = [error.kind for error in (BadArguments, Negative, Refused, Failed, Cancelled, Infrastructure)]
    assert sorted(kinds) == sorted(ErrorKind)
    assert all(issubclass(e, ToolError) for e in (BadArguments, Negative))


# ---- context and results ------------------------------------------------------------------------


def test_a_bound_context_signs_what_it_stores(ctx):
    bound = ctx.for_call("reach", "call_7", threading.Event())
    artifact = bound.put("image", np.zeros((1, 1, 3), np.uint8), frame="camera:scene")
    assert (artifact.tool, artifact.call_id, artifact.stamp_s) == ("reach", "call_7", 2.0)
    assert ctx.tool == ""


def test_an_unknown_camera_lists_the_valid_ones(ctx):
    with pytest.raises(BadArguments, match="no camera 'rear'; cameras: none"):
        ctx.camera("rear")


def test_a_results_value_is_its_first_value_part():
    assert ToolResult("c", "t", (ValuePart({"a": 1}), ValuePart({"b": 2}))).value == {"a": 1}
    assert ToolResult("c", "t").value == {} and ToolResult("c", "t").ok
    assert not ToolResult("c", "t", error=ErrorKind.FAILED).ok


def test_tools_are_values():
    assert isinstance(reach, Tool) and reach.name == "reach"
