"""Time for geometric paths: ruckig for straight joint motions, TOPP-RA for everything curved.

Straight motions are jerk-limited (Berscheid and Kroeger 2021, arXiv:2105.04830). Curved ones are
time-optimal under velocity and acceleration limits (Pham and Pham 2018, arXiv:1707.07239).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import ruckig
import toppra
import toppra.algorithm
import toppra.constraint

from perception_tools.geometry import FloatArray
from policies.motion import MotionError
from policies.robot import JointLimits, JointTrajectory

SAMPLE_S = 0.01
_HEADROOM = 0.95  # of the limits; TOPP-RA holds them at grid points only
_POINTS_MIN, _POINTS_MAX = 60, 300

logging.getLogger("toppra").setLevel(logging.ERROR)


def straight(start: FloatArray, goal: FloatArray, limits: JointLimits) -> JointTrajectory:
    """Return the fastest jerk-limited straight joint motion, at rest at both ends.

    Args:
        start: Positions [rad], (num_joints,).
        goal: Positions [rad], (num_joints,).
        limits: Velocity, acceleration and jerk to keep.

    Raises:
        MotionError: `limits`.
    """
    way = goal - start
    if np.abs(way).max() < 1e-9:
        return _at_rest(limits.joint_names, start)
    request = ruckig.InputParameter(1)  # the fraction of the way, so that the motion stays straight
    request.current_position, request.target_position = [0.0], [1.0]
    share = np.maximum(np.abs(way), 1e-9)
    request.max_velocity = [_HEADROOM * float((limits.velocity / share).min())]
    request.max_acceleration = [_HEADROOM * float((limits.acceleration / share).min())]
    request.max_jerk = [_HEADROOM * float((limits.jerk / share).min())]
    motion = ruckig.Trajectory(1)
    result = ruckig.Ruckig(1).calculate(request, motion)
    if result not in (ruckig.Result.Working, ruckig.Result.Finished):
        raise MotionError(f"no timing under the limits: {result}", reason="limits")
    times_s = _sample_times(motion.duration)
    fraction, rate = np.array([motion.at_time(t)[:2] for t in times_s])[..., 0].T
    joint_pos, joint_vel = start + fraction[:, None] * way, rate[:, None] * way
    return _trajectory(limits.joint_names, times_s, joint_pos, joint_vel, start, goal)


def curved(
    path: FloatArray,
    limits: JointLimits,
    *,
    arc: FloatArray | None = None,
    arc_speed: float = np.inf,
    arc_acceleration: float = np.inf,
) -> JointTrajectory:
    """Return the fastest motion along a densely sampled path, at rest at both ends.

    Args:
        path: Positions [rad], (N, num_joints), N >= 2.
        limits: Velocity and acceleration to keep.
        arc: Another strictly increasing measure of the way (e.g. travel of the hand [m]), (N,), which
            is limited too; joint-space length if None.
        arc_speed: Its largest speed, per [s].
        arc_acceleration: Its largest acceleration, per [s^2].

    Raises:
        MotionError: `limits`.
    """
    if arc is None:
        arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    if arc[-1] < 1e-9:
        return _at_rest(limits.joint_names, path[0])
    columns, velocity, acceleration = path, limits.velocity * _HEADROOM, limits.acceleration * _HEADROOM
    if np.isfinite(arc_speed):  # the arc becomes one more joint
        columns = np.column_stack([path, arc])
        velocity = np.append(velocity, arc_speed * _HEADROOM)
        acceleration = np.append(acceleration, arc_acceleration * _HEADROOM)
    spline = toppra.SplineInterpolator(arc, columns, bc_type="natural")
    constraints = [
        toppra.constraint.JointVelocityConstraint(np.stack([-velocity, velocity], axis=1)),
        toppra.constraint.JointAccelerationConstraint(np.stack([-acceleration, acceleration], axis=1)),
    ]
    count = int(np.clip(2 * len(path), _POINTS_MIN, _POINTS_MAX))
    grid = np.linspace(0.0, arc[-1], count)
    timed = toppra.algorithm.TOPPRA(
        constraints, spline, gridpoints=grid, solver_wrapper="seidel", parametrizer="ParametrizeConstAccel"
    ).compute_trajectory(0.0, 0.0)
    if timed is None:
        raise MotionError("no timing under the limits along this path", reason="limits")
    times_s = _sample_times(float(timed.duration))
    num_joints = path.shape[1]
    joint_pos, joint_vel = timed(times_s)[:, :num_joints], timed(times_s, 1)[:, :num_joints]
    return _trajectory(limits.joint_names, times_s, joint_pos, joint_vel, path[0], path[-1])


def join(parts: Sequence[JointTrajectory]) -> JointTrajectory:
    """Put motions that rest at their ends one after another."""
    times_s, joint_pos, joint_vel = parts[0].times_s, parts[0].joint_pos, parts[0].joint_vel
    for part in parts[1:]:
        times_s = np.concatenate([times_s, times_s[-1] + part.times_s[1:]])
        joint_pos = np.concatenate([joint_pos, part.joint_pos[1:]])
        joint_vel = np.concatenate([joint_vel, part.joint_vel[1:]])
    return JointTrajectory(parts[0].joint_names, times_s, joint_pos, joint_vel)


def scaled(
    limits: JointLimits, speed: float, acceleration_fraction: float, jerk_fraction: float
) -> JointLimits:
    """Return limits for a motion at a fraction of the velocity limits.

    Raises:
        ValueError: `speed` is not in (0, 1].
    """
    if not 0 < speed <= 1:
        raise ValueError(f"speed must be in (0, 1], got {speed}")
    return replace(
        limits,
        velocity=limits.velocity * speed,
        acceleration=limits.acceleration * acceleration_fraction * speed,
        jerk=limits.jerk * jerk_fraction * speed,
    )


def _sample_times(duration_s: float) -> FloatArray:
    count = max(1, int(np.ceil(duration_s / SAMPLE_S)))
    return np.linspace(0.0, duration_s, count + 1)


def _at_rest(joint_names: tuple[str, ...], joint_pos: FloatArray) -> JointTrajectory:
    rows = np.array([joint_pos, joint_pos])
    return JointTrajectory(joint_names, np.array([0.0, SAMPLE_S]), rows, np.zeros_like(rows))


def _trajectory(
    joint_names: tuple[str, ...],
    times_s: FloatArray,
    joint_pos: FloatArray,
    joint_vel: FloatArray,
    start: FloatArray,
    goal: FloatArray,
) -> JointTrajectory:
    joint_pos[0], joint_pos[-1] = start, goal  # exact, where the samples are within rounding
    joint_vel[0] = joint_vel[-1] = 0.0
    return JointTrajectory(joint_names, times_s, joint_pos, joint_vel)
