"""What every tool model shares: affordances, the law of its opening, its handle, attaching it.

Tool frame (the frame of the body `<name>/body`): z along the working direction, towards the tip; y the
opening axis, left = +y; x completes it and is the hinge axis. Every site has the axes of the part that
it sits on, so at rest its z and y are close to the tool's. A tool is authored as a specification of its own
with local names and then attached under the prefix `<name>/`.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import mujoco
import numpy as np

from sim.tools.opening import Opening

Vector = tuple[float, float, float]
Rgb = tuple[float, float, float]

BODY = "body"
VISUAL_GROUP = 2
COLLISION_GROUP = 3
SITE_GROUP = 4

STEEL_KG_M3 = 7850.0
ALUMINIUM_KG_M3 = 2700.0
WOOD_KG_M3 = 700.0
PLASTIC_KG_M3 = 1150.0

_MAX_FREQUENCY_RAD_S = 600.0  # beyond, an explicit spring is unstable at a time step of 2 ms


@dataclass(frozen=True)
class Affordance:
    """Where and how a tool can be held or acts.

    Attributes:
        name: What it is for, e.g. `squeeze`, `pinch`, `pull`.
        site: Name of the site whose frame it is given in.
        kind: `grasp`: a hand holds it there; `act`: it works on the world there.
        direction: Unit vector in the site's frame: of approach for a grasp, of motion or force for an act.
        axis: Unit vector in the site's frame along which fingers close (grasp) or jaws open (act).
        width_m: Extent to be spanned along `axis` at rest [m]; 0 where it has no meaning.
    """

    name: str
    site: str
    kind: Literal["grasp", "act"]
    direction: Vector = (0.0, 0.0, 1.0)
    axis: Vector = (0.0, 1.0, 0.0)
    width_m: float = 0.0


@dataclass(frozen=True)
class ToolHandle:
    """Names and laws of a tool in a model.

    Attributes:
        kind: Kind of tool, a key of `sim.tools.registry.TOOLS`.
        name: Its name; the prefix of all that belongs to it.
        body: Root body, whose frame is the tool frame.
        moving_body: Body that moves against the root; None for a rigid tool.
        joint: Joint between them; None for a rigid tool.
        free_joint: Free joint of the root; None where the tool is fixed to a site.
        sites: Names of all its sites.
        affordances: Where and how to hold it and what it does.
        mass_kg: Total mass [kg].
        joint_range: Range of the joint [rad] or [m].
        joint_rest: Joint position where its spring, if any, is relaxed; also that of the model's `qpos0`.
        stiffness: Spring stiffness of the joint [N m/rad] or [N/m]; 0 without spring.
        opening: Distance of `tip_left` and `tip_right` (`tip` and `stop` of a plunger) by joint position.
        grip_opening: Distance of `grip_left` and `grip_right` by joint position.
    """

    kind: str
    name: str
    body: str
    moving_body: str | None
    joint: str | None
    free_joint: str | None
    sites: tuple[str, ...]
    affordances: tuple[Affordance, ...]
    mass_kg: float
    joint_range: tuple[float, float] = (0.0, 0.0)
    joint_rest: float = 0.0
    stiffness: float = 0.0
    opening: Opening | None = None
    grip_opening: Opening | None = None

    def site(self, short: str) -> str:
        """Return the full name of a site, e.g. `tip_left` -> `tweezers/tip_left`.

        Raises:
            ValueError: Unknown site; lists the valid ones.
        """
        full = f"{self.name}/{short}"
        if full not in self.sites:
            known = ", ".join(s.removeprefix(f"{self.name}/") for s in self.sites)
            raise ValueError(f"{self.kind} has no site {short!r}; sites: {known}")
        return full

    def affordance(self, name: str) -> Affordance:
        """Return the affordance of a name.

        Raises:
            ValueError: Unknown name; lists the valid ones.
        """
        for affordance in self.affordances:
            if affordance.name == name:
                return affordance
        known = ", ".join(a.name for a in self.affordances)
        raise ValueError(f"{self.kind} has no affordance {name!r}; affordances: {known}")

    def opening_m(self, joint_pos: Any) -> Any:
        """Return the distance of the tips [m] at a joint position."""
        return self._opening().opening_m(joint_pos)

    def joint_pos(self, opening_m: Any) -> Any:
        """Return the joint position at a distance of the tips [m]."""
        return self._opening().joint_pos(opening_m)

    def _opening(self) -> Opening:
        if self.opening is None:
            raise ValueError(f"a {self.kind} is rigid: it has no opening")
        return self.opening


@dataclass(frozen=True, eq=False)
class ToolModel:
    """A tool as a specification of its own, its root body `body` under the world, with local names."""

    spec: mujoco.MjSpec
    handle: ToolHandle


def require(condition: bool, message: str) -> None:
    """Raise ValueError with `message` unless `condition` holds."""
    if not condition:
        raise ValueError(message)


def require_positive(config: Any, *fields: str) -> None:
    """Raise ValueError unless the named fields of a config are finite and above zero."""
    for field in fields:
        value = getattr(config, field)
        require(
            bool(np.isfinite(value)) and value > 0,
            f"{type(config).__name__}.{field} = {value!r} must be a finite number above 0",
        )


def require_not_negative(config: Any, *fields: str) -> None:
    """Raise ValueError unless the named fields of a config are zero or more."""
    for field in fields:
        value = getattr(config, field)
        require(value >= 0, f"{field} = {value} must not be negative")


def require_rest_within_opening(config: Any) -> None:
    """Raise ValueError if a config's `rest_opening_m` is more than its `max_opening_m`."""
    rest_m, most_m = config.rest_opening_m, config.max_opening_m
    require(rest_m <= most_m, f"rest_opening_m = {rest_m} exceeds max_opening_m = {most_m}: raise it")


def squeeze_to_pinch(grip_width_m: float, opening_m: float) -> tuple[Affordance, ...]:
    """Return the affordances of a tool whose arms a hand squeezes to close its tips.

    Args:
        grip_width_m: Extent that the hand spans at rest [m].
        opening_m: Distance of the tips at rest [m].
    """
    along, across, back = (0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (0.0, -1.0, 0.0)
    return (
        Affordance("squeeze", "grip", "grasp", along, across, grip_width_m),
        Affordance("squeeze_left", "grip_left", "grasp", back, across, grip_width_m),
        Affordance("squeeze_right", "grip_right", "grasp", across, across, grip_width_m),
        Affordance("pinch", "tip", "act", along, across, opening_m),
    )


def new_tool() -> tuple[mujoco.MjSpec, Any]:
    """Return an empty specification in radians and its root body."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.modelname = "tool"
    return spec, spec.worldbody.add_body(name=BODY)


def add_material(spec: mujoco.MjSpec, name: str, rgb: Rgb, *, metal: bool = False) -> str:
    """Add a material, glossy for metal, and return its name."""
    specular, shininess = (0.9, 0.75) if metal else (0.25, 0.35)
    spec.add_material(name=name, rgba=[*rgb, 1], specular=specular, shininess=shininess, reflectance=0)
    return name


def add_site(body: Any, name: str, position_m: Sequence[float], frame: Any = None) -> None:
    """Add an affordance site with the axes of `frame` (of the body, where None)."""
    site = body.add_site(name=name, pos=list(position_m), size=[0.0015, 0, 0], group=SITE_GROUP)
    site.rgba = [1, 0.3, 0.1, 1]
    if frame is not None:
        site.set_frame(frame)


def turn_about_x(angle_rad: float) -> list[float]:
    """Return `quat_wxyz` of a rotation about x; a positive one takes +z towards -y."""
    return [float(np.cos(angle_rad / 2)), float(np.sin(angle_rad / 2)), 0.0, 0.0]


def add_hinge(
    body: Any,
    angle_range_rad: tuple[float, float],
    rest_rad: float,
    stiffness: float,
    friction_n_m: float = 0.0,
) -> Any:
    """Add the joint `hinge` about x, authored at its rest position; `finish` sets the damping."""
    return body.add_joint(
        name="hinge",
        type=mujoco.mjtJoint.mjJNT_HINGE,
        axis=[1, 0, 0],
        ref=rest_rad,
        springref=rest_rad,
        limited=1,
        range=list(angle_range_rad),
        stiffness=[stiffness, 0, 0],
        frictionloss=friction_n_m,
        solref_limit=[0.004, 1.0],
        solimp_limit=[0.97, 0.999, 0.0005, 0.5, 2.0],
        solref_friction=[0.004, 1.0],
    )


def finish(
    kind: str,
    spec: mujoco.MjSpec,
    affordances: Sequence[Affordance],
    *,
    joint: Any = None,
    damping_ratio: float = 1.0,
    damping: float = 0.0,
    opening: Opening | None = None,
    grip_opening: Opening | None = None,
) -> ToolModel:
    """Compile once for masses, set the joint's damping, and describe the tool.

    Args:
        kind: Kind of tool.
        spec: Its specification; halves are bodies, the first being the root.
        affordances: With local site names.
        joint: Joint between the halves.
        damping_ratio: Of the sprung joint with the root held.
        damping: Joint damping beside it [N m s/rad] or [N s/m].
        opening: Law of the tips.
        grip_opening: Law of the grips.

    Raises:
        ValueError: The spring is too stiff for the moving mass.
    """
    stiffness, moving = 0.0, None
    if joint is not None:
        moving = joint.parent.name
        stiffness = float(joint.stiffness[0])
        inertia = float(spec.copy().compile().dof_M0[0])
        # With the root free, the two halves swing against each other, up to sqrt(2) faster.
        frequency = float(np.sqrt(2 * stiffness / inertia))
        require(
            frequency < _MAX_FREQUENCY_RAD_S,
            f"the {kind}'s spring swings at {frequency:.0f} rad/s, above {_MAX_FREQUENCY_RAD_S:.0f}: "
            "lower its stiffness or make it larger or denser",
        )
        joint.damping = [2 * damping_ratio * float(np.sqrt(stiffness * inertia)) + damping, 0, 0]
        spec.add_exclude(bodyname1=BODY, bodyname2=moving)
    handle = ToolHandle(
        kind=kind,
        name="",
        body=BODY,
        moving_body=moving,
        joint=joint.name if joint is not None else None,
        free_joint=None,
        sites=tuple(s.name for s in spec.sites),
        affordances=tuple(affordances),
        mass_kg=float(np.sum(spec.copy().compile().body_mass)),
        joint_range=(float(joint.range[0]), float(joint.range[1])) if joint is not None else (0.0, 0.0),
        joint_rest=float(joint.springref) if joint is not None else 0.0,
        stiffness=stiffness,
        opening=opening,
        grip_opening=grip_opening,
    )
    unknown = {a.site for a in affordances} - set(handle.sites)
    require(not unknown, f"affordances of {kind} name sites that do not exist: {sorted(unknown)}")
    return ToolModel(spec, handle)


def attach_tool(
    spec: mujoco.MjSpec,
    name: str,
    model: ToolModel,
    position_m: Sequence[float] = (0.0, 0.0, 0.0),
    quat_wxyz: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
    parent_site: str | None = None,
) -> ToolHandle:
    """Put a tool into a model: free in the world, or fixed to a site.

    Args:
        spec: Model under construction.
        name: Name of the tool, unique in the model.
        model: The tool; consumed.
        position_m: Origin of the tool frame in world, or in the parent site's frame [m], (3,).
        quat_wxyz: Its orientation there, (4,).
        parent_site: Site to fix the tool to; None adds a free joint.

    Raises:
        ValueError: The name is taken, or there is no such site; lists the sites.
    """
    require(bool(name) and "/" not in name, f"tool name {name!r} must be non-empty and without '/'")
    prefix = f"{name}/"
    require(
        spec.body(prefix + BODY) is None,
        f"a tool named {name!r} is in the model already: choose another name",
    )
    root = model.spec.body(BODY)
    root.pos, root.quat = list(position_m), list(quat_wxyz)
    if parent_site is None:
        root.add_freejoint(name="free")
        spec.attach(model.spec, prefix=prefix, frame=spec.worldbody.add_frame())
    else:
        site = spec.site(parent_site)
        if site is None:
            known = ", ".join(s.name for s in spec.sites if s.name) or "none"
            raise ValueError(f"no site {parent_site!r} to attach {name!r} to; sites: {known}")
        spec.attach(model.spec, prefix=prefix, site=site)
    return _prefixed(model.handle, name, is_free=parent_site is None)


def _prefixed(handle: ToolHandle, name: str, *, is_free: bool) -> ToolHandle:
    prefix = f"{name}/"
    return replace(
        handle,
        name=name,
        body=prefix + handle.body,
        moving_body=prefix + handle.moving_body if handle.moving_body else None,
        joint=prefix + handle.joint if handle.joint else None,
        free_joint=f"{prefix}free" if is_free else None,
        sites=tuple(prefix + s for s in handle.sites),
        affordances=tuple(replace(a, site=prefix + a.site) for a in handle.affordances),
    )
