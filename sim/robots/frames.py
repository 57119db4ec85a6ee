"""Poses of a robot's links, as `tf` wants them: each body in its parent."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import mujoco
import numpy as np

from perception_tools.geometry import Transform
from sim.robots.model import EE_SITE


def link_frames(
    model: mujoco.MjModel, data: mujoco.MjData, lock: threading.RLock, base_body: str
) -> Callable[[], Sequence[Transform]]:
    """Return a function that returns ``T_parent_link`` of every body from `base_body` on, and of the ee.

    The base is in `world`; bodies are named as in the model. The ee is the site `ee`, if there is one.

    Args:
        model: The model.
        data: Its live state.
        lock: The physics lock.
        base_body: Root body of the robot.

    Raises:
        ValueError: The model has no such body.
    """
    base = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, base_body)
    if base < 0:
        raise ValueError(f"the scene has no body {base_body!r}")
    links = [base]
    for body in range(base + 1, model.nbody):  # parents come first
        if int(model.body_parentid[body]) in links:
            links.append(body)
    names = {body: model.body(body).name or f"{base_body}_{body}" for body in links}
    ee = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, EE_SITE)

    def frames() -> Sequence[Transform]:
        with lock:
            pos, mat = data.xpos.copy(), data.xmat.copy()
            ee_pos, ee_mat = data.site_xpos[ee].copy(), data.site_xmat[ee].copy()
        world = {
            body: Transform.from_parts(pos[body], mat[body].reshape(3, 3), parent="world", child=names[body])
            for body in links
        }
        poses = [world[base]]
        for body in links[1:]:
            poses.append(world[int(model.body_parentid[body])].inverse() @ world[body])
        if ee >= 0:
            link = world.get(int(model.site_bodyid[ee]))
            T_world_ee = Transform.from_parts(
                ee_pos, np.reshape(ee_mat, (3, 3)), parent="world", child=EE_SITE
            )
            poses.append(T_world_ee if link is None else link.inverse() @ T_world_ee)
        return poses

    return frames
