"""What a simulated robot feels: contact forces on its links and fingers."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from perception_tools.geometry import FloatArray
from sim.robots.model import RobotModel


@dataclass(frozen=True, eq=False)
class ContactForces:
    """Contact forces of one physics step.

    Attributes:
        external: Sum of the forces on the robot by everything else, in world [N], (3,). Squeezing
            an object cancels out; its weight and inertia remain.
        clamping_n: Smaller of the two forces that press the fingers apart [N].
        support_n: Sum of the normal forces between the moving robot and fixed things (the table) [N].
    """

    external: FloatArray
    clamping_n: float
    support_n: float


class ContactSensor:
    """Reads the contact forces of a robot; contacts of the robot with itself do not count.

    Args:
        model: Compiled scene.
        robot: The robot in it.
    """

    def __init__(self, model: mujoco.MjModel, robot: RobotModel) -> None:
        self._model = model
        base = model.body(robot.base_body).id
        in_robot = np.zeros(model.nbody, dtype=bool)
        for body in range(model.nbody):  # parents come first
            in_robot[body] = body == base or (body != 0 and in_robot[model.body_parentid[body]])
        self._geom_body = model.geom_bodyid.copy()
        is_fixed = model.body_weldid == 0
        self._geom_moves = (in_robot & ~is_fixed)[self._geom_body]
        self._geom_is_robot = in_robot[self._geom_body]
        self._geom_is_fixed = is_fixed[self._geom_body]
        self._hand = self._left = self._right = -1
        if robot.gripper is not None:
            self._left, self._right = (model.body(n).id for n in robot.gripper.finger_bodies)
            self._hand = int(model.body_parentid[self._left])

    def read(self, data: mujoco.MjData) -> ContactForces:
        """Return the forces of the last computed contacts."""
        external, left, right, support_n = np.zeros(3), np.zeros(3), np.zeros(3), 0.0
        wrench = np.zeros(6)
        for index, (geom1, geom2) in self._touching(data):
            mujoco.mj_contactForce(self._model, data, index, wrench)
            # The contact frame's x axis points from geom1 to geom2; the force acts on geom2.
            force = data.contact.frame[index].reshape(3, 3).T @ wrench[:3]
            on_first = self._geom_moves[geom1]
            force, geom, other = (-force, geom1, geom2) if on_first else (force, geom2, geom1)
            external += force
            body = self._geom_body[geom]
            left += force * (body == self._left)
            right += force * (body == self._right)
            if self._geom_is_fixed[other]:
                support_n += float(wrench[0])
        if self._hand < 0:
            return ContactForces(external, 0.0, support_n)
        opening = data.xmat[self._hand].reshape(3, 3)[:, 1]
        clamping_n = max(0.0, min(float(left @ opening), float(-right @ opening)))
        return ContactForces(external, clamping_n, support_n)

    def _touching(self, data: mujoco.MjData) -> list[tuple[int, tuple[int, int]]]:
        """Return index and geoms of the contacts between the moving robot and anything else."""
        if not data.ncon:
            return []
        geoms = np.asarray(data.contact.geom)
        moves, is_robot = self._geom_moves[geoms], self._geom_is_robot[geoms]
        hits = np.flatnonzero(moves.any(axis=1) & ~is_robot.all(axis=1) & (geoms >= 0).all(axis=1))
        return [(int(i), (int(geoms[i, 0]), int(geoms[i, 1]))) for i in hits]
