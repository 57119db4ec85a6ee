"""Senses beside a task's own: any task can hear, feel forces and temperatures, on both backends."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.batch.env import BatchEnv, EnvConfig
from sim.batch.physics import PhysicsConfig
from sim.batch.senses import SensesConfig
from sim.tasks.registry import make_task

SENSES = SensesConfig(
    wrench=("ee",),
    sound=("cube",),
    temperature=("cube", "left_finger"),
    start_c=(60, 22),
    heat_capacity_j_k=40.0,
    convection_w_k=0.04,
)


@pytest.fixture(params=["cpu", pytest.param("warp", marks=pytest.mark.long)])
def physics(request):
    if request.param == "warp":
        pytest.importorskip("mujoco_warp", reason="mujoco-warp is missing: pip install 'habilis[train]'")
    return PhysicsConfig(backend=request.param)


def column(env, name):
    return [k for k, n in enumerate(env.spec.obs["observation"].names) if n.startswith(f"{name}.")]


def test_they_are_added_to_the_observation_and_tell_what_happens(physics, tmp_path):
    plain = BatchEnv(make_task("pick_place"), EnvConfig(3, fault_dir=str(tmp_path), physics=physics))
    env = BatchEnv(
        make_task("pick_place"), EnvConfig(3, fault_dir=str(tmp_path), physics=physics, senses=SENSES)
    )
    own = plain.spec.obs["observation"].names
    names = env.spec.obs["observation"].names
    assert names[: len(own)] == own
    assert names[len(own) :] == (
        *(f"wrench.{k}" for k in range(6)),
        "sound.0",
        "temperature.0",
        "temperature.1",
    )

    cube = torch.tensor([1])
    qpos = env.physics.field("qpos")[cube].clone()
    qpos[:, -5] += 0.05  # the height of the cube, which is the last free body: it falls 5 cm
    env.physics.write(cube, {"qpos": qpos})
    still, heard = torch.zeros(3, env.num_actions), torch.zeros(3)
    for k in range(10):
        obs = env.step(still)[0]["observation"]
        heard += obs[:, column(env, "sound")[0]]
        temperature = obs[:, column(env, "temperature")]
        # Newton's cooling: a lump loses its excess over the air by exp(-h t / C).
        left = torch.exp(torch.tensor(-0.04 * (k + 1) * env.task.config.step_dt / 40.0))
        assert torch.allclose(temperature[:, 0], 22.0 + 38.0 * left, atol=1e-3)
        assert torch.allclose(temperature[:, 1], torch.tensor(22.0), atol=1e-3)
    # A fall of 5 cm ends with m g h = 0.08 kg * 9.81 m/s^2 * 0.05 m = 0.039 J; most is lost at once.
    assert 0.02 < heard[1] < 0.042 and heard[0] < 1e-3 and heard[2] < 1e-3
    wrench = obs[:, column(env, "wrench")]
    assert wrench.isfinite().all() and (wrench[:, :3].norm(dim=-1) > 1.0).all()  # the hand's own weight


def test_a_reset_and_a_saved_state_know_them(tmp_path):
    config = EnvConfig(3, fault_dir=str(tmp_path), senses=SENSES)
    env, other = BatchEnv(make_task("pick_place"), config), BatchEnv(make_task("pick_place"), config)
    action = torch.full((3, env.num_actions), 0.3)
    for _ in range(5):
        env.step(action)
    warm = column(env, "temperature")[0]
    obs = env.reset(mask=torch.tensor([False, True, False]))["observation"]
    assert obs[1, warm] == 60.0 and (obs[[0, 2], warm] < 60.0).all()
    other.load_state_arrays(env.state_arrays())
    assert torch.equal(env.step(action)[0]["observation"], other.step(action)[0]["observation"])


@pytest.mark.parametrize(
    ("task", "senses", "message"),
    [
        ("pick_place", {"sound": ("apple",)}, "the scene has no body 'apple'; it has world, fr3_link0"),
        ("pick_place", {"sound": ("hand",)}, "body 'hand' has no free joint"),
        ("pick_place", {"wrench": ("nose",)}, "the scene has no site 'nose'; it has "),
        ("press", {"wrench": ("ee",)}, "task press observes wrench itself"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(task, senses, message, tmp_path):
    with pytest.raises(ValueError, match=message) as error:
        BatchEnv(make_task(task), EnvConfig(1, fault_dir=str(tmp_path), senses=SensesConfig(**senses)))
    assert "\n" not in str(error.value)


def test_temperatures_go_with_bodies():
    with pytest.raises(ValueError, match="start_c has 1 temperatures for 2 bodies; give one each"):
        SensesConfig(temperature=("a", "b"), start_c=(3.0,))
