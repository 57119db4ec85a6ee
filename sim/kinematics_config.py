"""Settings of `MujocoKinematics`; re-exported by `sim/kinematics.py`."""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.ik import IkConfig


@dataclass(frozen=True)
class KinematicsConfig:
    """Settings of `MujocoKinematics`.

    Attributes:
        ik: Inverse kinematics.
        self_margin_m: Distance kept between the robot's own links [m].
        support_noise_m: Points lower than this above the support plane belong to it [m].
        acceleration_fraction: Of the acceleration limits, at speed 1.
        jerk_fraction: Of the jerk limits, at speed 1, for straight joint motions.
        linear_acceleration_m_s2: Acceleration of the hand on straight lines [m/s^2].
        angular_speed_rad_s: Turning speed of the hand on straight lines [rad/s].
        edge_step_m: Bound on how far any point of the robot moves between collision checks [m].
        linear_step_m: Spacing of inverse kinematics along straight lines [m].
        max_jump_rad: Largest joint change between neighbours on a straight line [rad].
        via_lifts_m: Heights tried for lifted via-points [m].
        escape_m: Retreats tried when the start is too close to an obstacle [m].
        rrt_iterations: Samples before a plan is given up.
        rrt_step_rad: Longest edge of the tree [rad].
        shortcut_attempts: Random chords tried on a path.
        corner_rad: Largest rounding of a path's corners [rad].
        rng_seed: Seed of inverse kinematics and planning.
    """

    ik: IkConfig = field(default_factory=IkConfig)
    self_margin_m: float = 0.005
    support_noise_m: float = 0.006
    acceleration_fraction: float = 0.5
    jerk_fraction: float = 0.1
    linear_acceleration_m_s2: float = 0.5
    angular_speed_rad_s: float = 1.0
    edge_step_m: float = 0.03
    linear_step_m: float = 0.01
    max_jump_rad: float = 0.25
    via_lifts_m: tuple[float, ...] = (0.1, 0.2)
    escape_m: tuple[float, ...] = (0.03, 0.06, 0.1)
    rrt_iterations: int = 600
    rrt_step_rad: float = 0.6
    shortcut_attempts: int = 25
    corner_rad: float = 0.3
    rng_seed: int = 0
