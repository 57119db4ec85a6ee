import mujoco
import numpy as np
import pytest

from sim.looks import _lab
from sim.objects import sample_object
from sim.robots.fr3 import FR3
from sim.scene import (
    PlacedObject,
    PlacementError,
    SceneConfig,
    TabletopScene,
    gap_between,
    place,
    sample_layout,
    viewer_axes,
)


def some_objects(seed, shapes=("box", "cylinder", "sphere", "mug", "bowl", "tray"), color="red"):
    rng = np.random.default_rng(seed)
    return [sample_object(rng, f"{color}_{s}_{k}", s, color) for k, s in enumerate(shapes)]


def make_scene(seed=0, robot=None, **config):
    rng = np.random.default_rng(seed)
    settings = SceneConfig(**config)
    return TabletopScene(
        sample_layout(rng, place(rng, some_objects(seed), settings), settings), settings, robot
    )


@pytest.mark.parametrize("seed", range(8))
def test_placement_respects_region_and_gaps(seed):
    config = SceneConfig()
    placed = place(np.random.default_rng(seed), some_objects(seed), config)
    for k, a in enumerate(placed):
        x, y, _ = a.position_m
        assert config.region_x[0] <= x <= config.region_x[1]
        assert config.region_y[0] <= y <= config.region_y[1]
        for b in placed[k + 1 :]:
            assert gap_between(a, b) >= config.gap_m - 0.004  # outlines are sampled every 4 mm


def test_gap_of_two_boxes_by_hand():
    """Two 4 cm cubes, 10 cm apart along x: the gap is 10 - 2 * 2 = 6 cm; turned by 45 deg, 10 - 2 * 2.83."""
    cube = sample_object(np.random.default_rng(0), "a", "box", "red")
    cube = type(cube)("a", "box", "red", cube.rgb, (0.04, 0.04, 0.04), 0.05)
    for yaw, expected in ((0.0, 0.06), (np.pi / 4, 0.1 - 0.04 * np.sqrt(2))):
        a = PlacedObject(cube, (0.4, 0.0, 0.02), yaw)
        b = PlacedObject(cube, (0.5, 0.0, 0.02), yaw)
        assert gap_between(a, b) == pytest.approx(expected, abs=2e-3)


def test_too_many_objects_are_refused():
    trays = some_objects(0, shapes=("tray",) * 12)
    with pytest.raises(PlacementError, match="12 objects"):
        place(np.random.default_rng(0), trays, SceneConfig(), attempts=30)


@pytest.mark.parametrize("seed", range(6))
def test_settles_without_drifting(seed):
    scene = make_scene(seed, FR3)
    assert scene.settle()
    for placed in scene.layout.objects:
        position, quat = scene.object_pose(placed.spec.name)
        assert np.linalg.norm(position - placed.position_m) < 2e-3
        assert 1 - 2 * (quat[1] ** 2 + quat[2] ** 2) > 0.999  # body z stays up


def test_the_arm_rests_at_home_beside_the_objects():
    scene = make_scene(0, FR3)
    with_arm = scene.data.qpos.copy()
    scene.settle()
    home = [scene.data.joint(n).qpos[0] for n in FR3.limits.joint_names]
    assert np.allclose(home, FR3.home, atol=2e-3)
    assert np.abs(scene.data.qpos - with_arm).max() < 5e-3


def test_same_seed_same_scene():
    a, b = make_scene(5, FR3), make_scene(5, FR3)
    assert a.layout == b.layout
    assert np.array_equal(a.model.tex_data, b.model.tex_data)
    a.settle(), b.settle()
    assert np.array_equal(a.data.qpos, b.data.qpos)
    assert make_scene(6).layout != a.layout


def test_table_differs_from_every_object():
    for seed in range(20):
        layout = make_scene(seed).layout
        table = _lab(layout.look.table_rgb)
        assert min(np.linalg.norm(table - _lab(o.spec.rgb)) for o in layout.objects) > 20


def test_table_top_is_at_zero():
    scene = make_scene(0)
    ray_hit = np.zeros(1, np.int32)
    down = mujoco.mj_ray(
        scene.model, scene.data, np.array([0.1, 0.5, 1.0]), np.array([0, 0, -1.0]), None, True, -1, ray_hit
    )
    assert down == pytest.approx(1.0, abs=1e-6)
    assert scene.model.geom(int(ray_hit[0])).name == "table"


def test_viewer_axes_by_hand():
    """Seen from (1.35, 0) towards the robot (-x), the robot's left (+y) is the viewer's right."""
    right, away = viewer_axes(make_scene(0, camera_jitter_m=0.0).layout)
    assert np.allclose(right, [0, 1]) and np.allclose(away, [-1, 0])


def test_object_pose_lists_valid_names():
    scene = make_scene(0)
    with pytest.raises(ValueError, match="red_box_0"):
        scene.object_pose("green_box")


def test_teleport_moves_only_that_object():
    scene = make_scene(0)
    before = scene.data.qpos.copy()
    scene.set_object_pose("red_sphere_2", np.array([0.1, 0.4, 0.5]))
    position, _ = scene.object_pose("red_sphere_2")
    assert np.allclose(position, [0.1, 0.4, 0.5])
    assert (scene.data.qpos != before).sum() == 3
