"""What an environment knows of its task before the first step: model, default state, spec."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mujoco
import torch
from torch import Tensor

from policies.policy import ArraySpec, PolicySpec
from sim.batch.actions import ActionTerm
from sim.batch.handles import ResetState
from sim.batch.senses import SensesConfig, add_senses
from sim.batch.task import Task


def compile_scene(task: Task, senses: SensesConfig | None = None) -> mujoco.MjModel:
    """Compile a task's scene with its time step, and with the sensors of what is sensed beside it."""
    spec = task.scene()
    if senses is not None:
        add_senses(spec, senses)
    spec.option.timestep = task.config.physics_dt
    return spec.compile()


def default_state(model: mujoco.MjModel, device: torch.device) -> ResetState:
    """Return what a reset starts from, (1, ...) each: keyframe 0 if there is one, else the defaults."""
    data = mujoco.MjData(model)
    if model.nkey:
        mujoco.mj_resetDataKeyframe(model, data, 0)
    names = ("qpos", "qvel", "ctrl") + (("mocap_pos", "mocap_quat") if model.nmocap else ())
    names += ("act",) if model.na else ()
    return {k: torch.as_tensor(getattr(data, k), dtype=torch.float32, device=device)[None] for k in names}


def policy_spec(task: Task, actions: Sequence[ActionTerm], parts: Mapping[str, Tensor]) -> PolicySpec:
    """Return the spec of a policy for a task that is bound, whose observation has these parts."""
    goal = task.goal_spec
    names = tuple(f"{k}.{i}" for k, v in parts.items() for i in range(v.shape[1]))
    obs = {"observation": ArraySpec((len(names),), names), "achieved_goal": goal, "desired_goal": goal}
    hidden = tuple(f"{k}.{i}" for k, v in task.privileged().items() for i in range(v.shape[1]))
    if hidden:
        obs["privileged"] = ArraySpec((len(hidden),), hidden)
    entries = tuple(name for term in actions for name in term.names)
    action = ArraySpec((len(entries),), entries, low=-1.0, high=1.0)
    return PolicySpec(obs=obs, action=action, goal=goal, step_dt=task.config.step_dt)
