"""What a judge may want to know of a robot's motion: peaks and limit violations."""

from __future__ import annotations

from typing import Any

import numpy as np

from perception_tools.geometry import FloatArray
from policies.robot import JointLimits

POSITION_TOLERANCE_RAD = 1e-3  # joint limits are slightly soft
VELOCITY_TOLERANCE_RAD_S = 1e-2


class SafetyRecorder:
    """Keeps maxima over the physics steps since it was made.

    Args:
        limits: Limits of the joints.
    """

    def __init__(self, limits: JointLimits) -> None:
        self._limits = limits
        self._overrun = np.full(len(limits.joint_names), -np.inf)
        self._speed, self._effort = np.zeros_like(self._overrun), np.zeros_like(self._overrun)
        self._external_n = self._support_n = 0.0

    def update(
        self,
        joint_pos: FloatArray,
        joint_vel: FloatArray,
        joint_effort: FloatArray,
        external_n: float,
        support_n: float,
    ) -> None:
        """Take in one physics step."""
        overrun = np.maximum(joint_pos - self._limits.upper, self._limits.lower - joint_pos)
        self._overrun = np.maximum(self._overrun, overrun)
        self._speed = np.maximum(self._speed, np.abs(joint_vel))
        self._effort = np.maximum(self._effort, np.abs(joint_effort))
        self._external_n = max(self._external_n, external_n)
        self._support_n = max(self._support_n, support_n)

    def facts(self) -> dict[str, Any]:
        """Return the maxima, JSON-able.

        Returns:
            `peak_external_force_n` (as sensed), `peak_support_force_n` (sum of the normal forces
            on fixed things like the table, unfiltered), `limit_violations` (by joint: how far beyond
            its `position_rad` limit or above its `velocity_rad_s` limit; empty if never),
            `peak_speed_ratio` and `peak_effort_ratio` (of the limits, over all joints).
        """
        speed_excess = self._speed - self._limits.velocity
        violations: dict[str, dict[str, float]] = {}
        for i, joint_name in enumerate(self._limits.joint_names):
            if self._overrun[i] > POSITION_TOLERANCE_RAD:
                violations.setdefault(joint_name, {})["position_rad"] = float(self._overrun[i])
            if speed_excess[i] > VELOCITY_TOLERANCE_RAD_S:
                violations.setdefault(joint_name, {})["velocity_rad_s"] = float(speed_excess[i])
        return {
            "peak_external_force_n": float(self._external_n),
            "peak_support_force_n": float(self._support_n),
            "limit_violations": violations,
            "peak_speed_ratio": float(np.max(self._speed / self._limits.velocity)),
            "peak_effort_ratio": float(np.max(self._effort / self._limits.effort)),
        }
