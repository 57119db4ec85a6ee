"""References for the joint servos, one position and velocity per physics step.

Each generator yields ``(joint_pos, joint_vel)`` [rad, rad/s], shapes (num_joints,), forever: it
ends in a hold. Equal arguments give equal references.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat

import numpy as np

from perception_tools.geometry import FloatArray
from policies.robot import JointTrajectory

Reference = Iterator[tuple[FloatArray, FloatArray]]


def hold(joint_pos: FloatArray) -> Reference:
    """Stay at `joint_pos`."""
    return repeat((joint_pos.copy(), np.zeros_like(joint_pos)))


def ramp(
    start: FloatArray, target: FloatArray, duration_s: float, max_velocity: FloatArray, dt_s: float
) -> Reference:
    """Go from `start` to `target` at constant speed in `duration_s`, longer if `max_velocity` asks for it.

    Setpoints streamed every `duration_s` so become a continuous motion, one period late.
    """
    joint_pos, left = start.copy(), max(1, round(duration_s / dt_s))
    while not np.array_equal(joint_pos, target):
        joint_vel = np.clip((target - joint_pos) / (left * dt_s), -max_velocity, max_velocity)
        step = joint_vel * dt_s
        is_last = (np.abs(target - joint_pos) <= np.abs(step) * (1 + 1e-9)) | (step == 0)
        joint_pos = np.where(is_last, target, joint_pos + step)
        left = max(1, left - 1)
        yield joint_pos.copy(), joint_vel
    yield from hold(target)


def follow(trajectory: JointTrajectory, columns: Sequence[int], start: FloatArray, dt_s: float) -> Reference:
    """Follow a trajectory of the joints at `columns`; the others stay at `start`."""
    index = list(columns)
    joint_pos = start.copy()
    previous = trajectory.at(0.0)
    for k in range(1, round(np.ceil(trajectory.duration_s / dt_s - 1e-9)) + 1):
        current = trajectory.at(k * dt_s)
        joint_vel = np.zeros_like(start)
        joint_pos[index], joint_vel[index] = current, (current - previous) / dt_s
        previous = current
        yield joint_pos.copy(), joint_vel
    yield from hold(joint_pos)


def brake(joint_pos: FloatArray, joint_vel: FloatArray, deceleration: FloatArray, dt_s: float) -> Reference:
    """Come to rest along the present direction, no joint decelerating faster than `deceleration`."""
    duration_s = float(np.max(np.abs(joint_vel) / deceleration))
    steps = max(1, int(np.ceil(duration_s / dt_s)))
    joint_pos = joint_pos.copy()
    for k in range(1, steps + 1):
        current = joint_vel * (1 - k / steps)
        joint_pos += current * dt_s
        yield joint_pos.copy(), current
    yield from hold(joint_pos)
