"""tweezer_pick from a camera: what the cloud shows, when it is rendered, and who judges."""
# pyright: reportAttributeAccessIssue=false

import mujoco
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")
pytest.importorskip("onnxruntime", reason="onnxruntime is missing: pip install onnxruntime")

import torch
from scipy.spatial.transform import Rotation

from sim.camera import DepthNoiseConfig
from sim.rendering import RenderingUnavailable, rendering_backend
from sim.tasks.registry import make_task
from sim.tasks.tweezer_sight import BELOW_M, SightConfig, TweezerCamera, above_table, low_points
from tests.sim.tasks import solving

try:
    rendering_backend()
except RenderingUnavailable as error:
    pytest.skip(str(error), allow_module_level=True)

CAMERA = {"hand": "policy", "decimation": 50, "ticks": 5, "source": "camera"}


def test_a_table_that_is_seen_askew_is_set_right():
    """The error of a calibration turns the cloud about the eye; this goes."""
    rng, eye = np.random.default_rng(0), np.array([0.49, -0.18, 0.26])
    level = rng.uniform((0.3, -0.2), (0.6, 0.2), (20_000, 2))
    table = np.column_stack((level, rng.normal(0, 0.0005, 20_000)))
    thing = rng.uniform((0.44, 0.0, 0.006), (0.45, 0.02, 0.012), (100, 3))
    off = Rotation.from_rotvec([0.004, -0.003, 0.0]).as_matrix()
    seen = (np.concatenate((table, thing)) - eye) @ off.T + eye + [0.0, 0.0, 0.001]
    assert np.abs(seen[-100:] - thing).max() > 0.0015
    found = above_table(seen, eye)[-100:]
    assert np.abs(found - thing).max() < 0.0001
    # Too little of a table: nothing is turned, what is low is left out.
    few = np.concatenate((seen[:100], seen[-100:]))
    assert np.allclose(above_table(few, eye), few[few[:, 2] > 0.002], atol=1e-12)


@pytest.mark.long
def test_the_cloud_is_of_tweezers_and_object_alone():
    """Without errors, every point is on a surface that is drawn of one of them."""
    env, _ = solving.start("tweezer_pick", 1.0, num_envs=2, **CAMERA)
    exact = SightConfig(calibration_m=0.0, calibration_rad=0.0, noise=DepthNoiseConfig(enabled=False))
    camera, ids, task = TweezerCamera(env.physics, exact), torch.arange(2), env.task
    camera.calibrate(ids, ids)
    for k, points in enumerate(camera.clouds(ids, ids)):
        model, data = env.physics.mj_data(k)
        assert len(points) > 500
        known = {task.handle.body, task.handle.moving_body, f"object{int(task.chosen[k])}"}
        ids_of = {model.body(name).id for name in known}
        eye = data.camera("tool").xpos
        hit, normal = np.zeros(1, np.int32), np.zeros(3)
        shown = set()
        for p in points[:: len(points) // 50]:
            ray = (p - eye) / np.linalg.norm(p - eye)
            groups = np.array([1, 0, 1, 0, 0, 0], np.uint8)
            far = mujoco.mj_ray(model, data, eye, ray, groups, 1, -1, hit, normal)
            if abs(far - np.linalg.norm(p - eye)) < 0.002:  # pixels at an edge may miss
                shown.add(int(model.geom_bodyid[hit[0]]))
        assert shown and shown <= ids_of
        low = low_points(points, task.ee.pos[k].double().numpy())
        assert (low[:, 2] < float(task.ee.pos[k, 2]) - BELOW_M).all() and 0 < len(low) < len(points)
    camera.close()


def test_pictures_are_made_once_per_step_and_only_of_what_changed(monkeypatch):
    rendered, inner = [], TweezerCamera.clouds

    def clouds(self, ids, keys):
        rendered.append(ids.tolist())
        return inner(self, ids, keys)

    monkeypatch.setattr(TweezerCamera, "clouds", clouds)
    env, _ = solving.start("tweezer_pick", 1.0, num_envs=2, **CAMERA)
    rendered.clear()
    obs, *_ = env.step(torch.zeros(2, env.num_actions))
    assert rendered == [[0, 1]]
    again = env.task.observe()
    assert torch.equal(torch.cat(list(again.values()), -1), obs["observation"]) and len(rendered) == 1
    env.reset(mask=torch.tensor([False, True]))
    assert rendered[1:] == [[1]]


def test_success_is_judged_by_the_truth_not_by_what_is_perceived():
    env, obs = solving.start("tweezer_pick", 1.0, num_envs=2, **CAMERA)
    task = env.task
    assert obs["achieved_goal"].shape == (2, 3)
    assert torch.equal(obs["achieved_goal"], task.estimates.object_pos)
    error = torch.linalg.vector_norm(obs["achieved_goal"] - task.object_pos, dim=-1)
    assert (error > 0).all() and (error < 0.02).all()  # seen, not known
    env.desired_goal.copy_(task.object_pos)
    task.estimates.object_pos.add_(1.0)
    look = type(task._estimates).look
    try:
        type(task._estimates).look = lambda self: self.now  # sees it a metre away
        obs, _, _, _, info = env.step(torch.zeros(2, env.num_actions))
    finally:
        type(task._estimates).look = look
    assert (obs["achieved_goal"] - task.object_pos).abs().max() > 0.5
    assert info["success"].all()


@pytest.mark.long
def test_what_was_seen_is_part_of_the_state(tmp_path):
    env, _ = solving.start("tweezer_pick", 1.0, num_envs=1, preset="randomised", **CAMERA)
    action = torch.full((1, env.num_actions), 0.3)
    env.step(action)
    env.save_state(tmp_path / "state.npz")
    first, *_ = env.step(action)
    other = solving.make_env("tweezer_pick", 1, seed=3, preset="randomised", **CAMERA)
    other.load_state(tmp_path / "state.npz")
    second, *_ = other.step(action)
    assert torch.equal(first["observation"], second["observation"])


def test_the_camera_needs_an_upper_level():
    with pytest.raises(ValueError, match="source=camera needs hand=policy"):
        make_task("tweezer_pick", source="camera")
    with pytest.raises(ValueError, match="source is 'eyes'; input should be 'state' or 'camera'"):
        make_task("tweezer_pick", source="eyes")


@pytest.mark.slow
@pytest.mark.parametrize(("objects", "least"), [("trained", 0.8), ("unseen", 0.65)])
def test_the_levels_that_ship_pick_what_they_see(objects, least):
    """Measured over 100 episodes or more: 93 % and 86 %."""
    from policies.artifact import batch_act, load_policy
    from policies.evaluation import EvalConfig, evaluate
    from policies.shipped import shipped

    env = solving.make_env(
        "tweezer_pick", 48, preset="randomised", reward="sparse", objects=objects, **CAMERA
    )
    policy = load_policy(shipped("tweezer_pick"))
    found = evaluate(env, batch_act(policy), EvalConfig(48, 48, 1_600_000_000), policy.reset)
    assert found.rate >= least
