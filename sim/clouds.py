"""Labelled synthetic clouds of the parametric tools: what an affordance encoder is trained and tested on.

Cloud `index` of a split is a function of (seed, split, index) alone. Its label is read from the sites of
the compiled model at the drawn opening.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from perception_tools.geometry import FloatArray, Transform
from sim.clouds_tools import (
    NEW_OTHERS,
    RANGES,
    SPLITS,
    TRAINED_OTHERS,
    Split,
    Surface,
    other_surface,
    sample_tool_fields,
    tool_surface,
)
from sim.clouds_views import Corruption, corrupt, sample_corruption


@dataclass(frozen=True)
class CloudsConfig:
    """Settings of the clouds.

    Attributes:
        seed: Of everything.
        num_tools: Number of different tools per split; clouds show them at many openings.
        surface_points: Points on the surface of a tool, of which a cloud is a part.
        others: Share of clouds that show something without jaws.
    """

    seed: int = 0
    num_tools: int = 600
    surface_points: int = 6000
    others: float = 0.15

    def __post_init__(self) -> None:
        if self.num_tools < 1 or self.surface_points < 500 or not 0 <= self.others <= 1:
            raise ValueError(
                f"num_tools = {self.num_tools}, surface_points = {self.surface_points}, others = "
                f"{self.others}: use at least 1 tool, at least 500 points, and a share from 0 to 1"
            )


@dataclass(frozen=True, eq=False)
class ToolCloud:
    """A cloud and what it shows; everything in the cloud's frame.

    Attributes:
        points: The cloud [m], (N, 3).
        kind: Kind of tool, or of the thing without jaws.
        is_tool: Whether it has jaws; else the labels below are 0.
        opening_m: Distance of the tips [m].
        size_range_m: Least and greatest distance that the tips can have [m].
        p_left: Left tip [m], (3,).
        p_right: Right tip [m], (3,).
        approach: Unit vector from the pivot to the middle of the tips, (3,).
        across: Unit vector along which the tips move apart, (3,); its sign means nothing.
        T_cloud_tool: Pose of the tool's root.
    """

    points: FloatArray
    kind: str
    is_tool: bool
    opening_m: float
    size_range_m: tuple[float, float]
    p_left: FloatArray
    p_right: FloatArray
    approach: FloatArray
    across: FloatArray
    T_cloud_tool: Transform

    @property
    def p_tip(self) -> FloatArray:
        """Middle of the tips [m], (3,)."""
        return (self.p_left + self.p_right) / 2


@dataclass(frozen=True, eq=False)
class Scene:
    """A surface at an opening, in the tool's frame.

    Attributes:
        points: Points [m], (N, 3).
        normals: Their outward normals, (N, 3).
        sites: `tip_left`, `tip_right` and `pivot` of a tool [m], (3,) each.
        hinge: Unit vector of its hinge, (3,).
        joint_pos: Joint position [rad].
        opening_m: Distance of the tips [m].
    """

    points: FloatArray
    normals: FloatArray
    sites: dict[str, FloatArray]
    hinge: FloatArray
    joint_pos: float = 0.0
    opening_m: float = 0.0


@dataclass
class ToolClouds:
    """Clouds by number. Tools are built when they are first needed.

    Args:
        config: Settings.
    """

    config: CloudsConfig = field(default_factory=CloudsConfig)

    def __post_init__(self) -> None:
        self._surfaces: dict[tuple[str, int], Surface] = {}

    def cloud(self, index: int, split: Split = "train", how: Corruption | None = None) -> ToolCloud:
        """Return cloud `index` of a split.

        Args:
            index: 0, 1, 2 ...; even at different `how`, it shows the same thing at the same opening.
            split: Which tools: `train`, `new_sizes` or `new_kind`.
            how: What is wrong with it; None draws it as in training.

        Raises:
            ValueError: Unknown split.
        """
        if split not in SPLITS:
            raise ValueError(f"no split {split!r}; splits: {', '.join(SPLITS)}")
        what, errors, place = (
            np.random.default_rng((self.config.seed, SPLITS.index(split), index, stream))
            for stream in range(3)
        )
        is_other = what.random() < self.config.others
        surface = self._surface(split, int(what.integers(self.config.num_tools)), is_other=is_other)
        scene = scene_of(surface, float(what.random()))
        how = how or sample_corruption(errors)
        points = corrupt(scene.points, scene.normals, surface.spacing_m, how, errors)
        T = Transform.from_parts(
            place.uniform(-0.5, 0.5, 3),
            Rotation.from_quat(place.normal(size=4)).as_matrix(),
            parent="cloud",
            child="tool",
        )
        return label(surface, scene, T @ points, T)

    def clouds(
        self, indices: Sequence[int], split: Split = "train", how: Corruption | None = None
    ) -> list[ToolCloud]:
        """Return several clouds; see `cloud`."""
        return [self.cloud(k, split, how) for k in indices]

    def surface(self, split: Split, tool: int) -> Surface:
        """Return tool number `tool` of a split."""
        return self._surface(split, tool, is_other=False)

    def _surface(self, split: Split, number: int, *, is_other: bool) -> Surface:
        key = (f"{split}/other" if is_other else split, number)
        if key not in self._surfaces:
            rng = np.random.default_rng((self.config.seed, SPLITS.index(split), 3 + is_other, number))
            if is_other:
                kinds = TRAINED_OTHERS if split == "train" else NEW_OTHERS
                made = other_surface(kinds[number % len(kinds)], rng, self.config.surface_points)
            else:
                ranges = RANGES[split]
                kind = list(ranges)[number % len(ranges)]
                fields = sample_tool_fields(rng, kind, ranges[kind])
                made = tool_surface(kind, fields, rng, self.config.surface_points)
            self._surfaces[key] = made
        return self._surfaces[key]


def joint_pos_at(surface: Surface, share: float) -> float:
    """Return the joint position at a share of the largest opening."""
    assert surface.handle is not None and surface.handle.opening is not None
    low, high = surface.handle.opening.range_m
    return float(np.clip(surface.handle.joint_pos(low + share * (high - low)), *surface.handle.joint_range))


def scene_of(surface: Surface, share: float) -> Scene:
    """Bring a tool to a share of its opening; other things stay as they are."""
    if surface.model is None or surface.handle is None:
        points = np.concatenate(surface.parts)
        return Scene(points[:, :3], points[:, 3:], {}, np.zeros(3))
    handle, model = surface.handle, surface.model
    data = mujoco.MjData(model)
    joint = data.joint(handle.joint)
    joint.qpos[0] = joint_pos_at(surface, share)
    mujoco.mj_kinematics(model, data)
    points, normals = [], []
    for part, body in zip(surface.parts, (handle.body, handle.moving_body), strict=True):
        rotation = data.body(body).xmat.reshape(3, 3)
        points.append(part[:, :3] @ rotation.T + data.body(body).xpos)
        normals.append(part[:, 3:] @ rotation.T)
    sites = {s: data.site(handle.site(s)).xpos.copy() for s in ("tip_left", "tip_right", "pivot")}
    at = float(joint.qpos[0])
    return Scene(
        np.concatenate(points),
        np.concatenate(normals),
        sites,
        joint.xaxis.copy(),
        at,
        float(handle.opening_m(at)),
    )


def label(surface: Surface, scene: Scene, points: FloatArray, T: Transform) -> ToolCloud:
    """Return a cloud (N, 3) of a scene with its labels; `T` is the pose of the tool in the cloud's frame."""
    zero = np.zeros(3)
    if surface.handle is None or surface.handle.opening is None:
        return ToolCloud(points, surface.kind, False, 0.0, (0.0, 0.0), zero, zero, zero, zero, T)
    left, right, pivot = (scene.sites[s] for s in ("tip_left", "tip_right", "pivot"))
    approach = (left + right) / 2 - pivot
    approach /= np.linalg.norm(approach)
    low, high = surface.handle.opening.range_m
    return ToolCloud(
        points,
        surface.kind,
        True,
        scene.opening_m,
        (low, high),
        T @ left,
        T @ right,
        T.rotate(approach),
        # Across the hinge and the approach: it exists even where the tips touch.
        T.rotate(np.cross(scene.hinge, approach)),
        T,
    )
