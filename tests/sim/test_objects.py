import mujoco
import numpy as np
import pytest

from sim.object_bodies import add_object, lathe_mesh, socket_mesh
from sim.objects import (
    COLORS,
    HELD_OUT_COLORS,
    SHAPES,
    SOCKET_FLOOR_M,
    TRAIN_COLORS,
    sample_object,
    sample_peg,
    sample_socket,
)
from sim.robots.fr3 import set_physics_options


def settle(obj, lift_m=0.002, seconds=1.0):
    """Drop one object on a plane; return model, data after `seconds`."""
    spec = mujoco.MjSpec()
    set_physics_options(spec)
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1, 1, 0.1])
    add_object(spec, obj, np.array([0, 0, obj.size_m[2] / 2 + lift_m]), 0.4)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, round(seconds / model.opt.timestep))
    return model, data


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("split", ["train", "held_out"])
@pytest.mark.parametrize("seed", range(4))
def test_settles_where_it_stands(shape, split, seed):
    obj = sample_object(np.random.default_rng(seed), "o", shape, "red", split=split)
    model, data = settle(obj)
    assert np.abs(data.qvel).max() < 1e-3
    assert np.linalg.norm(data.qpos[:2]) < 1e-3
    assert abs(data.qpos[2] - obj.size_m[2] / 2) < 5e-4
    upright = np.zeros(9)
    mujoco.mju_quat2Mat(upright, data.qpos[3:7])
    assert upright[8] > 0.9999
    assert model.body("o").mass[0] == pytest.approx(obj.mass_kg)


@pytest.mark.parametrize("shape", ["bowl", "mug", "tray"])
@pytest.mark.parametrize("split", ["train", "held_out"])
def test_containers_are_hollow(shape, split):
    """A small ball dropped over the middle comes to rest on the floor, inside."""
    spec = mujoco.MjSpec()
    set_physics_options(spec)
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1, 1, 0.1])
    obj = sample_object(np.random.default_rng(1), "o", shape, "red", split=split)
    add_object(spec, obj, np.array([0, 0, obj.size_m[2] / 2]), 0.0)
    ball = spec.worldbody.add_body(name="ball", pos=[0.004, 0.002, obj.size_m[2] + 0.02])
    ball.add_freejoint()
    ball.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.012, 0, 0], mass=0.02, condim=6)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, 1500)
    p_ball = data.body("ball").xpos
    # The floor is wall_m thick, so the ball's centre rests at wall_m + radius.
    assert p_ball[2] == pytest.approx(obj.wall_m + 0.012, abs=1e-3)
    assert np.hypot(*p_ball[:2]) < min(obj.size_m[:2]) / 2


@pytest.mark.parametrize("shape", ["bowl", "mug"])
def test_drawn_and_colliding_walls_agree(shape):
    """Rays from outside hit the mesh (group 2) and the wall segments (group 3) within 1.5 mm."""
    obj = sample_object(np.random.default_rng(2), "o", shape, "blue")
    model, data = settle(obj, lift_m=0.0, seconds=0.01)
    geom = np.zeros(1, np.int32)
    for angle in np.linspace(0.7, 2 * np.pi - 0.7, 15):  # the mug's handle points along +x
        for height in (0.25, 0.5, 0.8):
            eye = np.array([0.3 * np.cos(angle + 0.4), 0.3 * np.sin(angle + 0.4), height * obj.size_m[2]])
            ray = np.array([0.0, 0.0, eye[2]]) - eye
            ray /= np.linalg.norm(ray)
            hits = []
            for group in (2, 3):
                groups = np.zeros(6, np.uint8)
                groups[group] = 1
                hits.append(mujoco.mj_ray(model, data, eye, ray, groups, True, -1, geom))
            assert hits[0] > 0 and hits[1] > 0
            assert abs(hits[0] - hits[1]) < 1.5e-3


def test_lathe_mesh_is_closed_and_faces_outward():
    """A square profile is a cylinder: its signed volume is pi r^2 h (for 64 segments, 0.16 % less)."""
    profile = np.array([(0, 0), (1, 0), (1, 2), (0, 2)], dtype=float)
    vertices, faces = lathe_mesh(profile, segments=64)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    volume = np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6
    assert volume == pytest.approx(2 * np.pi, rel=2e-3)


def test_held_out_is_never_seen_in_training():
    assert not set(HELD_OUT_COLORS) & set(TRAIN_COLORS)
    assert set(HELD_OUT_COLORS) | set(TRAIN_COLORS) == set(COLORS)
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        ranges = {}
        for split in ("train", "held_out"):
            sizes = np.array([sample_object(rng, "o", shape, "red", split=split).size_m for _ in range(200)])
            ranges[split] = np.sort(sizes, axis=1)
        train, held_out = ranges["train"], ranges["held_out"]
        inside = ((held_out >= train.min(0)) & (held_out <= train.max(0))).all(axis=1)
        assert not inside.any(), shape


def test_unknown_names_list_the_valid_ones():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="cylinder"):
        sample_object(rng, "o", "pyramid", "red")
    with pytest.raises(ValueError, match="purple"):
        sample_object(rng, "o", "box", "mauve")


def test_everything_graspable_fits_the_gripper():
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        for split in ("train", "held_out"):
            for _ in range(50):
                assert sample_object(rng, "o", shape, "red", split=split).grasp_width_m < 0.075


@pytest.mark.parametrize("hole", ["square", "round"])
def test_a_peg_falls_into_its_socket_and_a_wider_one_does_not(hole):
    """2.5 mm of room on every side: let go over the hole it drops to the floor; 1 mm too wide, it stays."""
    rng = np.random.default_rng(3)
    socket = sample_socket(rng, "socket", "blue", hole)
    for clearance_m, inside in ((0.0025, True), (-0.0005, False)):
        peg = sample_peg(rng, "peg", "red", socket, clearance_m)
        spec = mujoco.MjSpec()
        set_physics_options(spec)
        spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1, 1, 0.1])
        add_object(spec, socket, np.array([0, 0, socket.size_m[2] / 2]), 0.3)
        z = socket.size_m[2] + peg.size_m[2] / 2 + 0.003
        add_object(spec, peg, np.array([0.001, 0.0005, z]), 0.3)
        model = spec.compile()
        data = mujoco.MjData(model)
        mujoco.mj_step(model, data, 600)
        bottom_m = data.body("peg").xpos[2] - peg.size_m[2] / 2
        floor_m = SOCKET_FLOOR_M if inside else socket.size_m[2]
        assert bottom_m == pytest.approx(floor_m, abs=1.5e-3)


@pytest.mark.parametrize("hole", ["square", "round"])
def test_a_socket_is_a_block_without_its_hole(hole):
    """The mesh is closed and faces outward: its volume is the block's minus the hole's; it rests still."""
    socket = sample_socket(np.random.default_rng(1), "o", "red", hole)
    vertices, faces = socket_mesh(socket)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    volume = np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6
    area = socket.hole_m**2 * (1.0 if hole == "square" else np.pi / 4)
    expected = np.prod(socket.size_m) - area * (socket.size_m[2] - SOCKET_FLOOR_M)
    assert volume == pytest.approx(expected, rel=2e-3)
    _, data = settle(socket)
    assert np.abs(data.qvel).max() < 1e-3 and abs(data.qpos[2] - socket.size_m[2] / 2) < 5e-4


@pytest.mark.parametrize("hole", ["square", "round"])
def test_a_sockets_drawn_and_colliding_faces_agree(hole):
    """Rays from above, over the hole and beside it, hit the mesh and the boxes within 1 mm."""
    socket = sample_socket(np.random.default_rng(2), "o", "blue", hole)
    model, data = settle(socket, lift_m=0.0, seconds=0.01)
    geom, turn = np.zeros(1, np.int32), np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    for x, y in np.random.default_rng(0).uniform(-0.045, 0.045, (400, 2)):
        inside = np.hypot(x, y) if hole == "round" else max(abs(x), abs(y))
        edge = min(abs(inside - socket.hole_m / 2), abs(max(abs(x), abs(y)) - socket.size_m[0] / 2))
        if edge < 5e-4:
            continue
        hits = []
        for group in (2, 3):
            groups = np.zeros(6, np.uint8)
            groups[group] = 1
            eye = np.array([*(turn @ [x, y]), 0.3])
            hits.append(mujoco.mj_ray(model, data, eye, np.array([0, 0, -1.0]), groups, True, -1, geom))
        assert hits[0] == pytest.approx(hits[1], abs=1e-3), (x, y)


def test_a_peg_needs_a_hole():
    rng = np.random.default_rng(0)
    block = sample_object(rng, "o", "box", "red")
    with pytest.raises(ValueError, match="no hole"):
        sample_peg(rng, "p", "blue", block)
