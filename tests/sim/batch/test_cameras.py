"""Camera observations: metric depth, geom ids and colours of every environment, equal on both backends."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import itertools
import threading
from dataclasses import replace

import mujoco
import numpy as np
import pytest
import torch

from sim.batch.cameras import PARTS, BatchCameras
from sim.batch.env import BatchEnv, EnvConfig
from sim.batch.physics import PhysicsConfig, make_physics
from sim.batch.randomize import Randomization
from sim.rendering import Renderer, RenderingUnavailable, rendering_backend
from sim.tasks.reach import Reach, ReachConfig

SCENE = """
<mujoco>
  <worldbody>
    <light pos="0 0 3" dir="0 0 -1"/>
    <geom name="floor" type="plane" size="4 4 0.1" rgba="0.6 0.6 0.6 1"/>
    <geom name="box" type="box" size="0.1 0.2 0.05" pos="0.1 0 0.05" rgba="0.8 0.1 0.1 1"/>
    <geom name="hull" type="box" size="0.3 0.3 0.3" pos="0 0 0.3" group="3"/>
    <geom name="goal" type="sphere" size="0.1" pos="0 0 0.5" group="1" rgba="0 1 0 0.5" contype="0"/>
    <body name="ball" pos="-0.2 0.1 0.1">
      <freejoint/>
      <geom name="ball" type="sphere" size="0.08" rgba="0.1 0.1 0.9 1"/>
    </body>
    <camera name="down" pos="0 0 1" fovy="60"/>
    <camera name="slant" pos="0.9 -0.7 0.6" xyaxes="0.61 0.79 0 -0.33 0.26 0.91" fovy="45"/>
    <camera name="up" pos="0 0 1" xyaxes="1 0 0 0 -1 0"/>
  </worldbody>
</mujoco>
"""
WIDTH, HEIGHT = 80, 60
BACKENDS = ("cpu", "warp")


@pytest.fixture(scope="module")
def model():
    return mujoco.MjModel.from_xml_string(SCENE)


@pytest.fixture(scope="module", params=[pytest.param("cpu", marks=pytest.mark.render), "warp"])
def backend(request):
    return need(request.param)


def need(backend: str) -> str:
    if backend == "warp":
        pytest.importorskip("mujoco_warp", reason="the package mujoco-warp is not installed")
        return backend
    try:
        rendering_backend()
    except RenderingUnavailable as error:
        pytest.skip(str(error))
    return backend


@pytest.fixture(scope="module")
def physics(model, backend):
    physics = make_physics(model, 3, PhysicsConfig(backend=backend))
    yield physics
    physics.close()


@pytest.fixture(autouse=True)
def _initial_state(request):
    yield
    if "physics" in request.fixturenames:
        physics = request.getfixturevalue("physics")
        physics.reset(torch.arange(physics.num_envs), {})


def images(physics, camera: str, ids=None, **settings) -> dict[str, torch.Tensor]:
    cameras = BatchCameras(physics, camera, WIDTH, HEIGHT, parts=PARTS, **settings)
    try:
        return cameras.render(ids)
    finally:
        cameras.close()


def test_images_have_one_row_per_env(physics):
    out = images(physics, "slant")
    assert list(out) == list(PARTS)
    assert (out["rgb"].dtype, tuple(out["rgb"].shape)) == (torch.uint8, (3, HEIGHT, WIDTH, 3))
    assert (out["depth_m"].dtype, tuple(out["depth_m"].shape)) == (torch.float32, (3, HEIGHT, WIDTH))
    assert (out["segmentation"].dtype, tuple(out["segmentation"].shape)) == (torch.int32, (3, HEIGHT, WIDTH))


def test_depth_is_along_the_optical_axis(physics, model):
    """From 1 m above, the floor is 1 m deep in the corners too, and the box's top (z = 0.1) 0.9 m."""
    out = images(physics, "down")
    depth_m, ids = out["depth_m"][0], out["segmentation"][0]
    floor, box = (ids == model.geom(name).id for name in ("floor", "box"))
    assert floor[0, 0] and floor[-1, -1]
    assert depth_m[floor].numpy() == pytest.approx(1.0, abs=2e-3)
    top = depth_m[box].median()
    assert top.item() == pytest.approx(0.9, abs=1e-3)


def test_pixels_are_where_the_intrinsics_say(physics, model):
    """x right, y down: the box lies at +x of the world, which is right; its centre projects onto it."""
    cameras = BatchCameras(physics, "down", WIDTH, HEIGHT, parts=("segmentation",))
    k = cameras.intrinsics
    box = np.argwhere(cameras.render()["segmentation"][0].numpy() == model.geom("box").id)
    v, u = box.mean(0)
    assert u == pytest.approx(k.cx + k.fx * 0.1 / 0.9, abs=0.6)
    assert v == pytest.approx(k.cy, abs=0.6)
    height = box[:, 0].max() - box[:, 0].min() + 1
    assert height == pytest.approx(k.fy * 0.4 / 0.9, abs=1.1)
    cameras.close()


def test_hulls_and_goal_markers_are_not_seen(physics, model):
    seen = set(images(physics, "down")["segmentation"].unique().tolist())
    assert seen == {model.geom(name).id for name in ("floor", "box", "ball")}


def test_where_nothing_is_in_range_depth_is_zero(physics):
    out = images(physics, "up")
    assert not out["depth_m"].any()
    assert (out["segmentation"] == -1).all()
    near = images(physics, "down", max_depth_m=0.95)
    assert 0.85 < near["depth_m"].max() < 0.95
    assert not near["depth_m"][:, 0, 0].any()


def test_colours_are_the_geoms(physics, model):
    out = images(physics, "down")
    for name, channel in (("box", 0), ("ball", 2)):
        rgb = out["rgb"][0][out["segmentation"][0] == model.geom(name).id].float().mean(0)
        assert rgb.argmax() == channel
        assert rgb[channel] > 2 * rgb[1]


def test_every_env_shows_its_own_state_and_model(physics, model):
    qpos = physics.field("qpos")[1:2].clone()
    qpos[:, 0] += 0.25
    physics.write(torch.tensor([1]), {"qpos": qpos})
    rgba, pos = physics.model_field("geom_rgba"), physics.model_field("cam_pos")
    rgba[2, model.geom("box").id] = torch.tensor([0.1, 0.8, 0.1, 1.0])
    pos[2, model.camera("down").id, 2] = 1.5
    physics.write_model(torch.tensor([2]), {"geom_rgba": rgba[2:], "cam_pos": pos[2:]})
    physics.reset(torch.tensor([2]), {})
    out = images(physics, "down")
    ball = [np.argwhere(image.numpy() == model.geom("ball").id)[:, 1].mean() for image in out["segmentation"]]
    assert ball[1] > ball[0] + 10
    colours = [
        out["rgb"][k][out["segmentation"][k] == model.geom("box").id].float().mean(0) for k in range(3)
    ]
    assert [int(c.argmax()) for c in colours] == [0, 0, 1]
    assert out["depth_m"][:, 0, 0].tolist() == pytest.approx([1.0, 1.0, 1.5], abs=3e-3)
    some = images(physics, "down", ids=torch.tensor([0, 2]))
    for part in PARTS:
        assert torch.equal(some[part], out[part][::2]), part
    original = {"geom_rgba": rgba[:1], "cam_pos": pos[:1]}
    physics.write_model(torch.tensor([2]), original)


def test_images_change_only_when_they_are_rendered_again(physics):
    cameras = BatchCameras(physics, "slant", WIDTH, HEIGHT)
    first = cameras.render()
    kept = {name: image.clone() for name, image in first.items()}
    qpos = physics.field("qpos")[:1].clone()
    qpos[:, 1] += 0.3
    physics.write(torch.tensor([0]), {"qpos": qpos})
    second = cameras.render()
    for name in kept:
        assert torch.equal(first[name], kept[name])
        assert not torch.equal(first[name], second[name])
    cameras.close()


@pytest.mark.render
@pytest.mark.parametrize("camera", ["down", "slant"])
def test_both_backends_see_the_same(model, camera):
    """Apart from single pixels at edges."""
    seen = []
    for backend in map(need, BACKENDS):
        physics = make_physics(model, 1, PhysicsConfig(backend=backend))
        seen.append(images(physics, camera))
        physics.close()
    gl, warp = seen
    same = gl["segmentation"] == warp["segmentation"]
    assert same.float().mean() > 0.98
    error_m = (gl["depth_m"] - warp["depth_m"]).abs()[same]
    assert error_m.quantile(0.99) < 2e-3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"camera": "front"}, "no camera 'front'; cameras: down, slant, up"),
        ({"width": 0}, "image size is 0x60; use positive numbers of pixels"),
        ({"parts": ["depth"]}, "parts is .'depth'.; use some of rgb, depth_m, segmentation"),
        ({"parts": []}, "use some of rgb, depth_m, segmentation"),
    ],
)
def test_bad_settings_are_refused(physics, change, message):
    settings = {"camera": "down", "width": WIDTH, "height": HEIGHT} | change
    with pytest.raises(ValueError, match=message):
        BatchCameras(physics, **settings)


def test_an_image_may_be_larger_than_the_models_buffer(physics, model):
    assert model.vis.global_.offwidth < 800
    cameras = BatchCameras(physics, "down", 800, 16, parts=("depth_m",))
    depth_m = cameras.render(torch.tensor([0]))["depth_m"]
    assert tuple(depth_m.shape) == (1, 16, 800)
    cameras.close()


# ---- textures -------------------------------------------------------------------------------------


class Textured(Reach):
    """`reach` where nothing varies but textures."""

    def randomization(self, preset):
        return Randomization(texture=0.7)


@pytest.fixture(scope="module")
def textured(backend, tmp_path_factory):
    config = EnvConfig(3, fault_dir=str(tmp_path_factory.mktemp("faults")))
    env = BatchEnv(Textured(ReachConfig(difficulty=0.0)), replace(config, physics=PhysicsConfig(backend)))
    yield env
    env.close()


def test_each_environment_shows_its_own_textures(textured):
    """Through one GL context, or one ray tracer; in the next episode others."""
    seen = [images(textured.physics, "view")["rgb"].float()]
    textured.reset()
    seen.append(images(textured.physics, "view")["rgb"].float())
    for a, b in itertools.combinations(torch.cat(seen), 2):
        assert float((a - b).abs().mean()) > 1.0


@pytest.mark.render
def test_textures_are_those_of_a_renderer_made_for_the_environment(textured):
    if textured.config.physics.backend == "warp":
        pytest.skip("Warp shades in its own way")
    shown = images(textured.physics, "view")["rgb"]
    for k in (2, 0):
        model, data = textured.physics.mj_data(k)
        model.vis.global_.offwidth, model.vis.global_.offheight = WIDTH, HEIGHT
        model.vis.quality.shadowsize = 512
        renderer = Renderer(model, data, threading.Lock(), width=WIDTH, height=HEIGHT)
        alone = renderer.view("view").rgb.astype(int)
        renderer.close()
        is_far_off = (np.abs(alone - shown[k].numpy()) > 8).any(-1)
        assert is_far_off.mean() < 0.02  # goal markers are drawn by one alone
