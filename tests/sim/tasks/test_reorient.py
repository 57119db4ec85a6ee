import math

import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.batch.rng import EnvRandom
from sim.solvers.mpc import MpcConfig
from sim.solvers.reorient import ReorientSolver
from sim.tasks.registry import make_task
from sim.tasks.reorient import ReorientWeights
from sim.tasks.reorient_object import cube_rotations, fourth_moments
from sim.tasks.rotations import angle_between, quat_mul
from tests.sim.tasks import solving

SHAPES = ("cube", "box", "cylinder", "capsule", "ellipsoid")


def test_angles_between_quaternions():
    half = math.sqrt(0.5)
    one = torch.tensor([1.0, 0.0, 0.0, 0.0])
    # A quarter turn about x; its negative is the same rotation; a half turn; a small one: cos(5e-5) == 1 in
    # float32.
    turned = torch.tensor([[half, half, 0, 0], [-half, -half, 0, 0], [0, 0, 1, 0], [1, 5e-5, 0, 0]])
    expected = torch.tensor([math.pi / 2, math.pi / 2, math.pi, 1e-4])
    assert torch.allclose(angle_between(turned, one), expected, rtol=1e-5)
    q = EnvRandom(torch.arange(100)).quaternion("a")
    assert (angle_between(q, q) < 1e-6).all()
    assert torch.allclose(angle_between(quat_mul(q, turned[0]), q), torch.tensor(math.pi / 2), atol=1e-5)


@pytest.mark.parametrize("palm", ["up", "down"])
@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_goals_are_as_far_as_difficulty_says(palm, difficulty):
    task = make_task("reorient", palm=palm, difficulty=difficulty)
    env = solving.make_env("reorient", 128, palm=palm, difficulty=difficulty)
    obs = env.reset(seed=5)
    achieved, goal = obs["achieved_goal"], obs["desired_goal"]
    angle = angle_between(achieved[:, :4], goal[:, :4])
    # From 0.6 rad to 0.6 + (pi - 0.6) * difficulty.
    assert angle.min() >= 0.6 - 1e-4 and angle.max() <= 0.6 + (math.pi - 0.6) * difficulty + 1e-4
    assert angle.max() - angle.min() >= 0.8 * (math.pi - 0.6) * difficulty
    assert (goal[:, 4:] == 0).all() and not task.success(achieved, goal).any()
    assert torch.equal(env.physics.field("mocap_quat")[:, 0], goal[:, :4])


def test_success_needs_the_angle_and_every_stillness():
    task = make_task("reorient")
    turn = torch.tensor([math.cos(0.195), math.sin(0.195), 0.0, 0.0])  # 0.39 rad
    desired = torch.tensor([1.0, 0, 0, 0, 0, 0, 0])
    good = torch.cat((turn, torch.tensor([0.24, 0.039, 0.49])))
    assert task.success(good, desired)
    for k, value in ((4, 0.26), (5, 0.041), (6, 0.51)):
        moving = good.clone()
        moving[k] = value
        assert not task.success(moving, desired)
    far = good.clone()
    far[:2] = torch.tensor([math.cos(0.205), math.sin(0.205)])
    assert not task.success(far, desired)


@pytest.mark.parametrize(
    ("palm", "shape"), [*(("up", s) for s in SHAPES), ("down", "cube"), ("down", "box"), ("table", "cube")]
)
def test_the_hand_holds_the_object_still(palm, shape):
    env = solving.make_env("reorient", 4, palm=palm, shape=shape)
    first = env.reset(seed=1)["achieved_goal"]
    for _ in range(125):
        obs, _, _, _, info = env.step(torch.zeros(4, env.num_actions))
        assert not info["failed"].any()
    assert (angle_between(obs["achieved_goal"][:, :4], first[:, :4]) < 0.1).all()
    assert (obs["achieved_goal"][:, 4:] < torch.tensor([0.25, 0.04, 0.5])).all()


@pytest.mark.parametrize("palm", ["up", "down"])
def test_a_dropped_object_fails(palm):
    env = solving.make_env("reorient", 2, palm=palm)
    env.reset(seed=0)
    gone = env.physics.field("qpos").clone()[:1]
    gone[0, 16:19] += torch.tensor([0.0, 0.2, 0.0])
    env.physics.write(torch.tensor([0]), {"qpos": gone})
    _, _, terminated, _, info = env.step(torch.zeros(2, env.num_actions))
    assert info["failed"].tolist() == [True, False] == terminated.tolist()


@pytest.mark.parametrize("shape", SHAPES)
def test_clearance_is_that_of_the_lowest_point(shape):
    env = solving.make_env("reorient", 8, shape=shape)
    env.reset(seed=1)
    state = env.physics.field("qpos").clone()
    state[:, 19:23] = EnvRandom(torch.arange(8)).quaternion("turn")
    env.physics.write(torch.arange(8), {"qpos": state})
    # The ground truth: distance of the compiled geom from a plane far below it, by MuJoCo.
    import mujoco

    for k in range(8):
        model, data = env.physics.mj_data(k)
        mujoco.mj_forward(model, data)
        ids = model.geom("object").id, model.geom("floor").id
        floor_m = float(model.geom("floor").pos[2])
        distance_m = mujoco.mj_geomDistance(model, data, *ids, 5.0, None)
        assert float(env.task.clearance[k]) == pytest.approx(distance_m + floor_m, abs=5e-4)


def test_over_a_table_the_object_lies_on_it():
    weights = ReorientWeights(table=-1.0)
    for palm, touches in (("table", True), ("down", False)):
        env = solving.make_env("reorient", 2, palm=palm, weights=weights)
        env.reset(seed=0)
        env.step(torch.zeros(2, env.num_actions))
        assert (env.term_sums()["reward/table"] == (-1.0 if touches else 0.0)).all()


def test_rewards_have_the_weights_of_the_config():
    env = solving.make_env("reorient", 2, weights=ReorientWeights(angle=0.0, success=5.0, power=-0.1))
    assert "reward/angle" not in env.term_sums() and "reward/table" not in env.term_sums()
    env.reset(seed=0)
    for _ in range(5):
        env.step(torch.ones(2, env.num_actions))
    # At most 10 W a step.
    assert (env.term_sums()["reward/power"] < 0).all() and (env.term_sums()["reward/power"] >= -5.0).all()


def test_progress_adds_up_to_the_angle_that_was_turned():
    weights = ReorientWeights(angle=0.0, aligned=0.0, success=0.0, progress=2.0)
    env = solving.make_env("reorient", 3, weights=weights)
    obs = env.reset(seed=4)
    angle = angle_between(obs["achieved_goal"][:, :4], obs["desired_goal"][:, :4])
    for _ in range(6):
        obs, *_ = env.step(torch.ones(3, env.num_actions))
    left = angle_between(obs["achieved_goal"][:, :4], obs["desired_goal"][:, :4])
    assert torch.allclose(env.term_sums()["reward/progress"], 2.0 * (angle - left), atol=1e-4)
    assert (angle - left).abs().max() > 0.02


def test_sides_are_the_same_for_orientations_in_which_a_cube_looks_alike():
    quat = EnvRandom(torch.arange(20)).quaternion("q")
    sides = fourth_moments(quat)
    for turn in cube_rotations():
        assert torch.allclose(fourth_moments(quat_mul(quat, torch.tensor(turn).float())), sides, atol=1e-5)
    # A third of a right angle about an edge's direction is none of them.
    other = torch.tensor([math.cos(math.pi / 12), math.sin(math.pi / 12), 0.0, 0.0])
    assert ((fourth_moments(quat_mul(quat, other)) - sides).norm(dim=-1) > 0.3).all()


def test_actions_are_smoothed():
    # 0.8 of the action and 0.2 of the smoothed one before: 0.8, 0.96, and 0.192 after it has ended.
    env = solving.make_env("reorient", 1, smoothing=0.2, step_rad=0.01)
    env.reset(seed=0)
    start = env.task.targets.clone()
    for action, moved in ((0.5, 0.4), (0.5, 0.88), (0.0, 0.976)):
        env.step(torch.full((1, 16), action))
        assert torch.allclose(env.task.targets - start, torch.full((1, 16), 0.01 * moved), atol=1e-6)


def test_the_oracle_holds_the_hand_still_near_the_goal():
    env = solving.make_env("reorient", 2, oracle_stop_rad=0.3)
    env.reset(seed=0)
    quat = env.physics.field("mocap_quat").clone()
    quat[0, 0] = env.task.object.quat[0]  # the goal of one is where the object is
    env.physics.write(torch.arange(2), {"mocap_quat": quat})
    start = env.task.targets.clone()
    env.step(torch.ones(2, env.num_actions))
    moved = (env.task.targets - start).abs().amax(-1)
    assert moved[0] == 0.0 and moved[1] > 0.1


def test_solver_turns_a_cube():
    """The nearest goals, a quarter of an episode and few samples: the angle falls below the tolerance."""
    env = solving.make_env("reorient", 2, difficulty=0.0)
    solver, obs = ReorientSolver(env, MpcConfig(samples=24, horizon=10)), env.reset(seed=3)
    for _ in range(60):
        obs, _, _, _, info = env.step(solver.act(obs))
        if info["success"].any():
            return
    pytest.fail(f"angles {angle_between(obs['achieved_goal'][:, :4], obs['desired_goal'][:, :4]).tolist()}")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("palm", "difficulty", "preset", "least"),
    [
        ("up", 1.0, "nominal", 0.8),
        ("up", 1.0, "randomised", 0.55),
        ("down", 0.5, "nominal", 0.6),
        ("down", 1.0, "nominal", 0.55),
    ],
)
def test_solver_rate(palm, difficulty, preset, least):
    """The least is where the 95 % interval of the measured rate begins, or below."""
    rate = solving.solve_rate("reorient", 24, palm=palm, difficulty=difficulty, preset=preset)
    assert rate >= least


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match=r"palm is 'side'.*'up', 'down' or 'table'"):
        make_task("reorient", palm="side")
    with pytest.raises(ValueError, match=r"shape is 'ball'.*'cube', 'box'"):
        make_task("reorient", shape="ball")
    with pytest.raises(ValueError, match=r"size_m is 0\.2 m"):
        make_task("reorient", size_m=0.2)
    with pytest.raises(ValueError, match=r"oracle_stop_rad is 0\.5; use 0 to tolerance_rad, 0\.4"):
        make_task("reorient", oracle_stop_rad=0.5)
    with pytest.raises(ValueError, match=r"smoothing is 1\.0"):
        make_task("reorient", smoothing=1.0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_teachers_experiment_runs_on_warp():
    pytest.importorskip("mujoco_warp", reason="mujoco_warp is missing: pip install 'habilis[train]'")
    pytest.importorskip("rsl_rl", reason="rsl-rl-lib is missing: pip install 'habilis[train]'")
    import habilis

    changes = ["experiment=reorient_teacher", "sim=warp", "sim.device=cpu", "num_envs=2"]
    trainer = habilis.build_trainer(habilis.compose("train", changes))
    before = trainer.env_steps
    assert all(math.isfinite(v) for v in trainer.advance().values()) and trainer.env_steps == before + 2 * 32
    trainer.close()
