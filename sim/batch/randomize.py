"""Domain randomisation: what varies between episodes, and the model fields that it writes."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mujoco
import torch
from torch import Tensor

from sim.batch.rng import EnvRandom
from sim.batch.textures import plain_materials, texture_ids

Range = tuple[float, float]

UNSET_RGBA = (0.5, 0.5, 0.5, 1.0)
"""MuJoCo's default `geom_rgba`, which gives way to the material's colour."""


@dataclass(frozen=True)
class Randomization:
    """Ranges of what varies per episode. Factors are log-uniform around the model's own value.

    Attributes:
        mass: Factor on body masses and inertias.
        friction: Factor on sliding friction of all geoms.
        damping: Factor on joint damping.
        actuator_gain: Factor on the stiffness of position servos.
        latency_steps: Smallest and largest delay of the action [control steps].
        obs_noise: Standard deviation of the noise on observation terms, by term name, in their units.
        push_n: Largest external force on the pushed body [N], in any direction; 0 for none.
        push_body: Body that is pushed, "" for none.
        push_s: Mean time between pushes [s]; a push lasts one control step.
        camera_pos_m: Standard deviation of the cameras' positions [m], per axis.
        camera_rot_rad: Standard deviation of the cameras' rotations [rad], per axis.
        light: Factor on the lights' diffuse intensity.
        color: Largest change of each geom's colour (its material's, if it has none of its own), per
            channel, in [0, 1].
        texture: Share of the materials, those without a texture of their own, that get one of the scene's
            (`sim.batch.textures`), in [0, 1].
        texture_m: Size of such a texture on the surface [m].
    """

    mass: Range = (1.0, 1.0)
    friction: Range = (1.0, 1.0)
    damping: Range = (1.0, 1.0)
    actuator_gain: Range = (1.0, 1.0)
    latency_steps: tuple[int, int] = (0, 0)
    obs_noise: Mapping[str, float] | None = None
    push_n: float = 0.0
    push_body: str = ""
    push_s: float = 1.0
    camera_pos_m: float = 0.0
    camera_rot_rad: float = 0.0
    light: Range = (1.0, 1.0)
    color: float = 0.0
    texture: float = 0.0
    texture_m: Range = (0.05, 0.25)

    def __post_init__(self) -> None:
        """Refuse ranges that mean nothing."""
        for name in ("mass", "friction", "damping", "actuator_gain", "light", "texture_m"):
            low, high = getattr(self, name)
            if not 0.0 < low <= high:
                what = "sizes [m]" if name == "texture_m" else "factors"
                raise ValueError(f"{name} is ({low}, {high}); use {what} 0 < low <= high")
        for name in ("color", "texture"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}; use a number in [0, 1]")
        for name in ("push_n", "camera_pos_m", "camera_rot_rad"):
            if getattr(self, name) < 0.0:
                raise ValueError(f"{name} is {getattr(self, name)}; use 0 for none or a positive number")
        if self.push_s <= 0.0:
            raise ValueError(f"push_s is {self.push_s}; use a positive number of seconds")
        for name, std in (self.obs_noise or {}).items():
            if std < 0.0:
                raise ValueError(f"obs_noise of {name} is {std}; use a standard deviation of at least 0")
        if not 0 <= self.latency_steps[0] <= self.latency_steps[1]:
            raise ValueError(f"latency_steps is {self.latency_steps}; use 0 <= low <= high")
        if self.push_n and not self.push_body:
            raise ValueError("push_n is set but push_body is not; name the body to push")


NOMINAL = Randomization()
RANDOMISED = Randomization(
    mass=(0.7, 1.4),
    friction=(0.7, 1.4),
    damping=(0.7, 1.4),
    actuator_gain=(0.8, 1.25),
    latency_steps=(0, 1),
    camera_pos_m=0.01,
    camera_rot_rad=0.02,
    light=(0.6, 1.4),
    color=0.1,
    texture=0.5,
)
"""A moderate spread that every task's randomised preset starts from."""


def draw_model_fields(spread: Randomization, model: mujoco.MjModel, random: EnvRandom) -> dict[str, Tensor]:
    """Draw the model fields of n environments for one episode.

    Returns:
        Only the fields that vary, (n, ...) each; derived constants follow when they are written.
    """
    fields: dict[str, Tensor] = {}
    device = random.device

    def own(name: str) -> Tensor:
        value = torch.as_tensor(getattr(model, name), dtype=torch.float32, device=device)
        return value.expand(random.num, *value.shape).clone()

    if _varies(spread.mass):
        factor = random.log_uniform("mass", *spread.mass, size=model.nbody)
        fields["body_mass"] = own("body_mass") * factor
        fields["body_inertia"] = own("body_inertia") * factor[..., None]
    if _varies(spread.friction):
        friction = own("geom_friction")
        friction[..., 0] *= random.log_uniform("friction", *spread.friction)
        fields["geom_friction"] = friction
    if _varies(spread.damping):
        fields["dof_damping"] = own("dof_damping") * random.log_uniform(
            "damping", *spread.damping, size=model.nv
        )
    if _varies(spread.actuator_gain):
        factor = random.log_uniform("actuator_gain", *spread.actuator_gain, size=model.nu)
        is_servo = torch.as_tensor(model.actuator_biasprm[:, 1] != 0.0, device=device)
        factor = torch.where(is_servo, factor, torch.ones_like(factor))
        gain, bias = own("actuator_gainprm"), own("actuator_biasprm")
        gain[..., 0] *= factor
        bias[..., 1] *= factor
        fields |= {"actuator_gainprm": gain, "actuator_biasprm": bias}
    fields |= _looks(spread, own, random, model)
    return fields


def _looks(spread: Randomization, own: Any, random: EnvRandom, model: mujoco.MjModel) -> dict[str, Tensor]:
    fields: dict[str, Tensor] = {}
    if spread.camera_pos_m:
        value = own("cam_pos")
        fields["cam_pos"] = value + random.normal("cam_pos", spread.camera_pos_m, value[0].numel()).view_as(
            value
        )
    if spread.camera_rot_rad:
        value = own("cam_quat")
        turn = random.normal("cam_quat", spread.camera_rot_rad, 3 * value.shape[1]).view(*value.shape[:2], 3)
        fields["cam_quat"] = small_turn(value, turn)
    if _varies(spread.light):
        fields["light_diffuse"] = own("light_diffuse") * random.log_uniform("light", *spread.light)[..., None]
    if spread.color:
        value = _shown_rgba(own("geom_rgba"), own("mat_rgba"), model)
        shift = random.uniform("color", -spread.color, spread.color, 3 * value.shape[1])
        value[..., :3] = torch.clamp(value[..., :3] + shift.view(*value.shape[:2], 3), 0.0, 1.0)
        fields["geom_rgba"] = value
    if spread.texture:
        fields |= _textures(spread, own, random, model)
    return {name: value for name, value in fields.items() if value.numel()}


def _textures(spread: Randomization, own: Any, random: EnvRandom, model: mujoco.MjModel) -> dict[str, Tensor]:
    """Draw which materials show which texture, and how large."""
    ids = torch.tensor(texture_ids(model), dtype=torch.int32, device=random.device)
    if not len(ids) or not model.nmat:
        return {}
    plain = torch.as_tensor(plain_materials(model), device=random.device)
    drawn = plain & (random.uniform("texture", size=model.nmat) < spread.texture)
    chosen = ids[random.integers("texture_id", len(ids), model.nmat)]
    texid, repeat, uniform = own("mat_texid"), own("mat_texrepeat"), own("mat_texuniform")
    role = int(mujoco.mjtTextureRole.mjTEXROLE_RGB)
    texid[..., role] = torch.where(drawn, chosen.to(texid.dtype), texid[..., role])
    per_m = 1.0 / random.log_uniform("texture_m", *spread.texture_m, size=model.nmat)
    repeat = torch.where(drawn[..., None], per_m[..., None], repeat)
    uniform = torch.where(drawn, torch.ones_like(uniform), uniform)  # repeats are per metre
    return {"mat_texid": texid, "mat_texrepeat": repeat, "mat_texuniform": uniform}


def _shown_rgba(geom_rgba: Tensor, mat_rgba: Tensor, model: mujoco.MjModel) -> Tensor:
    """Return the colours that are drawn, (n, ngeom, 4): the material's where the geom's own is unset."""
    if not model.nmat:
        return geom_rgba
    material = torch.as_tensor(model.geom_matid, dtype=torch.int64, device=geom_rgba.device)
    unset = (geom_rgba == geom_rgba.new_tensor(UNSET_RGBA)).all(-1) & (material >= 0)
    return torch.where(unset[..., None], mat_rgba[:, material.clamp(min=0)], geom_rgba)


def _varies(span: Range) -> bool:
    return span != (1.0, 1.0)


def small_turn(quat: Tensor, rotvec: Tensor) -> Tensor:
    """Return quat_wxyz turned by a small rotation vector [rad] in its own frame."""
    w, v = quat[..., :1], quat[..., 1:]
    half = 0.5 * rotvec
    turned = torch.cat((w - (v * half).sum(-1, keepdim=True), v + w * half + torch.linalg.cross(v, half)), -1)
    return torch.nn.functional.normalize(turned, dim=-1)
