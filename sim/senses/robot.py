"""`RobotSenses`: the `Senses` contract of a simulated robot at a table.

All is read from the contacts that physics has computed anyway; nothing is added to the model, so
scenes, images and motions are the same with and without. Wrenches are sums of contact forces on the
hand: compensated for its own weight and inertia, like `SimRobot.external_force_n`. Thermometers sit
in the finger pads and follow what the pads touch; objects have temperatures of their own, which only
a judge may ask for (`truth_c`).
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import mujoco
import numpy as np

from perception_tools.geometry import FloatArray, Transform
from perception_tools.senses import SenseReading, TactileReading, WrenchReading
from sim.objects import ObjectSpec
from sim.robot import SimRobot
from sim.robots.model import EE_SITE, RobotModel
from sim.scene import TabletopScene
from sim.senses.heat import conducted
from sim.senses.impact import Impacts, SoundConfig
from sim.senses.pads import MountedPad, spread

_STILL = 0.02  # slower than this an impact is far too weak to be heard [m/s], [rad/s]


@dataclass(frozen=True)
class RobotSensesConfig:
    """Settings of a simulated robot's senses.

    Attributes:
        sound: The impact model.
        sound_period_s: How often velocities are looked at [s].
        heat_period_s: How often temperatures are advanced [s].
        ambient_c: Temperature of air, robot and most objects [degC].
        warm_share: Share of mugs that are warm.
        warm_c: Range of their temperatures [degC].
        specific_heat_j_kg_k: Of all objects; 900 is ceramics [J/kg/K].
        air_w_m2_k: Heat transfer to still air [W/m^2/K].
        pad_heat_capacity_j_k: Of a finger pad [J/K].
        pad_convection_w_k: Heat transfer of a pad to air and finger [W/K].
        contact_w_k: Heat transfer between two that touch [W/K].
    """

    sound: SoundConfig = field(default_factory=SoundConfig)
    sound_period_s: float = 0.01
    heat_period_s: float = 0.1
    ambient_c: float = 22.0
    warm_share: float = 0.5
    warm_c: tuple[float, float] = (40.0, 65.0)
    specific_heat_j_kg_k: float = 900.0
    air_w_m2_k: float = 10.0
    pad_heat_capacity_j_k: float = 0.5
    pad_convection_w_k: float = 0.02
    contact_w_k: float = 0.3


class RobotSenses:
    """Senses of the robot of a tabletop episode; it listens from now on.

    Args:
        scene: The scene; its objects are at rest.
        robot: The driver, whose clock and lock are used.
        model: Which robot it is.
        seed: Seed of the episode; draws which mugs are warm from a stream of its own.
        config: Settings.
    """

    def __init__(
        self,
        scene: TabletopScene,
        robot: SimRobot,
        model: RobotModel,
        *,
        seed: int,
        config: RobotSensesConfig | None = None,
    ) -> None:
        """See the class."""
        self._config = config or RobotSensesConfig()
        self._model, self._data, self._lock = scene.model, scene.data, scene.lock
        self._pads = model.gripper.pads if model.gripper else ()
        self._pad_bodies = [self._model.body(p.body).id for p in self._pads]
        self._ee = self._model.site(EE_SITE).id
        self._is_hand = _subtree(self._model, int(self._model.body_parentid[_finger(self._model, model)]))
        self._objects = scene.objects
        self._begin_sound()
        self._begin_heat(np.random.default_rng((seed, zlib.crc32(b"temperature"))))
        self._heard_j, self._told_j, self._told_at_s = 0.0, 0.0, -1.0
        for period_s, listen in (
            (self._config.sound_period_s, self._hear),
            (self._config.heat_period_s, self._warm),
        ):
            dt_s = robot.physics_dt * max(1, round(period_s / robot.physics_dt))
            robot.add_listener(dt_s, lambda _, dt_s=dt_s, listen=listen: listen(dt_s))

    def read(self) -> SenseReading:
        """See `Senses.read`."""
        with self._lock:
            contacts = _Contacts.of(self._model, self._data)
            stamp_s = float(self._data.time)
            if stamp_s != self._told_at_s:  # calls at one moment are told the same
                self._told_j, self._heard_j, self._told_at_s = self._heard_j, 0.0, stamp_s
            pads = zip(self._pads, self._pad_bodies, strict=True)
            return SenseReading(
                stamp_s=stamp_s,
                tactile={pad.name: self._touch(pad, body, contacts) for pad, body in pads},
                wrenches={"hand": self._wrench(contacts)},
                sound_j=self._told_j,
                temperatures_c={p.name: float(self._celsius[k]) for k, p in enumerate(self._pads)},
            )

    def truth_c(self) -> Mapping[str, float]:
        """Return the true temperatures of the objects [degC], by name; for judges and tests."""
        first = len(self._pads)
        with self._lock:
            return {o.name: float(self._celsius[first + k]) for k, o in enumerate(self._objects)}

    # ---- touch --------------------------------------------------------------------------------

    def _touch(self, mounted: MountedPad, body: int, contacts: _Contacts) -> TactileReading:
        T_world_pad = self._pose(mounted, body)
        own = contacts.bodies == body  # (k, 2)
        mine = own[:, 0] != own[:, 1]
        outward = np.where(own[mine, :1], 1.0, -1.0) * contacts.normal[mine]
        p_pad = T_world_pad.inverse() @ contacts.point[mine]
        force_n = spread(np, mounted.pad, p_pad, contacts.force[mine, 0], outward @ T_world_pad.matrix[:3, 2])
        return TactileReading(force_n, mounted.pad.size_m, T_world_pad)

    def _pose(self, mounted: MountedPad, body: int) -> Transform:
        in_body = Transform.from_parts(
            mounted.pos_m, np.array(mounted.quat_wxyz), parent="body", child=mounted.name
        )
        T_world_body = Transform.from_parts(
            self._data.xpos[body], self._data.xmat[body].reshape(3, 3), parent="world", child="body"
        )
        return T_world_body @ in_body

    def _wrench(self, contacts: _Contacts) -> WrenchReading:
        T_world_ee = Transform.from_parts(
            self._data.site_xpos[self._ee],
            self._data.site_xmat[self._ee].reshape(3, 3),
            parent="world",
            child="ee",
        )
        on_hand = self._is_hand[contacts.bodies]  # (k, 2); the force is that on the second body
        sign = on_hand[:, 1].astype(float) - on_hand[:, 0]
        force = sign[:, None] * contacts.force_world()
        torque = np.cross(contacts.point - T_world_ee.position_m, force)
        into = T_world_ee.matrix[:3, :3].T
        return WrenchReading(into @ force.sum(0), into @ torque.sum(0), T_world_ee)

    # ---- sound --------------------------------------------------------------------------------

    def _begin_sound(self) -> None:
        m = self._model
        bodies = [m.body(o.name).id for o in self._objects]
        self._bodies = bodies
        self._dofs = np.array([m.body_dofadr[b] + np.arange(6) for b in bodies], dtype=int).reshape(-1, 6)
        axes = np.zeros((len(bodies), 9))
        for axis, body in zip(axes, bodies, strict=True):
            mujoco.mju_quat2Mat(axis, m.body_iquat[body])
        axes = axes.reshape(-1, 3, 3)
        inertia = (axes * m.body_inertia[bodies][:, None, :]) @ axes.swapaxes(-1, -2)
        gravity = np.tile(m.opt.gravity, (len(bodies), 1))
        self._impacts = Impacts(np, m.body_mass[bodies], inertia, gravity, self._config.sound)
        self._impacts.forget(slice(None), self._velocities())
        self._was_still = False

    def _velocities(self) -> FloatArray:
        """Return velocities of the centres of mass in world, and angular ones in body axes, (n, 6)."""
        vel = self._data.qvel[self._dofs]
        turn = self._data.xmat[self._bodies].reshape(-1, 3, 3)
        swing = np.cross(vel[:, 3:], self._model.body_ipos[self._bodies])
        vel[:, :3] += (turn @ swing[..., None])[..., 0]
        return vel

    def _hear(self, dt_s: float) -> None:
        is_still = float(np.abs(self._data.qvel[self._dofs]).max(initial=0.0)) < _STILL
        if is_still and self._was_still:
            return  # most of the time: nothing moves
        self._was_still = is_still and not self._impacts.memory()["open_s"].any()
        self._heard_j += float(self._impacts.update(self._velocities(), dt_s).sum())

    # ---- heat ---------------------------------------------------------------------------------

    def _begin_heat(self, rng: np.random.Generator) -> None:
        config, num_pads = self._config, len(self._pads)
        draws = rng.uniform(size=(len(self._objects), 2))
        start = [config.ambient_c] * num_pads
        capacity = [config.pad_heat_capacity_j_k] * num_pads
        convection = [config.pad_convection_w_k] * num_pads
        for spec, (is_warm, how) in zip(self._objects, draws, strict=True):
            warm_c = config.warm_c[0] + how * (config.warm_c[1] - config.warm_c[0])
            start.append(warm_c if spec.shape == "mug" and is_warm < config.warm_share else config.ambient_c)
            capacity.append(config.specific_heat_j_kg_k * spec.mass_kg)
            convection.append(config.air_w_m2_k * _surface_m2(spec))
        self._celsius, self._capacity = np.array(start), np.array(capacity)
        self._convection = np.array(convection)
        self._node = np.full(self._model.nbody, -1)
        self._node[[*self._pad_bodies, *self._bodies]] = np.arange(len(start))

    def _warm(self, dt_s: float) -> None:
        n = len(self._celsius)
        conductance = np.zeros((n, n))
        if self._data.ncon:
            geoms = np.asarray(self._data.contact.geom)
            nodes = self._node[self._model.geom_bodyid[geoms[(geoms >= 0).all(1)]]]
            a, b = nodes[(nodes >= 0).all(1) & (nodes[:, 0] != nodes[:, 1])].T
            conductance[a, b] = conductance[b, a] = self._config.contact_w_k
        ambient_c = self._config.ambient_c
        self._celsius = conducted(
            np, self._celsius, self._capacity, self._convection, ambient_c, conductance, 0.0, dt_s
        )


@dataclass(frozen=True, eq=False)
class _Contacts:
    """Contacts of one physics step.

    Attributes:
        bodies: Of the first and the second geom, (k, 2); -1 for a flex.
        point: In world [m], (k, 3).
        frame: Axes in world, normal first, from the first to the second geom, (k, 3, 3).
        force: On the second geom, in the contact's frame [N], (k, 3).
    """

    bodies: np.ndarray
    point: FloatArray
    frame: FloatArray
    force: FloatArray

    @classmethod
    def of(cls, model: mujoco.MjModel, data: mujoco.MjData) -> _Contacts:
        num = data.ncon
        force = np.zeros((num, 6))
        for k in range(num):
            mujoco.mj_contactForce(model, data, k, force[k])
        if not num:
            return cls(np.zeros((0, 2), int), np.zeros((0, 3)), np.zeros((0, 3, 3)), force[:, :3])
        contact = data.contact
        geoms = np.asarray(contact.geom)
        bodies = np.where(geoms >= 0, model.geom_bodyid[geoms], -1)
        return cls(bodies, contact.pos.copy(), contact.frame.reshape(-1, 3, 3).copy(), force[:, :3])

    @property
    def normal(self) -> FloatArray:
        """Normals in world, (k, 3)."""
        return self.frame[:, 0]

    def force_world(self) -> FloatArray:
        """Forces on the second geoms in world [N], (k, 3)."""
        return (self.frame.swapaxes(-1, -2) @ self.force[..., None])[..., 0]


def _finger(model: mujoco.MjModel, robot: RobotModel) -> int:
    if robot.gripper is None:
        raise ValueError(f"robot {robot.name!r} has no hand to feel with")
    return int(model.body(robot.gripper.finger_bodies[0]).id)


def _subtree(model: mujoco.MjModel, root: int) -> np.ndarray:
    """Return which bodies hang on `root`, it included, bool (nbody + 1,); the last entry is for -1."""
    inside = np.zeros(model.nbody + 1, dtype=bool)
    for body in range(root, model.nbody):  # parents come first
        inside[body] = body == root or inside[model.body_parentid[body]]
    return inside


def _surface_m2(spec: ObjectSpec) -> float:
    """Return the surface of an object's box [m^2]."""
    x, y, z = spec.size_m
    return 2.0 * (x * y + y * z + z * x)
