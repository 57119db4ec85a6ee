"""How a scene looks: table top, floor, background and lights, drawn from a seed."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import mujoco
import numpy as np
from numpy.typing import NDArray

from perception_tools.geometry import FloatArray

TableKind = Literal["wood", "cloth", "plain"]
Rgb = tuple[float, float, float]

_TABLES: tuple[tuple[TableKind, Rgb], ...] = (
    ("wood", (0.76, 0.62, 0.45)),
    ("wood", (0.62, 0.47, 0.31)),
    ("wood", (0.83, 0.74, 0.60)),
    ("wood", (0.45, 0.35, 0.27)),
    ("cloth", (0.58, 0.63, 0.60)),
    ("cloth", (0.70, 0.66, 0.60)),
    ("cloth", (0.36, 0.42, 0.48)),
    ("plain", (0.74, 0.75, 0.76)),
    ("plain", (0.60, 0.63, 0.67)),
    ("plain", (0.33, 0.35, 0.38)),
)
_FLOORS: tuple[Rgb, ...] = ((0.42, 0.43, 0.45), (0.55, 0.53, 0.50), (0.30, 0.33, 0.36), (0.50, 0.46, 0.42))
_TEXTURE_PX = 384


@dataclass(frozen=True)
class SceneLook:
    """Looks of a scene.

    Attributes:
        table_kind: Texture of the table top.
        table_rgb: Its mean colour.
        floor_rgb: Colour of the floor.
        texture_seed: Seed of the texture's pattern.
        light_pos_m: Position of the main light in world [m].
        light_level: Diffuse level of the main light in [0, 1].
        light_tint: Tint of the main light.
        fill_level: Diffuse level of the fill light in [0, 1].
    """

    table_kind: TableKind
    table_rgb: Rgb
    floor_rgb: Rgb
    texture_seed: int
    light_pos_m: tuple[float, float, float]
    light_level: float
    light_tint: Rgb
    fill_level: float


def sample_look(rng: np.random.Generator, object_rgbs: Sequence[Rgb]) -> SceneLook:
    """Draw a look whose table differs clearly in colour (CIELAB) from every object."""
    distances = [
        min((float(np.linalg.norm(_lab(rgb) - _lab(other))) for other in object_rgbs), default=100.0)
        for _, rgb in _TABLES
    ]
    clear = [k for k in range(len(_TABLES)) if distances[k] > 25] or [int(np.argmax(distances))]
    kind, rgb = _TABLES[clear[rng.integers(len(clear))]]
    warm = rng.uniform(-0.03, 0.03)
    return SceneLook(
        table_kind=kind,
        table_rgb=rgb,
        floor_rgb=_FLOORS[rng.integers(len(_FLOORS))],
        texture_seed=int(rng.integers(2**31)),
        light_pos_m=(
            float(rng.uniform(0.8, 1.3)),
            float(rng.uniform(-0.9, 0.9)),
            float(rng.uniform(1.5, 2.0)),
        ),
        light_level=float(rng.uniform(0.30, 0.42)),
        light_tint=(float(1 + warm), 1.0, float(1 - warm)),
        fill_level=float(rng.uniform(0.08, 0.16)),
    )


def add_look(
    spec: mujoco.MjSpec, look: SceneLook, table_x: tuple[float, float], table_y: tuple[float, float]
) -> None:
    """Add table, floor, background and lights to a model."""
    _add_lights(spec, look)
    rng = np.random.default_rng(look.texture_seed)
    pixels = np.clip(_pattern(look, rng) * 255, 0, 255).astype(np.uint8)
    texture = spec.add_texture(
        name="table",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        width=_TEXTURE_PX,
        height=_TEXTURE_PX,
        nchannel=3,
    )
    texture.data = pixels.tobytes()
    textures = [""] * int(mujoco.mjtTextureRole.mjNTEXROLE)
    textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "table"
    spec.add_material(name="table", textures=textures, specular=0.1, shininess=0.2, texrepeat=[1, 1])
    spec.add_texture(
        name="background",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.80, 0.84, 0.88],
        rgb2=[0.45, 0.50, 0.56],
        width=64,
        height=64,
    )
    spec.add_material(name="floor", rgba=[*look.floor_rgb, 1], specular=0.05, shininess=0.1)
    spec.worldbody.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        pos=[0, 0, -0.75],
        size=[4, 4, 0.1],
        material="floor",
        group=0,
    )
    spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=[sum(table_x) / 2, sum(table_y) / 2, -0.02],
        size=[(table_x[1] - table_x[0]) / 2, (table_y[1] - table_y[0]) / 2, 0.02],
        material="table",
        group=0,
        condim=4,
        friction=[0.8, 0.01, 0.001],
    )


def _add_lights(spec: mujoco.MjSpec, look: SceneLook) -> None:
    spec.visual.headlight.ambient = [0.46, 0.46, 0.46]
    spec.visual.headlight.diffuse = [0.18, 0.18, 0.18]
    spec.visual.headlight.specular = [0.05, 0.05, 0.05]
    spec.visual.quality.shadowsize = 1024
    spec.visual.map.shadowclip = 1.3
    position = np.array(look.light_pos_m)
    direction = np.array([0.5, 0.0, 0.0]) - position
    spec.worldbody.add_light(
        name="main",
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=list(position),
        dir=list(direction / np.linalg.norm(direction)),
        diffuse=[look.light_level * t for t in look.light_tint],
        ambient=[0, 0, 0],
        specular=[0.25, 0.25, 0.25],
        castshadow=1,
    )
    spec.worldbody.add_light(
        name="fill",
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=[1.2, -position[1], 1.5],
        dir=[-0.5, float(np.sign(position[1])) * 0.4, -0.8],
        diffuse=[look.fill_level] * 3,
        ambient=[0, 0, 0],
        specular=[0, 0, 0],
        castshadow=0,
    )


def _pattern(look: SceneLook, rng: np.random.Generator) -> FloatArray:
    """Return the table's texture, (_TEXTURE_PX, _TEXTURE_PX, 3) in [0, 1]."""
    n = _TEXTURE_PX
    v, u = np.mgrid[0:n, 0:n] / n
    if look.table_kind == "wood":
        wobble = _smooth_noise(rng, n, (12, 3)) * 0.5
        rings = 0.5 + 0.5 * np.sin(2 * np.pi * (14 * u + 2.2 * wobble + 0.3 * np.sin(5 * v)))
        fibres = _smooth_noise(rng, n, (192, 6))
        gain = 1 + 0.055 * (rings - 0.5) + 0.035 * fibres
        plank = np.floor(u * 5).astype(int)
        gain *= (1 + 0.03 * rng.standard_normal(6))[plank]
        gain[:, (u[0] * 5) % 1 < 5 / n] *= 0.86
    elif look.table_kind == "cloth":
        weave = np.sin(2 * np.pi * 96 * u) * np.sin(2 * np.pi * 96 * v)
        gain = 1 + 0.025 * weave + 0.02 * _smooth_noise(rng, n, (24, 24))
    else:
        gain = 1 + 0.01 * _smooth_noise(rng, n, (48, 48))
    return gain[..., None] * np.array(look.table_rgb)


def _smooth_noise(rng: np.random.Generator, n: int, cells: tuple[int, int]) -> FloatArray:
    """Return value noise of about unit deviation with `cells` cells along u and v, (n, n)."""
    along_u, along_v = cells
    coarse = rng.standard_normal((along_v + 1, along_u + 1))
    u = np.linspace(0, along_u, n, endpoint=False)
    v = np.linspace(0, along_v, n, endpoint=False)
    i, j = v.astype(int), u.astype(int)
    fv, fu = (v - i)[:, None], (u - j)[None]
    top = coarse[np.ix_(i, j)] * (1 - fu) + coarse[np.ix_(i, j + 1)] * fu
    low = coarse[np.ix_(i + 1, j)] * (1 - fu) + coarse[np.ix_(i + 1, j + 1)] * fu
    return top * (1 - fv) + low * fv


def _lab(rgb: Rgb) -> NDArray[np.float64]:
    """Convert sRGB in [0, 1] to CIELAB (D65), (3,)."""
    c = np.asarray(rgb, dtype=np.float64)
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    xyz = (
        np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
        @ linear
        / np.array([0.9505, 1.0, 1.089])
    )
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])
