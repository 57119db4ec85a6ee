import gc
import importlib.util
import os
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest

from perception_tools.geometry import Intrinsics, Transform
from sim import gl_thread, rendering
from sim.camera import DepthNoiseConfig, SimCamera, SimCameraConfig, add_depth_noise, depth_sigma_m
from sim.looks import _lab
from sim.objects import COLORS, sample_object
from sim.rendering import Renderer, RenderingUnavailable, TruthRenderer
from sim.robot import SimRobot
from sim.robots.fr3 import FR3
from sim.scene import SceneConfig, TabletopScene, place, sample_layout
from tests.sim.rendezvous import Rendezvous

ROOT = Path(__file__).resolve().parents[2]
NOISELESS = SimCameraConfig(noise=DepthNoiseConfig(enabled=False))


def load_suite(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / "contracts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CameraSuite = load_suite("camera_suite").CameraSuite


def make_scene(seed=0, colors=("red", "blue", "green", "yellow"), robot=FR3):
    rng = np.random.default_rng(seed)
    shapes = ("sphere", "box", "bowl", "cylinder", "sphere", "box")
    objects = [
        sample_object(rng, f"{c}_{s}", s, c) for c, s in zip(colors, shapes[: len(colors)], strict=True)
    ]
    config = SceneConfig()
    scene = TabletopScene(sample_layout(rng, place(rng, objects, config), config), config, robot)
    assert scene.settle()
    return scene


@pytest.fixture(scope="module")
def scene():
    return make_scene()


@pytest.fixture(scope="module")
def renderer(scene):
    try:
        rendering.rendering_backend()
    except RenderingUnavailable as error:
        pytest.skip(str(error))
    renderer = TruthRenderer(scene.model, scene.data, scene.lock)
    yield renderer
    renderer.close()


@pytest.mark.render
class TestSceneCamera(CameraSuite):
    @pytest.fixture(params=[SimCameraConfig(), NOISELESS], ids=["noise", "noiseless"])
    def camera(self, renderer, request):
        return SimCamera("scene", renderer, request.param)

    @pytest.fixture
    def plane_z_m(self):
        return 0.0

    @pytest.fixture
    def landmark(self, scene):
        center, _ = scene.object_pose("red_sphere")
        return center, center[2]  # a ball rests at its radius


@pytest.fixture(scope="module")
def wrist_scene(renderer):
    """A scene of its own, with the ball hung 0.35 m in front of the hand."""
    scene = make_scene()
    truth = Renderer(scene.model, scene.data, scene.lock)
    scene.set_object_pose("red_sphere", truth.view("wrist").T_world_camera @ [0.02, 0.03, 0.35])
    yield scene, truth
    truth.close()


@pytest.mark.render
class TestWristCamera(CameraSuite):
    @pytest.fixture
    def camera(self, wrist_scene):
        return SimCamera("wrist", wrist_scene[1])

    @pytest.fixture
    def plane_z_m(self):
        return 0.0

    @pytest.fixture
    def landmark(self, wrist_scene):
        ball = next(o for o in wrist_scene[0].objects if o.name == "red_sphere")
        return wrist_scene[0].object_pose("red_sphere")[0], ball.size_m[0] / 2


# ---- what is drawn ------------------------------------------------------------------------------


@pytest.mark.render
@pytest.mark.parametrize("camera", ["scene", "wrist"])
def test_depth_agrees_with_ray_casting(scene, renderer, camera):
    """Away from edges, depth along the pixel's ray equals MuJoCo's exact ray distance within 1.5 mm."""
    view = renderer.view(camera)
    rng = np.random.default_rng(0)
    groups = np.array([1, 1, 1, 0, 0, 0], np.uint8)
    hit, errors = np.zeros(1, np.int32), []
    for v, u in rng.integers([2, 2], [478, 638], (400, 2)):
        patch = view.depth_m[v - 1 : v + 2, u - 1 : u + 2]
        if not patch.all() or np.ptp(patch) > 0.01:
            continue
        ray = view.T_world_camera.rotate(view.intrinsics.deproject([u, v], 1.0))
        eye = view.T_world_camera.position_m
        norm = np.linalg.norm(ray)
        with scene.lock:
            distance = mujoco.mj_ray(scene.model, scene.data, eye, ray / norm, groups, True, -1, hit)
        errors.append(abs(distance / norm - view.depth_m[v, u]))
    assert len(errors) > 250
    assert np.quantile(errors, 0.99) < 1.5e-3 and np.median(errors) < 3e-4


@pytest.mark.render
def test_segmentation_outlines_project_where_objects_are(scene, renderer):
    view, bodies = renderer.view("scene"), renderer.segmentation("scene")
    for obj in scene.objects:
        position, _ = scene.object_pose(obj.name)
        u, v = view.intrinsics.project(view.T_world_camera.inverse() @ position)
        rows, columns = np.nonzero(bodies == scene.model.body(obj.name).id)
        assert abs(columns.mean() - u) < 6 and abs(rows.mean() - v) < 12


@pytest.mark.render
def test_collision_geoms_are_not_drawn(renderer, scene):
    spec = mujoco.MjSpec()
    spec.worldbody.add_camera(name="c", pos=[0, 0, 1])
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[2, 2, 0.1])
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.1, 0, 0], pos=[0, 0, 0.3], group=3)
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 64, 48
    model = spec.compile()
    view = Renderer(model, mujoco.MjData(model), threading.RLock(), width=64, height=48).view("c")
    assert view.depth_m[24, 32] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.render
def test_beyond_the_range_is_invalid(scene):
    near = Renderer(scene.model, scene.data, scene.lock, max_depth_m=1.0)
    depth_m = near.view("scene").depth_m
    assert (depth_m == 0).any() and (depth_m > 0).any() and depth_m.max() <= 1.0
    near.close()


@pytest.mark.render
def test_colors_are_true_under_the_lights():
    """The median colour of every object is nearest (CIELAB, lightness at 0.4) to the colour of its name.

    Shade blurs light and dark, so a few may slip (white in shade is gray); never more than 4 %.
    """
    names = list(COLORS)
    reference = np.array([_lab(COLORS[n]) for n in names])
    wrong, total = Counter(), 0
    for seed in range(12):
        colors = tuple(np.random.default_rng(seed).permutation(names)[:6])
        scene = make_scene(seed, colors, robot=None)
        truth = TruthRenderer(scene.model, scene.data, scene.lock)
        rgb, bodies = truth.view("scene", with_depth=False).rgb, truth.segmentation("scene")
        for obj in scene.objects:
            pixels = rgb[bodies == scene.model.body(obj.name).id]
            seen = np.median([_lab(tuple(p / 255)) for p in pixels[:: max(1, len(pixels) // 50)]], axis=0)
            distance = np.linalg.norm((reference - seen) * [0.4, 1, 1], axis=1)
            total += 1
            if names[int(np.argmin(distance))] != obj.color:
                wrong[obj.color, names[int(np.argmin(distance))]] += 1
        truth.close()
    assert total == 72
    assert sum(wrong.values()) <= 0.04 * total, wrong


@pytest.mark.render
def test_smaller_images_show_the_same(scene, renderer):
    """Halved intrinsics: a landmark projects to half the pixel (pixel centres at integers)."""
    large, small = renderer.view("scene"), renderer.view("scene", width=320)
    assert small.rgb.shape == (240, 320, 3) and small.depth_m.shape == (240, 320)
    expected = large.intrinsics.resize(320, 240)
    assert small.intrinsics.fx == pytest.approx(expected.fx)
    assert small.intrinsics.cx == pytest.approx(expected.cx)
    averaged = large.rgb.reshape(240, 2, 320, 2, 3).mean((1, 3))
    assert np.abs(averaged - small.rgb).mean() < 3
    with pytest.raises(ValueError, match="640"):
        renderer.view("scene", width=641)


@pytest.mark.render
def test_renderers_do_not_disturb_each_other(scene, renderer):
    reference = renderer.view("scene").rgb
    others = [Renderer(scene.model, scene.data, scene.lock) for _ in range(2)]
    for one in (*others, renderer, others[0]):
        assert (one.view("scene").rgb == reference).all()
    others[0].close()
    assert (renderer.view("scene").rgb == reference).all()
    assert (others[1].view("scene").rgb == reference).all()


@pytest.mark.render
def test_many_threads_can_render(renderer):
    reference = renderer.view("scene").rgb
    with ThreadPoolExecutor(6) as pool:
        views = list(pool.map(lambda _: renderer.view("scene").rgb, range(12)))
    assert all((v == reference).all() for v in views)


@pytest.mark.render
def test_rendering_while_the_caller_holds_the_physics_lock(scene, renderer):
    with scene.lock:
        assert renderer.view("scene").rgb.any()


@pytest.mark.render
@pytest.mark.parametrize("what", ["view", "segmentation"])
def test_capturing_never_holds_up_a_listener_that_renders(renderer, what):
    """A listener renders with the physics lock held while another thread captures with the same renderer."""
    scene, physics = make_scene(colors=("red",)), Rendezvous()
    robot = SimRobot(scene.model, scene.data, FR3, lock=physics)  # pyright: ignore[reportArgumentType]
    truth = TruthRenderer(scene.model, scene.data, physics)

    def listen(_):
        physics.meet()
        truth.view("scene", with_depth=False, width=64)

    robot.add_listener(0.01, listen)
    assert physics.both_end(lambda: robot.sleep(0.05), lambda: getattr(truth, what)("scene"))
    truth.close()


def test_captures_at_once_do_not_share_their_noise(scene, monkeypatch):
    """Both threads meet where the generator is made: each must have its own frame index by then."""
    depth_m = np.ones((480, 640), np.float32)
    view = rendering.RawView(
        np.zeros((480, 640, 3), np.uint8),
        depth_m,
        Intrinsics.from_fovy(0.8, 640, 480),
        Transform.identity("world", "camera:scene"),
        0.0,
    )
    meeting, keys, make = threading.Barrier(2, timeout=30.0), [], np.random.default_rng

    def make_together(key):
        keys.append(key)
        meeting.wait()
        return make(key)

    quiet = Renderer(scene.model, scene.data, scene.lock)
    monkeypatch.setattr(quiet, "view", lambda name: view)
    camera = SimCamera("scene", quiet, seed=3)
    monkeypatch.setattr("sim.camera.np.random.default_rng", make_together)
    with ThreadPoolExecutor(2) as pool:
        frames = list(pool.map(lambda _: camera.capture(), range(2)))
    assert len(set(keys)) == 2
    assert (frames[0].depth_m != frames[1].depth_m).any()


@pytest.mark.render
def test_a_closed_renderer_says_so(scene):
    renderer = Renderer(scene.model, scene.data, scene.lock)
    renderer.view("scene")
    renderer.close()
    renderer.close()
    with pytest.raises(RuntimeError, match="closed"):
        renderer.view("scene")


def test_unknown_camera_lists_the_valid_ones(scene):
    renderer = Renderer(scene.model, scene.data, scene.lock)
    with pytest.raises(ValueError, match=r"scene.*wrist|wrist.*scene"):
        renderer.view("left")
    with pytest.raises(ValueError, match="scene"):
        SimCamera("left", renderer)


def test_too_large_images_are_refused(scene):
    with pytest.raises(ValueError, match="offwidth"):
        Renderer(scene.model, scene.data, scene.lock, width=4000, height=3000)


def test_camera_and_renderer_sizes_must_agree(scene):
    with pytest.raises(ValueError, match="640x480"):
        SimCamera(
            "scene", Renderer(scene.model, scene.data, scene.lock), SimCameraConfig(width=320, height=240)
        )


# ---- truth stays on the judge's side ------------------------------------------------------------


def reachable(root, limit=5000):
    """Objects of this project that can be reached from `root` through attributes and closures."""
    seen, todo = {}, [root]
    while todo and len(seen) < limit:
        item = todo.pop()
        if id(item) in seen:
            continue
        seen[id(item)] = item
        for child in gc.get_referents(item):
            if type(child).__module__.startswith(("sim.", "perception_tools.", "policies.")):
                todo.append(child)
            elif isinstance(child, dict | tuple | list) or (callable(child) and hasattr(child, "__self__")):
                todo.append(child)
    return list(seen.values())


def test_segmentation_is_not_reachable_from_a_camera(scene):
    truth = TruthRenderer(scene.model, scene.data, scene.lock)
    assert any(isinstance(o, Renderer) for o in reachable(SimCamera("scene", truth)))  # the walk works
    camera = SimCamera("scene", Renderer(scene.model, scene.data, scene.lock))
    for item in reachable(camera):
        assert not isinstance(item, TruthRenderer)
        assert type(item) is type or not hasattr(item, "segmentation"), item


def test_frames_carry_no_truth():
    from perception_tools.camera import RgbdFrame

    assert {"rgb", "depth_m", "intrinsics", "T_world_camera", "stamp_s", "source"} == set(
        RgbdFrame.__dataclass_fields__
    )


def test_tools_planners_and_policies_never_name_the_truth_renderer():
    for room in ("perception_tools", "vlm_agent", "policies"):
        for path in (ROOT / room).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert "TruthRenderer" not in text and ".segmentation(" not in text, path


# ---- without GL ---------------------------------------------------------------------------------

SCRIPT = """
from sim.rendering import RenderingUnavailable, rendering_backend
from sim.tabletop import TabletopWorld
world = TabletopWorld()
episode = world.reset(0)
episode.robot.sleep(0.1)
print(world.judge().reason)
try:
    frame = episode.cameras["scene"].capture()
    print("OK", rendering_backend(), int(frame.rgb.mean()))
except RenderingUnavailable as error:
    print("UNAVAILABLE", error)
world.close()
"""


def run_script(**environment):
    env = {k: v for k, v in os.environ.items() if k not in ("MUJOCO_GL", "PYOPENGL_PLATFORM")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=env | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_gl_state_works_and_pictures_say_what_is_off():
    out = run_script(MUJOCO_GL="disabled")
    assert "is not" in out.splitlines()[0]
    assert "UNAVAILABLE rendering is switched off by MUJOCO_GL=disabled" in out


def test_falls_back_to_osmesa_or_names_the_packages():
    """EGL is broken on purpose by a device that does not exist."""
    out = run_script(MUJOCO_EGL_DEVICE_ID="99")
    assert "OK osmesa" in out or ("UNAVAILABLE" in out and "libosmesa6" in out)


FORK = """
import os, sys
from sim.rendering import RenderingUnavailable
from sim.tabletop import TabletopWorld
world = TabletopWorld()
world.reset(0).cameras["scene"].capture()
child = os.fork()
if child == 0:
    try:
        TabletopWorld().reset(0).cameras["scene"].capture()
    except RenderingUnavailable as error:
        os._exit(7 if "spawn" in str(error) else 8)
    os._exit(9)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.render
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_says_that_it_cannot_render(renderer):
    """Rather than hang: Mesa's threads are gone in the child."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 7, done.stderr


def test_both_backends_missing_names_the_packages(monkeypatch):
    def broken(backend):
        raise ImportError(f"no lib{backend}\nand more lines")

    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(gl_thread, "_open_backend", broken)
    with pytest.raises(RenderingUnavailable) as error:
        gl_thread._create_context()
    text = str(error.value)
    assert "apt-get install libegl1" in text and "libosmesa6" in text and "no libegl" in text
    assert "\n" not in text
    assert "MUJOCO_GL" not in os.environ


# ---- the depth sensor's errors ------------------------------------------------------------------

INTRINSICS = Intrinsics.from_fovy(0.75, 160, 120)


def wall(depth=1.0):
    return np.full((120, 160), depth, np.float32)


@pytest.mark.parametrize("depth", [0.5, 1.0, 2.0])
def test_noise_has_the_stated_deviation(depth):
    config = DepthNoiseConfig()
    noisy = add_depth_noise(wall(depth), INTRINSICS, config, np.random.default_rng(0))
    errors = noisy[noisy > 0] - depth
    assert errors.std() == pytest.approx(float(depth_sigma_m(depth, config)), rel=0.06)
    assert abs(errors.mean()) < 0.1 * errors.std()


def test_noise_grows_with_the_square_of_the_distance():
    """floor + k z^2: from 1 m to 2 m the second term is four times as large."""
    config = replace(DepthNoiseConfig(), sigma_floor_m=0.0)
    assert depth_sigma_m(2.0, config) == pytest.approx(4 * depth_sigma_m(1.0, config))


def test_noise_repeats_with_the_seed():
    results = [
        add_depth_noise(wall(), INTRINSICS, DepthNoiseConfig(), np.random.default_rng(s)) for s in (1, 1, 2)
    ]
    assert np.array_equal(results[0], results[1]) and not np.array_equal(results[0], results[2])


def test_pixels_drop_out_at_steps_only():
    step = wall(1.0)
    step[:, 80:] = 0.8
    noisy = add_depth_noise(step, INTRINSICS, DepthNoiseConfig(), np.random.default_rng(0))
    invalid = (noisy == 0).mean(axis=0)
    assert invalid[79:81].mean() > 0.3
    assert invalid[:70].mean() < 0.01 and invalid[90:].mean() < 0.01


def test_grazing_surfaces_drop_out():
    """A floor 2 cm below the camera's axis is seen at 1 - 3 deg, one 0.3 m below steeply enough."""
    rows = np.arange(120, dtype=np.float32)[:, None] - INTRINSICS.cy
    ray_y = np.maximum(rows / INTRINSICS.fy, 1e-6)
    for height, is_valid in ((0.02, False), (0.3, True)):
        depth = np.broadcast_to(height / ray_y, (120, 160)).astype(np.float32).copy()
        depth[depth > 2.5] = 0
        usable = depth > 0
        config = replace(DepthNoiseConfig(), grazing_deg=75.0, lateral_px=0.0, edge_step=1.0)
        noisy = add_depth_noise(depth, INTRINSICS, config, np.random.default_rng(0))
        steep = usable & (np.rad2deg(np.arctan(ray_y)) > 17)
        shallow = usable & (np.rad2deg(np.arctan(ray_y)) < 13)
        if is_valid:
            assert (noisy[steep] > 0).mean() > 0.95
        assert (noisy[shallow] > 0).mean() < 0.05


def test_range_limits():
    config = DepthNoiseConfig(min_depth_m=0.3, max_depth_m=1.5)
    for depth in (0.2, 1.7):
        assert not add_depth_noise(wall(depth), INTRINSICS, config, np.random.default_rng(0)).any()


@pytest.mark.render
def test_noise_can_be_switched_off(renderer):
    raw = renderer.view("scene")
    frame = SimCamera("scene", renderer, NOISELESS).capture()
    assert np.array_equal(frame.depth_m, raw.depth_m) and np.array_equal(frame.rgb, raw.rgb)
    noisy = SimCamera("scene", renderer).capture()
    assert not np.array_equal(noisy.depth_m, raw.depth_m)


@pytest.mark.render
def test_frames_of_equal_seeds_are_equal(renderer):
    a, b, c = (SimCamera("scene", renderer, seed=s) for s in (1, 1, 2))
    first = a.capture()
    assert np.array_equal(first.depth_m, b.capture().depth_m)
    assert not np.array_equal(first.depth_m, a.capture().depth_m)  # the next frame has new noise
    assert not np.array_equal(first.depth_m, c.capture().depth_m)
