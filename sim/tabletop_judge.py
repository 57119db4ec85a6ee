"""The judge of the tabletop: decides from true state whether a goal holds, and measures facts."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import mujoco
import numpy as np

from perception_tools.geometry import FloatArray
from policies.world import Judgement
from sim.objects import ObjectSpec
from sim.robots.model import RobotModel
from sim.scene import TabletopScene
from sim.tabletop_goals import (
    BodyPose,
    Goal,
    direction_vector,
    footprint_gap_m,
    half_height_m,
    holds_beside,
    involved,
    is_over,
    reaches_into,
    row_error,
    shift_error,
)

LIFTED_M = 0.03
STILL_M = 0.01
RETURNED_M = 0.03  # what was taken up to be weighed is back where it stood
TAKEN_M = 0.1  # height above the table at which a person holds what they took
REST_M_S = 0.03
FALLEN_Z_M = -0.02


class Judge:
    """Judges one episode; build it when the objects have come to rest.

    Args:
        scene: The scene.
        goal: What shall hold.
        robot: The robot in the scene.
    """

    def __init__(self, scene: TabletopScene, goal: Goal, robot: RobotModel | None) -> None:
        """See the class."""
        self._scene, self.goal = scene, goal
        self._copy = mujoco.MjData(scene.model)
        self._specs = {o.name: o for o in scene.objects}
        self._robot_bodies = _subtree(scene.model, robot.base_body) if robot else set()
        gripper = robot.gripper if robot else None
        self._fingers = {scene.model.body(n).id for n in gripper.finger_bodies} if gripper else set()
        self._start = self.poses()

    def poses(self) -> dict[str, BodyPose]:
        """Return the true poses of all objects, now."""
        self._refresh()
        return {name: self._pose(name) for name in self._specs}

    def judge(self, safety: Mapping[str, Any] | None = None) -> Judgement:
        """Judge the present state.

        Args:
            safety: Facts recorded by the robot, `SimRobot.safety_facts()`.
        """
        poses = self.poses()
        moved = {
            name: float(np.linalg.norm(pose.position_m - self._start[name].position_m))
            for name, pose in poses.items()
        }
        fallen = [n for n, p in poses.items() if p.position_m[2] < FALLEN_Z_M]
        failure = f"the {_label(self._specs[fallen[0]])} fell off the table" if fallen else ""
        failure = failure or self._failure(self.goal, poses, moved)
        others = {n: d for n, d in moved.items() if n not in involved(self.goal)}
        worst = max(others, key=lambda n: others[n], default="")
        facts = {
            "goal": f"{self.goal.kind} {self.goal.relation}".strip(),
            "objects": {n: self._report(n, poses[n], moved[n]) for n in poses},
            "disturbed_m": round(others.get(worst, 0.0), 4),
            "disturbed": worst,
            "fallen": fallen,
            **self._relative_facts(poses),
            **(safety or {}),
        }
        return Judgement(not failure, failure or self._holds_text(), facts)

    # ---- goals --------------------------------------------------------------------------------

    def _failure(self, goal: Goal, poses: dict[str, BodyPose], moved: dict[str, float]) -> str:
        """Return why a goal does not hold, "" if it does."""
        if goal.kind == "all":
            return next((why for part in goal.parts if (why := self._failure(part, poses, moved))), "")
        if goal.kind == "still":
            shifted = [n for n, d in moved.items() if d > STILL_M]
            return f"the {_label(self._specs[shifted[0]])} was moved" if shifted else ""
        if goal.kind == "returned":
            away = [n for n, d in moved.items() if d > RETURNED_M]
            gone = f"the {_label(self._specs[away[0]])} is not where it stood" if away else ""
            return gone or next((why for n in moved if (why := self._unrest(n))), "")
        if goal.kind == "tower":
            return self._tower_failure(goal, poses, moved)
        if goal.kind == "row":
            return self._row_failure(goal, poses)
        name = _label(self._specs[goal.target])
        touching = self._touching(goal.target)
        if goal.kind == "held":
            return self._held_failure(goal, name, poses[goal.target], touching)
        if goal.kind == "taken":
            return self._taken_failure(goal, name, poses[goal.target], touching)
        unrest = self._unrest(goal.target)
        if unrest:
            return unrest
        on_table = 0 in touching
        target, pose = self._specs[goal.target], poses[goal.target]
        if goal.kind == "shifted":
            offset = (pose.position_m - self._start[goal.target].position_m)[:2]
            along = direction_vector(goal.relation, *self._scene.viewer_axes)  # pyright: ignore[reportArgumentType]
            wrong = shift_error(offset, along, goal.distance_m) or ("" if on_table else "left the table")
            return f"the {name} {wrong}" if wrong else ""
        other, other_pose = self._specs[goal.other], poses[goal.other]
        if goal.kind == "beside":
            if not on_table:
                return f"the {name} does not stand on the table"
            holds = holds_beside(goal.relation, (target, pose), (other, other_pose), self._scene.viewer_axes)
            return "" if holds else f"the {name} is not {goal.relation} the {_label(other)}"
        where = "in" if goal.kind == "inside" else "on"
        if on_table or not is_over(other, other_pose, pose.position_m):
            return f"the {name} is not {where} the {_label(other)}"
        if goal.kind == "inside" and not reaches_into(other, other_pose, target, pose):
            return f"the {name} lies on the rim of the {_label(other)}"
        if goal.kind == "on" and self._scene.model.body(goal.other).id not in touching:
            return f"the {name} does not rest on the {_label(other)}"
        return ""

    def _unrest(self, name: str) -> str:
        """Return why an object does not count as put down, "" if it does."""
        label = _label(self._specs[name])
        if self._touching(name) & self._robot_bodies:
            return f"the {label} is still touched by the robot"
        return f"the {label} is still moving" if self._speed(name) > REST_M_S else ""

    def _tower_failure(self, goal: Goal, poses: dict[str, BodyPose], moved: dict[str, float]) -> str:
        order = sorted(goal.names, key=lambda n: float(poses[n].position_m[2]))
        parts = tuple(Goal("on", above, below) for below, above in pairwise(order))
        return self._failure(Goal("all", parts=parts), poses, moved)

    def _row_failure(self, goal: Goal, poses: dict[str, BodyPose]) -> str:
        for name in goal.names:
            if unrest := self._unrest(name):
                return unrest
            if 0 not in self._touching(name):
                return f"the {_label(self._specs[name])} does not stand on the table"
        along = direction_vector(goal.relation, *self._scene.viewer_axes)  # pyright: ignore[reportArgumentType]
        wrong = row_error([(self._specs[n], poses[n]) for n in goal.names], along)
        return f"the row {wrong}" if wrong else ""

    def _held_failure(self, goal: Goal, name: str, pose: BodyPose, touching: set[int]) -> str:
        if not self._fingers <= touching:
            return f"the {name} is not between the fingers"
        bottom_m = pose.position_m[2] - half_height_m(self._specs[goal.target], pose.rotation)
        return "" if bottom_m > LIFTED_M else f"the {name} is only {bottom_m:.3f} m above the table"

    def _taken_failure(self, goal: Goal, name: str, pose: BodyPose, touching: set[int]) -> str:
        """Return why a person does not hold an object, "" if they do: nothing in the scene touches it."""
        if touching & self._robot_bodies:
            return f"the {name} is still touched by the robot"
        bottom_m = pose.position_m[2] - half_height_m(self._specs[goal.target], pose.rotation)
        return f"the {name} was not taken" if touching or bottom_m < TAKEN_M else ""

    def _holds_text(self) -> str:
        return self._text(self.goal)

    def _text(self, goal: Goal) -> str:
        if goal.kind == "still":
            return "nothing was moved"
        if goal.kind == "all":
            return "; ".join(self._text(part) for part in goal.parts)
        if goal.kind == "returned":
            return "all stand where they stood"
        if goal.kind in ("tower", "row"):
            return f"{', '.join(_label(self._specs[n]) for n in goal.names)} make a {goal.kind}"
        name = _label(self._specs[goal.target])
        if goal.kind == "held":
            return f"the {name} is held above the table"
        if goal.kind == "taken":
            return f"a person has the {name}"
        if goal.kind == "shifted":
            return f"the {name} went {goal.distance_m:.2f} m {goal.relation}"
        where = {"inside": "in", "on": "on"}.get(goal.kind, goal.relation)
        return f"the {name} is {where} the {_label(self._specs[goal.other])}"

    # ---- measurements -------------------------------------------------------------------------

    def _refresh(self) -> None:
        model, scene = self._scene.model, self._scene
        with scene.lock:
            mujoco.mj_copyData(self._copy, model, scene.data)
        mujoco.mj_forward(model, self._copy)

    def _pose(self, name: str) -> BodyPose:
        body = self._copy.body(name)
        return BodyPose(body.xpos.copy(), body.xmat.reshape(3, 3).copy())

    def _speed(self, name: str) -> float:
        adr = int(self._scene.model.joint(f"{name}_free").dofadr[0])
        return float(np.linalg.norm(self._copy.qvel[adr : adr + 3]))

    def _touching(self, name: str) -> set[int]:
        """Return ids of the bodies in contact with an object; 0 is the table."""
        body = self._scene.model.body(name).id
        pairs = self._scene.model.geom_bodyid[np.asarray(self._copy.contact.geom, dtype=int).reshape(-1, 2)]
        hits = pairs[(pairs == body).any(axis=1)]
        return {int(b) for b in hits.ravel()} - {body}

    def _report(self, name: str, pose: BodyPose, moved_m: float) -> dict[str, Any]:
        return {
            "label": _label(self._specs[name]),
            "position_m": _rounded(pose.position_m),
            "moved_m": round(moved_m, 4),
        }

    def _relative_facts(self, poses: dict[str, BodyPose]) -> dict[str, Any]:
        goal = self.goal
        if not goal.target:
            return {}
        target, pose = self._specs[goal.target], poses[goal.target]
        bottom_m = pose.position_m[2] - half_height_m(target, pose.rotation)
        facts: dict[str, Any] = {"target": goal.target, "bottom_z_m": round(float(bottom_m), 4)}
        if goal.other:
            other, other_pose = self._specs[goal.other], poses[goal.other]
            offset = pose.position_m - other_pose.position_m
            facts["other"] = goal.other
            facts["offset_m"] = _rounded(offset)
            facts["distance_m"] = round(float(np.linalg.norm(offset[:2])), 4)
            facts["gap_m"] = round(footprint_gap_m(target, pose, other, other_pose), 4)
        return facts


def _subtree(model: mujoco.MjModel, root: str) -> set[int]:
    inside = {model.body(root).id}
    for body in range(model.nbody):  # parents come first
        if int(model.body_parentid[body]) in inside:
            inside.add(body)
    return inside


def _label(spec: ObjectSpec) -> str:
    return f"{spec.color} {spec.shape}"


def _rounded(values: FloatArray) -> list[float]:
    return [round(float(v), 4) for v in values]
