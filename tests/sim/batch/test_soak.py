"""A million random steps over all tasks: nothing diverges, nothing sinks in, nothing at rest speeds up.

Contacts are looked at in every environment after every step.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")

from sim.batch.env import BatchEnv, EnvConfig  # noqa: E402
from sim.batch.physics import PhysicsConfig  # noqa: E402
from sim.tasks.registry import TASKS, make_task, task_class  # noqa: E402

TOTAL_STEPS = 1_000_000
NUM_ENVS = 32
SHORT_EPISODE = 20
"""Control steps of an episode in the short version, which ends several of them in few steps."""

PENETRATION_M = 0.02
"""Deepest overlap of two geoms. Random actions press tools and fingers with full motor force."""

PRESSED_M = {"pick_place": 0.04, "stack": 0.04}
"""The same where the arm may press a light cube into the table: its contacts are as soft as it is light."""

REST_ENVS = 16
REST_GAIN_J = 1e-4
"""Largest rise of kinetic energy [J]: 1 kg at 1.4 cm/s."""
REST_SPEED = 0.3
"""Largest joint speed [m/s or rad/s] at the end of an episode without action."""

CASES = [(name, preset) for name in sorted(TASKS) for preset in ("nominal", "randomised")]


class Look:
    """What an environment's positions tell by MuJoCo itself: how deep geoms overlap, and kinetic energy.

    Shapes are the same in every environment; masses are each environment's own.
    """

    def __init__(self, env: BatchEnv, *, own_models: bool = False) -> None:
        nominal, physics, names = env.physics.model, env.physics, ["qpos", "qvel"]
        self._models = [physics.mj_data(k)[0] if own_models else nominal for k in range(env.num_envs)]
        self._data = mujoco.MjData(nominal)
        names += ["mocap_pos", "mocap_quat"] if nominal.nmocap else []
        self._fields = {name: physics.field(name).numpy() for name in names}

    def deepest_m(self) -> float:
        """Return the deepest overlap in any environment."""
        return max(self._deepest_of(k) for k in range(len(self._models)))

    def kinetic_j(self) -> list[float]:
        """Return the kinetic energy of each environment."""
        return [self._kinetic_of(k) for k in range(len(self._models))]

    def _deepest_of(self, k: int) -> float:
        mujoco.mj_collision(self._place(k), self._data)
        return max(0.0, -float(self._data.contact.dist.min(initial=0.0)))

    def _kinetic_of(self, k: int) -> float:
        model = self._place(k)
        mujoco.mj_makeM(model, self._data)
        mujoco.mj_energyVel(model, self._data)
        return float(self._data.energy[1])

    def _place(self, k: int) -> mujoco.MjModel:
        for name, value in self._fields.items():
            getattr(self._data, name)[:] = value[k]
        mujoco.mj_kinematics(self._models[k], self._data)
        mujoco.mj_comPos(self._models[k], self._data)
        return self._models[k]


def soak(env: BatchEnv, steps: int) -> tuple[int, float]:
    """Act at random; return how many episodes have ended, and the deepest overlap [m]."""
    generator, look = torch.Generator().manual_seed(0), Look(env)
    ended, deepest = 0, 0.0
    for _ in range(steps):
        action = torch.rand(env.num_envs, env.num_actions, generator=generator) * 2.0 - 1.0
        obs, reward, terminated, truncated, _ = env.step(action)
        assert all(torch.isfinite(v).all() for v in obs.values())
        assert torch.isfinite(reward).all()
        ended += int((terminated | truncated).sum())
        deepest = max(deepest, look.deepest_m())
    assert env.faults.count == 0, [str(p) for p in env.faults.paths]
    return ended, deepest


def make_env(name, preset, num_envs, folder, **settings):
    return BatchEnv(
        make_task(name, preset=preset, **settings),
        EnvConfig(num_envs=num_envs, fault_dir=str(folder), physics=PhysicsConfig(num_threads=1)),
    )


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("name", "preset"), CASES)
def test_random_actions(name, preset, tmp_path):
    env = make_env(name, preset, NUM_ENVS, tmp_path)
    ended, deepest = soak(env, TOTAL_STEPS // (len(CASES) * NUM_ENVS) + 1)
    assert ended >= NUM_ENVS
    assert deepest < PRESSED_M.get(name, PENETRATION_M)
    env.close()


@pytest.mark.long
@pytest.mark.parametrize(("name", "preset"), CASES)
def test_random_actions_for_a_while(name, preset, tmp_path):
    """Short episodes, so that they end within few steps."""
    config = task_class(name).config_class()
    episode_s = SHORT_EPISODE * config.step_dt
    env = make_env(name, preset, 4, tmp_path, episode_s=episode_s)
    ended, deepest = soak(env, 2 * SHORT_EPISODE)
    assert ended >= 8
    assert deepest < PRESSED_M.get(name, PENETRATION_M)
    env.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "preset"), CASES)
def test_without_action_nothing_speeds_up(name, preset, tmp_path):
    """Once the servos have settled, kinetic energy only falls: in the last quarter it is no more than before.

    Of what is randomised, pushes are left out: they are what brings energy in.
    """
    check_rest(name, preset, REST_ENVS, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", ["push", "tweezer_hand", "button_with_assembled_stick"])
def test_without_action_a_few_tasks_do_not_speed_up(name, tmp_path):
    check_rest(name, "randomised", 2, tmp_path)


def check_rest(name, preset, num_envs, folder):
    task = make_task(name, preset=preset)
    spread = replace(task.randomization(preset), push_n=0.0)
    task.randomization = lambda preset: spread
    env = BatchEnv(task, EnvConfig(num_envs=num_envs, auto_reset=False, fault_dir=str(folder)))
    zero, look, energy = torch.zeros(num_envs, env.num_actions), Look(env, own_models=True), []
    for _ in range(task.config.max_steps - 1):
        env.step(zero)
        energy.append(look.kinetic_j())
    quarters = np.array_split(np.array(energy), 4)
    assert (quarters[3].max(0) <= quarters[2].max(0) + REST_GAIN_J).all()
    assert env.physics.field("qvel").abs().max() < REST_SPEED
    assert env.faults.count == 0
    env.close()


def test_the_look_sees_overlaps_and_energy(tmp_path):
    """A cube that is pressed 4 mm into the table, at 0.5 m/s."""
    env = make_env("push", "nominal", 2, tmp_path)
    look = Look(env, own_models=True)
    env.reset(seed=0)
    assert look.deepest_m() < 1e-3 and max(look.kinetic_j()) < 1e-9
    state = {name: env.physics.field(name).clone() for name in ("qpos", "qvel")}
    at = env.physics.model.joint("object")
    state["qpos"][1, int(at.qposadr[0]) + 2] -= 0.004
    state["qvel"][1, int(at.dofadr[0])] = 0.5
    env.physics.write(torch.arange(2), state)
    assert look.deepest_m() == pytest.approx(0.004, abs=3e-4)
    # Half of 0.15 kg times (0.5 m/s)^2.
    assert look.kinetic_j()[1] == pytest.approx(0.01875, rel=1e-5)
    env.close()
