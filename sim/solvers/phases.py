"""A solver that goes through phases: each is a target pose of the hand that is met, then the next begins."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from sim.batch.env import BatchEnv
from sim.batch.handles import Site
from sim.batch.solver import Solver
from sim.robots.fr3 import GRIPPER_SPEED_M_S, GRIPPER_WIDTH_M
from sim.tasks.tool_use import ToolTask

_GAIN: Final = 0.4  # share of the way to a target per control step: 1 swings without end at a latency of one

HandPose = tuple[Tensor, Tensor]
"""Position (n, 3) [m] and rotation (n, 3, 3) of the grasp centre in world."""


@dataclass(frozen=True)
class Phase:
    """One target that the hand goes to.

    Attributes:
        name: What it does.
        target: Pose of the hand, from the current state.
        closed: Whether the fingers are closed.
        opening: Else, how far they are open: 1 wide, -1 closed.
        speed_m_s: Speed of the target [m/s].
        speed_rad_s: Turning speed of the target [rad/s].
        tolerance_m: Distance at which it is met [m].
        tolerance_rad: Angle at which it is met [rad].
        hold_s: Shortest time in the phase [s].
        limit_s: Longest time in the phase [s]; then the next begins anyway.
        until: Ends the phase instead of meeting the target, bool (n,).
    """

    name: str
    target: Callable[[], HandPose]
    closed: bool = False
    opening: float = 1.0
    speed_m_s: float = 0.4
    speed_rad_s: float = 2.0
    tolerance_m: float = 0.008
    tolerance_rad: float = 0.06
    hold_s: float = 0.0
    limit_s: float = 4.0
    until: Callable[[], Tensor] | None = None


class PhaseSolver(Solver):
    """Follows `phases()` in every environment at its own pace; the last one lasts.

    Fingers are opened and closed at the speed of the real gripper.

    `entry_pos` and `entry_mat` are the hand's commanded pose when the current phase began.
    """

    task: ToolTask

    def __init__(self, env: BatchEnv) -> None:
        """See the class."""
        super().__init__(env)
        assert isinstance(env.task, ToolTask)
        self.task = env.task
        self.prepare()
        self._phases = list(self.phases())
        self.names = tuple(p.name for p in self._phases)
        n, device = env.num_envs, env.device
        self.phase = torch.zeros(n, dtype=torch.int64, device=device)
        self.time_s = torch.zeros(n, device=device)
        self.entry_pos = torch.zeros(n, 3, device=device)
        self.entry_mat = torch.zeros(n, 3, 3, device=device)
        self._dt = env.task.config.step_dt
        self._fingers = torch.ones(n, device=device)
        self._grip_step = 2.0 * GRIPPER_SPEED_M_S * self._dt / (GRIPPER_WIDTH_M[1] - GRIPPER_WIDTH_M[0])

        def per_phase(values: Sequence[float]) -> Tensor:
            return torch.tensor(values, device=device)

        p = self._phases
        self._opening = per_phase([-1.0 if x.closed else x.opening for x in p])
        self._step_m = per_phase([x.speed_m_s * self._dt for x in p])
        self._step_rad = per_phase([x.speed_rad_s * self._dt for x in p])
        self._near_m, self._near_rad = (
            per_phase([x.tolerance_m for x in p]),
            per_phase([x.tolerance_rad for x in p]),
        )
        self._hold, self._limit = per_phase([x.hold_s for x in p]), per_phase([x.limit_s for x in p])

    def prepare(self) -> None:
        """Make handles; called once before `phases`."""

    @abstractmethod
    def phases(self) -> Sequence[Phase]:
        """Return the phases in order."""

    def enter(self, entered: Tensor) -> None:
        """Remember what holds for the phase that the environments `entered`, bool (n,), have just begun."""

    def act(self, obs: Mapping[str, Tensor]) -> Tensor:
        """See `Solver.act`."""
        self.goal = obs["desired_goal"]
        fresh = self.env.episode_step == 0
        self.phase[fresh], self.time_s[fresh], self._fingers[fresh] = 0, 0.0, 1.0
        self._enter(fresh)
        pos, mat, done = self._current()
        met = self._met(pos, mat, done)
        advance = met & (self.phase < len(self._phases) - 1)
        self.phase += advance
        self.time_s = torch.where(advance, torch.zeros_like(self.time_s), self.time_s + self._dt)
        if advance.any():
            self._enter(advance)
            pos, mat, _ = self._current()
        return self._action(pos, mat)

    def _current(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the target poses of each environment's phase, and whether its `until` holds."""
        pos, mat = self.task.ee.pos.clone(), self.task.ee.mat.clone()
        done = torch.zeros(self.env.num_envs, dtype=torch.bool, device=self.env.device)
        for k in self.phase.unique().tolist():
            here = self.phase == k
            p, m = self._phases[k].target()
            pos, mat = torch.where(here[:, None], p, pos), torch.where(here[:, None, None], m, mat)
            until = self._phases[k].until
            if until is not None:
                done |= here & until()
        return pos, mat, done

    def _met(self, pos: Tensor, mat: Tensor, done: Tensor) -> Tensor:
        k = self.phase
        gap = torch.linalg.vector_norm(pos - self.task.ee.pos, dim=-1)
        turn = torch.linalg.vector_norm(rotvec(mat @ self.task.ee.mat.mT), dim=-1)
        if self.task.yaw_only:
            turn = torch.zeros_like(turn)
        waits = torch.tensor([p.until is not None for p in self._phases], device=k.device)[k]
        met = torch.where(waits, done, (gap <= self._near_m[k]) & (turn <= self._near_rad[k]))
        return (met & (self.time_s >= self._hold[k])) | (self.time_s >= self._limit[k])

    def _action(self, pos: Tensor, mat: Tensor) -> Tensor:
        """Move the action term's target towards the phase's, no faster than the phase allows."""
        task, k = self.task, self.phase
        goal_pos, goal_mat = self._commanded()
        move = _shorten(_GAIN * (pos - goal_pos), self._step_m[k]) / task.step_m
        turn = _shorten(_GAIN * rotvec(mat @ goal_mat.mT), self._step_rad[k]) / task.step_rad
        if task.yaw_only:
            turn = turn[:, 2:]
        change = self._opening[k] - self._fingers
        self._fingers = self._fingers + change.clamp(-self._grip_step, self._grip_step)
        return torch.clamp(torch.cat((move, turn, self._fingers[:, None]), -1), -1.0, 1.0)

    def _commanded(self) -> HandPose:
        """Return the pose that the action term now holds the hand to."""
        ee, memory = self.task.ee, self.task.reach.memory()
        fresh = memory["fresh"]
        pos = torch.where(fresh[:, None], ee.pos, memory["goal_pos"])
        return pos, torch.where(fresh[:, None, None], ee.mat, memory["goal_mat"])

    def _enter(self, entered: Tensor) -> None:
        pos, mat = self._commanded()
        self.entry_pos = torch.where(entered[:, None], pos, self.entry_pos)
        self.entry_mat = torch.where(entered[:, None, None], mat, self.entry_mat)
        self.enter(entered)

    # ---- targets --------------------------------------------------------------------------------

    def stay(self, rise_m: float = 0.0) -> HandPose:
        """Return the hand's pose when the phase began, `rise_m` higher."""
        pos = self.entry_pos.clone()
        pos[:, 2] += rise_m
        return pos, self.entry_mat

    def carry(self, site: Site, pos: Tensor, mat: Tensor | None = None) -> HandPose:
        """Return the hand's pose that brings a held site to a pose, given how it is held now."""
        return hand_at(self.grasp(site), pos, site.mat if mat is None else mat)

    def grasp(self, site: Site) -> HandPose:
        """Return the hand's pose in the frame of a held site."""
        to_site, ee = site.mat.mT, self.task.ee
        return _turn(to_site, ee.pos - site.pos), to_site @ ee.mat


def hand_at(grasp: HandPose, pos: Tensor, mat: Tensor) -> HandPose:
    """Return the hand's pose when what it holds with a grasp is at a pose."""
    return pos + _turn(mat, grasp[0]), mat @ grasp[1]


def _turn(mat: Tensor, vector: Tensor) -> Tensor:
    return (mat @ vector[..., None])[..., 0]


def down(x_axis: Tensor, near: tuple[float, float, float] = (1.0, 0.0, 0.0)) -> Tensor:
    """Return rotations of a hand that points down, its x along +-`x_axis` (n, 3), the nearer to `near`.

    The fingers open across x: it is the direction of a bar that they are to hold.
    """
    away = x_axis @ torch.tensor(near, device=x_axis.device) < 0.0
    x = torch.where(away[:, None], -x_axis, x_axis)
    x = torch.nn.functional.normalize(torch.nn.functional.pad(x[:, :2], (0, 1)), dim=-1)
    z = torch.zeros_like(x)
    z[:, 2] = -1.0
    return torch.stack((x, torch.linalg.cross(z, x), z), -1)


def rotvec(mat: Tensor) -> Tensor:
    """Return rotation vectors [rad] of rotation matrices short of a half turn, (n, 3, 3) to (n, 3)."""
    skew = torch.stack(
        (mat[:, 2, 1] - mat[:, 1, 2], mat[:, 0, 2] - mat[:, 2, 0], mat[:, 1, 0] - mat[:, 0, 1]), -1
    )
    sine = torch.linalg.vector_norm(skew, dim=-1) / 2
    cosine = (mat.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    angle = torch.atan2(sine, cosine)
    return skew * (0.5 * angle / torch.clamp(sine, min=1e-6))[:, None]


def _shorten(vector: Tensor, length: Tensor) -> Tensor:
    """Return vectors (n, k) no longer than `length` (n,)."""
    norm = torch.linalg.vector_norm(vector, dim=-1)
    return vector * torch.clamp(length / (norm + 1e-9), max=1.0)[:, None]
