"""Settings of the safety filter; re-exported by `policies/safety.py`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from policies.robot import JointLimits


@dataclass(frozen=True)
class SafetyConfig:
    """What the filter allows.

    Attributes:
        velocity_scale: Fraction of the robot's velocity limits, in (0, 1].
        acceleration_scale: Fraction of the robot's acceleration limits, in (0, 1].
        control_period_s: Time between setpoints [s].
        workspace_min_m: Lower corner of the box for the ee frame's origin in world [m].
        workspace_max_m: Upper corner of it.
        lowest_point_z_m: No point of the moving robot goes below this height in world [m]
            (the table's top, less what position control may press into it).
        max_external_force_n: External force at the end effector that ends a motion [N].
        max_gripper_force_n: Largest clamping force [N].
        contact_ticks: Consecutive readings above the force limit that count as contact.
        contact_grace_s: A motion that starts in contact may take this long to get out of it [s].
        tracking_error_rad: Largest joint error between setpoint and measurement [rad] or [m].
        start_tolerance_rad: Largest joint error between a trajectory's start and the measured
            position [rad] or [m].
        goal_tolerance_rad: Joint error within which a goal counts as reached [rad] or [m].
        rest_velocity_rad_s: Joint speed below which the robot counts as at rest [rad/s] or [m/s].
        settle_s: Longest wait for the robot to settle at the goal [s].
        max_state_age_s: Older readings are stale [s].
        pressing_joints: Joints that hold things by the error of their position, such as fingers: where
            others yield to the measured position, they keep their setpoint, so that nothing is dropped.
        pressing_error_rad: Their largest error between setpoint and measurement [rad] or [m].
    """

    velocity_scale: float = 1.0
    acceleration_scale: float = 1.0
    control_period_s: float = 0.01
    workspace_min_m: tuple[float, float, float] = (-0.30, -0.75, -0.005)
    workspace_max_m: tuple[float, float, float] = (0.90, 0.75, 1.25)
    lowest_point_z_m: float = -0.005
    max_external_force_n: float = 40.0
    max_gripper_force_n: float = 70.0
    contact_ticks: int = 2
    contact_grace_s: float = 0.3
    tracking_error_rad: float = 0.15
    start_tolerance_rad: float = 0.05
    goal_tolerance_rad: float = 0.01
    rest_velocity_rad_s: float = 0.02
    settle_s: float = 1.0
    max_state_age_s: float = 0.2
    pressing_joints: tuple[str, ...] = ()
    pressing_error_rad: float = 0.5

    def __post_init__(self) -> None:
        """Refuse values that would switch a check off."""
        for name in ("velocity_scale", "acceleration_scale"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"SafetyConfig.{name} must be in (0, 1], got {getattr(self, name)}")
        positive = [
            n
            for n in self.__dataclass_fields__
            if not n.startswith(("workspace", "lowest", "contact_grace", "pressing_joints"))
        ]
        for name in positive:
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(
                    f"SafetyConfig.{name} must be positive and finite, got {getattr(self, name)}"
                )
        if not (np.asarray(self.workspace_min_m) < np.asarray(self.workspace_max_m)).all():
            raise ValueError("SafetyConfig.workspace_min_m must be below workspace_max_m")
        if not np.isfinite([self.lowest_point_z_m, self.contact_grace_s]).all() or self.contact_grace_s < 0:
            raise ValueError("SafetyConfig: lowest_point_z_m and contact_grace_s must be finite, grace >= 0")


def scaled_limits(limits: JointLimits, config: SafetyConfig) -> JointLimits:
    """Return a robot's limits as the config scales them: what planners must keep, too."""
    return replace(
        limits,
        velocity=limits.velocity * config.velocity_scale,
        acceleration=limits.acceleration * config.acceleration_scale,
    )
