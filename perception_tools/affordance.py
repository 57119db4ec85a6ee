"""`tool_affordance`: how far a tool with jaws is open, what it can hold, and where its tips are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, Field

from perception_tools.affordance_frames import MIN_POINTS
from perception_tools.affordance_onnx import ONNX_FILE, SHIPPED, OnnxEncoder
from perception_tools.affordance_state import AffordanceEncoder, ToolState
from perception_tools.results import rounded
from perception_tools.tool import CloudName, Infrastructure, Negative, ToolContext, tool
from perception_tools.views import settings_of


@dataclass(frozen=True)
class AffordanceConfig:
    """Settings of `tool_affordance`.

    Attributes:
        encoder: Name of an encoder that ships (a folder of `perception_tools/weights/affordance`), or the
            path of an exported .onnx file.
        max_tip_sd_m: Tips that are known less well than this count as not found [m].
    """

    encoder: str = "pointnet"
    max_tip_sd_m: float = 0.04


class ToolAffordance(BaseModel):
    """State of a tool with jaws. Deviations (sd) are those that 68 % of errors are within."""

    kind: str = Field(description="tweezers, scissors or pliers, the likeliest")
    kind_confidence: float
    opening_m: float = Field(description="distance of the tips [m]")
    opening_sd_m: float = Field(description="its deviation [m]")
    size_range_m: list[float] = Field(description="[least, greatest] size of what fits between the tips [m]")
    size_sd_m: float = Field(description="deviation of the greatest size, which is a guess by kind [m]")
    tip_m: list[float] = Field(description="middle of the tips in world [m]")
    tip_sd_m: float = Field(description="deviation of each of its coordinates [m]")
    tips_m: list[list[float]] = Field(description="both tips in world [m]")
    approach: list[float] = Field(description="unit vector in world from the pivot to the tips")
    approach_sd_rad: float = Field(description="its deviation about each axis [rad]")
    opening_axis: list[float] = Field(description="unit vector in world along which the tips part")
    novelty_score: float = Field(description="how unlike the known tools it is; 1 is as unlike as 1 in 100")


@tool()
def tool_affordance(ctx: ToolContext, cloud: CloudName) -> ToolAffordance:
    """Estimate how far tweezers, scissors or pliers are open, what fits between their tips, and where.

    The cloud must show one tool, without table and hand.

    Args:
        cloud: Cloud of the tool alone, as of point_cloud with a mask.
    """
    config = settings_of(ctx, "tool_affordance", AffordanceConfig)
    artifact = ctx.workspace.get(cloud, "cloud", frame="world")
    points = artifact.data["points"]
    if len(points) < MIN_POINTS:
        raise Negative(
            f"{cloud} has {len(points)} points, too few to tell a tool; {MIN_POINTS} are needed",
            reason="too_few_points",
            evidence={"num_points": len(points)},
        )
    encoder = encoder_of(config.encoder)
    try:
        state = encoder.estimate(points)
    except ValueError as error:  # points that are not finite, or all in one place
        raise Negative(f"{cloud}: {error}", reason="too_few_points") from error
    _require_tool(cloud, state, config)
    return ToolAffordance(
        kind=state.kind,
        kind_confidence=rounded(state.probability, 2),
        opening_m=rounded(state.opening_m),
        opening_sd_m=rounded(state.opening_sd_m),
        size_range_m=rounded(state.size_range_m),
        size_sd_m=rounded(state.size_sd_m),
        tip_m=rounded(state.p_tip),
        tip_sd_m=rounded(state.tip_sd_m),
        tips_m=rounded(state.p_tips),
        approach=rounded(state.approach),
        approach_sd_rad=rounded(state.approach_sd_rad, 3),
        opening_axis=rounded(state.across),
        novelty_score=rounded(state.novelty, 2),
    )


def encoder_of(name: str) -> AffordanceEncoder:
    """Return an encoder that ships, or that of an .onnx file.

    Raises:
        ValueError: There is none of this name; lists those that there are.
        Infrastructure: onnxruntime is not installed.
    """
    file = Path(name) if name.endswith(".onnx") else SHIPPED / name / ONNX_FILE
    if not file.is_file():
        known = ", ".join(sorted(f.parent.name for f in SHIPPED.glob(f"*/{ONNX_FILE}")))
        raise ValueError(f"no affordance encoder {name!r}; there are {known}, or give an .onnx file")
    try:
        return _loaded(file)
    except ModuleNotFoundError as error:
        raise Infrastructure(
            "tool_affordance needs onnxruntime: pip install onnxruntime", reason="not_installed"
        ) from error


@lru_cache(maxsize=4)
def _loaded(file: Path) -> OnnxEncoder:
    return OnnxEncoder(file)


def _require_tool(cloud: str, state: ToolState, config: AffordanceConfig) -> None:
    evidence = {
        "p_other": rounded(state.p_other, 3),
        "novelty": rounded(state.novelty, 2),
        "tip_sd_m": rounded(state.tip_sd_m),
    }
    if not state.is_tool:
        raise Negative(
            f"{cloud} shows no tool with jaws that is known (tweezers, scissors, pliers)",
            reason="no_tool",
            evidence=evidence,
        )
    if state.tip_sd_m > config.max_tip_sd_m:
        raise Negative(
            f"{cloud} looks like {state.kind}, but its tips are only known to {state.tip_sd_m:.3f} m: look "
            "from another side",
            reason="unsure",
            evidence=evidence,
        )
