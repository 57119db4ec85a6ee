"""Domain randomisation: ranges, what is written, that physics follows, that the rest stays."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.batch.env import BatchEnv, EnvConfig
from sim.batch.randomize import NOMINAL, RANDOMISED, Randomization, draw_model_fields
from sim.batch.rng import EnvRandom, episode_keys
from sim.batch.textures import texture_ids
from sim.tasks.reach import Reach, ReachConfig
from sim.tasks.registry import TASKS, task_class
from tests.contracts.env_suite import actions

NUM = 200


@pytest.fixture(scope="module")
def model():
    spec = Reach().scene()
    return spec.compile()


def draw(model, **spread):
    random = EnvRandom(episode_keys(torch.arange(NUM), torch.zeros(NUM, dtype=torch.int64)))
    return draw_model_fields(Randomization(**spread), model, random)


def factors(model, fields, name, column=None):
    """Ratio of drawn to own values where those are not zero, (NUM, k)."""
    own, value = np.array(getattr(model, name)), fields[name].numpy()
    if column is not None:
        own, value = own[..., column], value[..., column]
    return (value / np.where(own == 0.0, np.nan, own)).reshape(NUM, -1)[:, own.ravel() != 0.0]


def spans(ratio, low, high):
    """All within [low, high], and log-uniform: the extremes are approached, the median is in the middle."""
    assert low * 0.999 <= ratio.min() <= low * 1.1 and high * 0.9 <= ratio.max() <= high * 1.001
    assert np.median(ratio) == pytest.approx(np.sqrt(low * high), rel=0.15)


# ---- what is drawn --------------------------------------------------------------------------------


def test_nothing_varies_by_default(model):
    assert draw(model) == {} and NOMINAL == Randomization()


def test_masses_and_inertias_go_together(model):
    fields = draw(model, mass=(0.5, 2.0))
    mass, inertia = factors(model, fields, "body_mass"), factors(model, fields, "body_inertia", 0)
    spans(mass, 0.5, 2.0)
    np.testing.assert_allclose(inertia, mass, rtol=1e-5)
    assert fields.keys() == {"body_mass", "body_inertia"}
    assert mass.std(1).min() > 0.05  # each body has its own


def test_friction_is_one_factor_on_sliding(model):
    fields = draw(model, friction=(0.5, 2.0))
    ratio = factors(model, fields, "geom_friction", 0)
    spans(ratio, 0.5, 2.0)
    np.testing.assert_allclose(ratio, ratio[:, :1].repeat(ratio.shape[1], 1), rtol=1e-5)
    own = np.float32(model.geom_friction[:, 1:])
    assert (fields["geom_friction"].numpy()[..., 1:] == own).all()


def test_damping(model):
    spans(factors(model, draw(model, damping=(0.5, 2.0)), "dof_damping"), 0.5, 2.0)


def test_servos_keep_their_set_point(model):
    """Gain and bias of a position servo scale together: force = kp * (ctrl - q) - kv * v."""
    fields = draw(model, actuator_gain=(0.5, 2.0))
    gain, bias = factors(model, fields, "actuator_gainprm", 0), factors(model, fields, "actuator_biasprm", 1)
    spans(gain, 0.5, 2.0)
    np.testing.assert_allclose(gain, bias, rtol=1e-5)
    own = np.float32(model.actuator_biasprm[:, 2])
    assert (fields["actuator_biasprm"].numpy()[..., 2] == own).all()


def test_motors_without_a_spring_are_left_alone():
    xml = """<mujoco><worldbody><body><joint name="j"/><geom size="1" mass="1"/></body></worldbody>
    <actuator><motor joint="j" gear="1"/><position joint="j" kp="5"/></actuator></mujoco>"""
    model = mujoco.MjModel.from_xml_string(xml)
    gain = draw(model, actuator_gain=(0.5, 2.0))["actuator_gainprm"][..., 0].numpy()
    assert (gain[:, 0] == 1.0).all() and gain[:, 1].std() > 0.5


def test_looks(model):
    fields = draw(model, camera_pos_m=0.01, camera_rot_rad=0.02, light=(0.5, 2.0), color=0.1)
    shift = fields["cam_pos"].numpy() - np.float32(model.cam_pos)
    assert shift.std() == pytest.approx(0.01, rel=0.15) and abs(shift.mean()) < 0.003
    quat, own = fields["cam_quat"].numpy(), model.cam_quat
    np.testing.assert_allclose(np.linalg.norm(quat, axis=-1), 1.0, atol=1e-6)
    angle = 2.0 * np.arccos(np.clip(np.abs((quat * own).sum(-1)), 0.0, 1.0))
    # Length of a normal vector in 3-D: root mean square sqrt(3) times its deviation per axis.
    assert np.sqrt((angle**2).mean()) == pytest.approx(0.02 * np.sqrt(3.0), rel=0.1)
    spans(factors(model, fields, "light_diffuse"), 0.5, 2.0)
    plain = model.geom_matid < 0
    change = (fields["geom_rgba"].numpy() - np.float32(model.geom_rgba))[:, plain]
    assert 0.05 < np.abs(change[..., :3]).max() <= 0.1001 and (change[..., 3] == 0.0).all()
    assert fields["geom_rgba"].min() >= 0.0 and fields["geom_rgba"].max() <= 1.0


def test_colours_change_around_those_that_are_drawn():
    """A geom without a colour of its own shows its material's, so that is what varies: blue stays blue."""
    xml = """<mujoco><asset><material name="blue" rgba=".1 .2 .9 1"/></asset><worldbody>
    <geom size="1" material="blue"/><geom size="1"/><geom size="1" material="blue" rgba=".9 .1 .3 .5"/>
    </worldbody></mujoco>"""
    drawn = draw(mujoco.MjModel.from_xml_string(xml), color=0.05)["geom_rgba"].numpy()
    shown = np.float32([[0.1, 0.2, 0.9, 1.0], [0.5, 0.5, 0.5, 1.0], [0.9, 0.1, 0.3, 0.5]])
    assert 0.04 < np.abs(drawn - shown)[..., :3].max() <= 0.0501 and (drawn[..., 3] == shown[:, 3]).all()


def test_textures_are_drawn_for_plain_materials(model):
    fields = draw(model, texture=0.5, texture_m=(0.1, 0.2))
    assert fields.keys() == {"mat_texid", "mat_texrepeat", "mat_texuniform"}
    role, plain = int(mujoco.mjtTextureRole.mjTEXROLE_RGB), (model.mat_texid < 0).all(-1)
    assert plain.sum() >= 5 and not plain[model.material("floor").id]
    texid, repeat = fields["mat_texid"].numpy(), fields["mat_texrepeat"].numpy()
    shown = texid[..., role] != model.mat_texid[:, role]
    assert not shown[:, ~plain].any() and shown[:, plain].mean() == pytest.approx(0.5, abs=0.05)
    assert (np.delete(texid, role, -1) == -1.0).all()
    names = {model.texture(int(k)).name for k in np.unique(texid[..., role][shown])}
    assert names == {model.texture(k).name for k in range(model.ntex)} - {"sky", "floor"} and len(names) >= 4
    assert repeat[shown].min() >= 5.0 and repeat[shown].max() <= 10.0
    assert fields["mat_texuniform"].numpy()[shown].all()


def test_without_textures_in_the_scene_none_is_drawn():
    xml = "<mujoco><asset><material name='m'/></asset><worldbody><geom size='1'/></worldbody></mujoco>"
    assert draw(mujoco.MjModel.from_xml_string(xml), texture=1.0) == {}


def test_textures_are_grey_bright_and_seamless(model):
    """So that colours stay what they are, and a surface may be larger than its texture."""
    for k in texture_ids(model):
        image = texture_pixels(model, k).astype(float)
        assert (image == image[..., :1]).all() and image.min() >= 0.5 * 255 and np.ptp(image) > 50
        grey = image[..., 0]
        steps = [np.abs(np.diff(grey, axis=a, append=grey.take([0], a))).max() for a in (0, 1)]
        inner = [np.abs(np.diff(grey, axis=a)).max() for a in (0, 1)]
        assert all(s <= 1.2 * i for s, i in zip(steps, inner, strict=True)), model.texture(k).name


def texture_pixels(model, k):
    shape = (model.tex_height[k], model.tex_width[k], model.tex_nchannel[k])
    start = model.tex_adr[k]
    return model.tex_data[start : start + np.prod(shape)].reshape(shape)


@pytest.mark.parametrize(
    ("spread", "message"),
    [
        ({"texture": 1.5}, r"texture is 1.5; use a number in \[0, 1\]"),
        ({"texture_m": (0.2, 0.1)}, r"texture_m is \(0.2, 0.1\); use sizes"),
        ({"push_n": -1.0, "push_body": "hand"}, "push_n is -1.0; use 0 for none"),
        ({"push_s": 0.0}, "push_s is 0.0; use a positive"),
        ({"obs_noise": {"joint_pos": -0.1}}, "obs_noise of joint_pos is -0.1"),
        ({"mass": (0.0, 1.0)}, "mass is"),
        ({"friction": (2.0, 1.0)}, "low <= high"),
        ({"latency_steps": (2, 1)}, "latency_steps"),
        ({"latency_steps": (-1, 1)}, "latency_steps"),
        ({"push_n": 1.0}, "push_body"),
    ],
)
def test_ranges_that_mean_nothing_are_refused(spread, message):
    with pytest.raises(ValueError, match=message):
        Randomization(**spread)


# ---- what it does ---------------------------------------------------------------------------------


class Varied(Reach):
    """`reach` with a spread of one's own."""

    spread = Randomization()

    def randomization(self, preset):
        return self.spread


def varied(tmp_path, num_envs=4, **spread):
    task = Varied(ReachConfig())
    task.spread = Randomization(**spread)
    return BatchEnv(task, EnvConfig(num_envs, fault_dir=str(tmp_path)))


def test_derived_constants_follow(tmp_path):
    env = varied(tmp_path, mass=(0.5, 2.0))
    mass, subtree = env.physics.model_field("body_mass"), env.physics.model_field("body_subtreemass")
    torch.testing.assert_close(subtree[:, 0], mass.sum(-1))
    assert len(torch.unique(subtree[:, 0])) == env.num_envs


def test_every_episode_is_drawn_anew_and_the_others_stay(tmp_path):
    env = varied(tmp_path, mass=(0.5, 2.0))
    first = env.physics.model_field("body_mass")
    env.reset(mask=torch.tensor([True, False, False, False]))
    second = env.physics.model_field("body_mass")
    assert not torch.equal(first[0], second[0]) and torch.equal(first[1:], second[1:])
    env.reset(seed=0)
    assert torch.equal(first, env.physics.model_field("body_mass"))


def test_latency_delays_the_action(tmp_path):
    """With a delay of k steps the servos hold for k steps, then the actions come in their order."""
    delayed, prompt = varied(tmp_path, latency_steps=(2, 2)), varied(tmp_path)
    drawn = actions(delayed, 4)
    still = torch.zeros_like(drawn[0])
    for sent, same_as in zip(drawn, (still, still, drawn[0], drawn[1]), strict=True):
        a, b = delayed.step(sent)[0], prompt.step(same_as)[0]
        assert torch.equal(a["observation"], b["observation"])


def test_latency_is_drawn_per_environment(tmp_path):
    delayed, prompt = varied(tmp_path, 32, latency_steps=(0, 1)), varied(tmp_path, 32)
    action = actions(delayed)[0]
    a, b = delayed.step(action)[0]["observation"], prompt.step(action)[0]["observation"]
    num_same = int((a == b).all(-1).sum())
    assert 8 <= num_same <= 24  # half of 32, deviation 2.8


def test_pushes_move_the_body_and_are_forgotten(tmp_path):
    pushed, free = varied(tmp_path, 16, push_n=80.0, push_body="fr3_link5", push_s=0.1), varied(tmp_path, 16)
    still = torch.zeros(16, pushed.num_actions)
    forces = []
    for _ in range(10):
        a, b = pushed.step(still)[0], free.step(still)[0]
        forces.append(pushed.physics.field("xfrc_applied").clone())
    force = torch.stack(forces)
    body = pushed.physics.model.body("fr3_link5").id
    others = [k for k in range(pushed.physics.model.nbody) if k != body]
    assert (force[:, :, others] == 0.0).all() and (force[:, :, body, 3:] == 0.0).all()
    pushes = force[:, :, body, :3]
    share = float((pushes != 0.0).any(-1).float().mean())
    expected = pushed.task.config.step_dt / 0.1
    assert abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / 160)
    assert 40.0 < float(torch.linalg.vector_norm(pushes, dim=-1).max()) <= 80.0
    gap = torch.linalg.vector_norm(a["achieved_goal"] - b["achieved_goal"], dim=-1)
    assert float(gap.max()) > 1e-3
    pushed.reset()
    assert (pushed.physics.field("xfrc_applied") == 0.0).all()


def test_noise_is_on_observations_alone(tmp_path):
    noisy, clean = varied(tmp_path, 64, obs_noise={"joint_vel": 0.01}), varied(tmp_path, 64)
    drawn = actions(noisy)
    for action in drawn:
        a, b = noisy.step(action), clean.step(action)
    names = np.array(noisy.spec.obs["observation"].names)
    error = (a[0]["observation"] - b[0]["observation"]).numpy()
    is_noisy = np.char.startswith(names, "joint_vel")
    assert is_noisy.any() and (error[:, ~is_noisy] == 0.0).all()
    assert error[:, is_noisy].std() == pytest.approx(0.01, rel=0.15)
    assert torch.equal(a[1], b[1]) and torch.equal(a[0]["achieved_goal"], b[0]["achieved_goal"])


def test_noise_of_an_unknown_quantity_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"obs_noise.*'joint_pso'.*joint_pos"):
        varied(tmp_path, obs_noise={"joint_pso": 0.01})


def test_push_of_an_unknown_body_is_told(tmp_path):
    with pytest.raises(ValueError, match="no body 'lnk5'"):
        varied(tmp_path, push_n=1.0, push_body="lnk5")


@pytest.mark.parametrize("name", sorted(TASKS))
def test_presets_of_tasks_differ(name):
    task = task_class(name)()
    assert task.randomization("nominal") == NOMINAL
    spread = task.randomization("randomised")
    assert spread != NOMINAL and spread.mass[0] < 1.0 < spread.mass[1]
    assert spread.push_n > 0.0 and spread.push_body
    assert RANDOMISED.mass[0] < 1.0 < RANDOMISED.mass[1]
