import math

import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.batch.rng import EnvRandom
from sim.tasks.reorient_cloud import CHANNELS, CloudConfig, corrupt, thin
from sim.tasks.rotations import (
    angle_between,
    angle_of,
    quat_conjugate,
    quat_mul,
    quat_rotate,
    rotation_vector,
)
from tests.sim.tasks import solving

CLEAN = CloudConfig(source="model", augment=0.0)


def clouds(env, obs):
    """Positions (n, points, 3) of the scene and of the goal."""
    cloud = obs["observation"][:, 64:].unflatten(1, (-1, len(CHANNELS)))
    return cloud[..., :3].tensor_split([env.task.config.cloud.points], 1)


def keys(num):
    return EnvRandom(torch.arange(num))


def test_rotations_agree_with_each_other():
    a, b = (EnvRandom(torch.arange(50)).quaternion(name) for name in "ab")
    v = EnvRandom(torch.arange(50)).normal("v", 1.0, 3)
    turned = quat_mul(quat_mul(a, torch.nn.functional.pad(v, (1, 0))), quat_conjugate(a))[:, 1:]
    assert torch.allclose(quat_rotate(a, v), turned, atol=1e-5)
    gap = quat_mul(a, quat_conjugate(b))
    assert torch.allclose(angle_of(gap)[:, 0], angle_between(a, b), atol=1e-5)
    # The exponential of the rotation vector is the rotation again.
    half = rotation_vector(gap) / 2
    length = half.norm(dim=-1, keepdim=True)
    again = torch.cat((torch.cos(length), torch.sin(length) * half / length), -1)
    assert (angle_between(again, gap) < 1e-5).all()


def test_one_point_per_voxel_and_few_points_are_repeated():
    # Two points share a voxel, one is missing.
    pos = [[0.001, 0.001, 0.001], [0.002, 0.001, 0.001], [0.03, 0.0, 0.0], [0.09, 0.0, 0.0]]
    cloud = torch.nn.functional.pad(torch.tensor(pos), (0, 3)).expand(50, -1, -1)
    is_there = torch.tensor([True, True, True, False]).expand(50, -1)
    found = thin(cloud, is_there, 6, 0.005, keys(50))
    assert found.shape == (50, 6, 6)
    for row in found:
        unique = {tuple(p.tolist()) for p in row}
        assert len(unique) == 2  # of the first two only one, and never the missing one
        assert all(abs(p[0] - 0.09) > 1e-6 for p in unique)
    assert len({round(float(v), 4) for v in found[..., 0].flatten()}) == 3  # either of the first two, by luck
    nothing = thin(cloud, torch.zeros_like(is_there), 6, 0.005, keys(50))
    assert (nothing == 0).all()
    # With room for fewer points than voxels, all are different.
    line = torch.nn.functional.pad(0.01 * torch.arange(12.0)[:, None].expand(12, 3), (0, 3))
    few = thin(line.expand(4, -1, -1), torch.ones(4, 12, dtype=torch.bool), 6, 0.005, keys(4))
    assert all(len({tuple(p.tolist()) for p in row}) == 6 for row in few)


def test_noise_is_as_large_as_set():
    config = CloudConfig(augment=0.4, jitter_m=0.004, dropout=0.2)
    cloud, num = torch.zeros(500, 100, 6), 500
    noisy, is_there = corrupt(cloud, torch.ones(num, 100, dtype=torch.bool), config, keys(num))
    spread = noisy[..., :3].std(dim=(1, 2))
    is_jittered = spread > 0
    assert 0.35 < is_jittered.float().mean() < 0.45
    assert spread[is_jittered].mean() == pytest.approx(0.004, rel=0.02)
    assert (noisy[..., 3:] == 0).all()
    missed = 1.0 - is_there.float().mean(1)
    assert 0.35 < (missed > 0).float().mean() < 0.45
    assert missed.max() < 0.35 and missed[missed > 0].mean() == pytest.approx(0.1, abs=0.02)
    clean, all_there = corrupt(cloud, is_there, CloudConfig(augment=0.0), keys(num))
    assert clean is cloud and all_there is is_there


def test_points_lie_on_the_object_and_its_goal():
    env = solving.make_env("reorient", 6, cloud=CLEAN)
    obs = env.reset(seed=2)
    scene, goal = clouds(env, obs)
    half = env.task.config.size_m / 2
    for k in range(6):
        local = quat_rotate(quat_conjugate(env.desired_goal[k, :4]), goal[k])
        largest = local.abs().amax(-1)
        assert (largest - half).abs().max() < 0.001  # on the faces of the cube, or on the plates on them
        world = scene[k] + env.task._centre
        local = quat_rotate(quat_conjugate(env.task.object.quat[k]), world - env.task.object.pos[k])
        on_object = (local.abs().amax(-1) - half).abs() < 0.001
        assert 30 < on_object.sum() < len(local) - 30


def test_clouds_are_the_same_for_a_seed_and_differ_from_step_to_step():
    config = CloudConfig(source="model", points=32)
    one, two = (solving.make_env("reorient", n, cloud=config) for n in (2, 3))
    a, b = one.reset(seed=4), two.reset(seed=4)
    assert torch.equal(a["observation"], b["observation"][:2])
    saved = one.state_arrays()
    zero = torch.zeros(2, 16)
    later = one.step(zero)[0]["observation"]
    assert not torch.equal(later[:, 64:], a["observation"][:, 64:])
    one.load_state_arrays(saved)
    assert torch.equal(one.step(zero)[0]["observation"], later)


def test_the_camera_sees_what_the_models_say():
    pytest.importorskip("OpenGL", reason="PyOpenGL is missing")
    size = {"points": 4000, "object_points": 3000, "hand_points": 9000, "width": 128, "height": 96}
    obs = {}
    for source in ("model", "camera"):
        env = solving.make_env("reorient", 1, cloud=CloudConfig(source=source, augment=0.0, **size))
        obs[source] = clouds(env, env.reset(seed=3))[0][0]
        env.close()
    assert len(obs["camera"]) > 100
    nearest = torch.cdist(obs["camera"], obs["model"]).amin(1)
    assert nearest.median() < 0.005 and nearest.quantile(0.95) < 0.01, nearest.quantile(
        torch.arange(1, 10) / 10
    )


def test_a_student_does_not_see_the_state_and_its_teacher_does():
    env = solving.make_env("reorient", 2, cloud=CloudConfig(source="model", points=10))
    plain = solving.make_env("reorient", 2)
    kinds = {name.rpartition(".")[0] for name in env.spec.obs["observation"].names}
    assert kinds == {"joint_pos", "joint_vel", "target", "last_action", "cloud", "goal_cloud"}
    told = set(env.spec.obs["privileged"].names)
    axes = {f"{name}.{k}" for name in ("object_axes", "goal_axes") for k in range(9)}
    assert told == axes | {n for key in ("observation", "privileged") for n in plain.spec.obs[key].names}
    obs = plain.reset(seed=7)
    left = dict(zip(plain.spec.obs["privileged"].names, obs["privileged"][0].tolist(), strict=True))
    angle = float(angle_between(obs["achieved_goal"][0, :4], obs["desired_goal"][0, :4]))
    assert left["angle.0"] == pytest.approx(angle, abs=1e-4)
    assert math.hypot(*(left[f"turn.{k}"] for k in range(3))) == pytest.approx(angle, abs=1e-4)


def test_the_axes_that_students_learn_turn_points_as_the_clouds_are_turned():
    env = solving.make_env("reorient", 3, cloud=CLEAN)
    obs = env.reset(seed=2)
    names = env.spec.obs["privileged"].names
    point = torch.tensor([0.01, -0.02, 0.03])
    for name, quat in (("object_axes", env.task.object.quat), ("goal_axes", env.desired_goal[:, :4])):
        first = names.index(f"{name}.0")
        axes = obs["privileged"][:, first : first + 9].unflatten(1, (3, 3))
        assert torch.allclose(axes @ point, quat_rotate(quat, point.expand(3, -1)), atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "lidar"}, "'model' or 'camera'"),
        ({"points": 0}, "1 or more"),
        ({"goal_points": 0}, "goal_points is 0"),
        ({"augment": 1.5}, r"\[0, 1\]"),
        ({"voxel_m": 0.0005}, "voxel_m"),
    ],
)
def test_clouds_of_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        CloudConfig(**settings)
