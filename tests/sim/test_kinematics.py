"""MujocoKinematics: the contract on the FR3, its parts against brute force, and motions that are executed."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import pairwise

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception_tools.geometry import Transform
from policies.motion import MotionError, Obstacles
from policies.robot import MotionOutcome, RobotState
from policies.safe_robot import SafeRobot
from policies.safety import SafetyConfig, SafetyFilter, Setpoint, scaled_limits
from sim import planning, timing
from sim.clearance import PointField, Poses, Primitive, lowest_z, observed_points, primitive_of
from sim.kinematics import KinematicsConfig, MujocoKinematics
from sim.robot import SimRobot
from sim.robots import fr3
from sim.robots.fr3 import FR3
from tests.contracts.kinematics_suite import KinematicsSuite, top_down, wall


@pytest.fixture(scope="module")
def kinematics():
    return MujocoKinematics(FR3)


class TestFr3Kinematics(KinematicsSuite):
    pass


# ---- reach ---------------------------------------------------------------------------------------


def test_top_down_grasps_over_the_table_are_reached(kinematics):
    rng = np.random.default_rng(0)
    failures = []
    low, high = [0.3, -0.3, 0.012, -np.pi / 2], [0.7, 0.3, 0.4, np.pi / 2]
    for sample in rng.uniform(low, high, (300, 4)):
        try:
            kinematics.inverse(top_down(*sample), kinematics.home, obstacles=Obstacles(support_z_m=0.0))
        except MotionError as error:
            failures.append((sample, str(error)))
    assert len(failures) <= 3, failures


def test_forward_is_the_simulated_hand(kinematics):
    model = fr3.fr3_spec().compile()
    data = mujoco.MjData(model)
    rng = np.random.default_rng(1)
    for row in rng.uniform(FR3.limits.lower, FR3.limits.upper, (20, 7)):
        data.qpos[:7] = row
        mujoco.mj_kinematics(model, data)
        pose = kinematics.forward(row)
        np.testing.assert_allclose(pose.position_m, data.site("ee").xpos, atol=1e-12)
        np.testing.assert_allclose(pose.rotation, data.site("ee").xmat.reshape(3, 3), atol=1e-9)


def test_self_collision_counts(kinematics):
    folded = np.array([0.0, -1.7, 0.0, -3.0, 0.0, 0.6, 0.0])  # the hand points back at the base
    assert kinematics.clearance(folded, Obstacles()) < 0 < kinematics.clearance(FR3.home, Obstacles())


def test_lowest_point_is_that_of_the_fingers(kinematics):
    posture = kinematics.inverse(top_down(0.5, 0.0, 0.1), FR3.home)
    expected = 0.1 - fr3.FINGERTIP_BEYOND_EE_M
    assert kinematics.lowest_point(posture) == pytest.approx(expected, abs=1e-3)


def test_held_box_belongs_to_the_robot_if_asked(kinematics):
    posture = kinematics.inverse(top_down(0.5, 0.0, 0.2), FR3.home)
    point = kinematics.forward(posture).position_m[None] + [0.0, 0.0, -0.04]
    assert not kinematics.on_robot(posture, point, padding_m=0.005)[0]
    assert kinematics.on_robot(posture, point, padding_m=0.005, held_size_m=(0.03, 0.03, 0.1))[0]
    assert not kinematics.on_robot(posture, point, padding_m=0.005)[0]


def test_noise_of_the_support_is_no_obstacle(kinematics):
    rng = np.random.default_rng(2)
    posture = kinematics.inverse(top_down(0.5, 0.0, 0.015), FR3.home)
    plane = rng.uniform([0.3, -0.2], [0.7, 0.2], (2000, 2))
    table = np.column_stack([plane, rng.normal(0, 0.0015, 2000)])
    assert kinematics.clearance(posture, Obstacles(table, support_z_m=0.0)) > 0
    assert kinematics.clearance(posture, Obstacles(table)) < 0


def test_no_path_is_said_when_samples_run_out():
    impatient = MujocoKinematics(FR3, KinematicsConfig(rrt_iterations=2, via_lifts_m=()))
    suite = KinematicsSuite()
    start = suite.over(impatient, suite.left, obstacles=suite.between)
    goal = suite.over(impatient, suite.right, obstacles=suite.between)
    with pytest.raises(MotionError) as error:
        impatient.plan(start, goal, obstacles=suite.between)
    assert error.value.reason == "no_path"


def test_tree_search_finds_a_way_where_lifting_does_not():
    patient = MujocoKinematics(FR3, KinematicsConfig(via_lifts_m=()))
    suite = KinematicsSuite()
    start = suite.over(patient, suite.left, obstacles=suite.between)
    goal = suite.over(patient, suite.right, obstacles=suite.between)
    motions = [patient.plan(start, goal, obstacles=suite.between, rng_seed=s) for s in (1, 1, 2)]
    suite.assert_valid(patient, motions[0], suite.between)
    np.testing.assert_array_equal(motions[0].joint_pos, motions[1].joint_pos)
    assert not np.array_equal(motions[0].joint_pos, motions[2].joint_pos)


# ---- primitives ----------------------------------------------------------------------------------

KINDS = {"sphere": (0.03,), "capsule": (0.02, 0.1), "cylinder": (0.05, 0.08), "box": (0.1, 0.03, 0.06)}


@pytest.mark.parametrize("kind", KINDS)
def test_distance_to_primitive_is_mujocos(kind):
    size = KINDS[kind]
    spec = mujoco.MjSpec()
    shape_type = getattr(mujoco.mjtGeom, f"mjGEOM_{kind.upper()}")
    spec.worldbody.add_geom(name="shape", type=shape_type, size=[*size, 0, 0][:3])
    body = spec.worldbody.add_body(name="probe", mocap=True)
    body.add_geom(name="probe", type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[1e-4, 0, 0])
    model = spec.compile()
    data = mujoco.MjData(model)
    shape, _ = primitive_of(model, model.geom("shape").id)
    assert shape.kind == kind
    rng = np.random.default_rng(3)
    for point in rng.uniform(-0.25, 0.25, (200, 3)):
        data.mocap_pos[0] = point
        mujoco.mj_kinematics(model, data)
        ours = float(shape.distance(point[None])[0])
        theirs = mujoco.mj_geomDistance(model, data, 0, 1, 10.0, None) + 1e-4
        if ours > 1e-3:
            assert ours == pytest.approx(theirs, abs=2e-6)
        else:
            assert theirs < 2e-3


def test_distances_inside_are_negative():
    box = Primitive.build("box", (0.1, 0.03, 0.06))
    np.testing.assert_allclose(box.distance(np.array([[0, 0, 0], [0.09, 0, 0]])), [-0.03, -0.01])
    cylinder = Primitive.build("cylinder", (0.05, 0.08))
    np.testing.assert_allclose(cylinder.distance(np.array([[0, 0, 0], [0, 0, 0.07]])), [-0.05, -0.01])


@pytest.mark.parametrize("kind", KINDS)
def test_cover_covers_and_its_centres_are_inside(kind):
    shape = Primitive.build(kind, KINDS[kind])
    assert (shape.distance(shape.cover_center) <= 0).all()
    points = np.random.default_rng(4).uniform(-0.2, 0.2, (20000, 3))
    inside = points[shape.distance(points) <= 0]
    assert len(inside) > 30
    gap = np.linalg.norm(inside[:, None] - shape.cover_center, axis=2) - shape.cover_radius
    assert (gap.min(axis=1) <= 1e-12).all()


def test_other_shapes_are_their_bounding_boxes():
    spec = mujoco.MjSpec()
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_ELLIPSOID, size=[0.1, 0.05, 0.02])
    shape, center = primitive_of(spec.compile(), 0)
    assert shape.kind == "box"
    np.testing.assert_allclose(shape.size, [0.1, 0.05, 0.02])
    np.testing.assert_allclose(center, 0.0)


def test_meshes_are_taken_where_they_are():
    """The hand's box as an off-centre mesh: MuJoCo moves its frame, the clearances must not change."""

    def make_spec() -> mujoco.MjSpec:
        spec = fr3.fr3_spec()
        box = spec.geom("hand_collision")
        signs = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)])
        spec.add_mesh(name="hand", uservert=(np.array(box.pos) + signs * np.array(box.size)).ravel())
        box.type, box.meshname, box.pos = mujoco.mjtGeom.mjGEOM_MESH, "hand", [0.0, 0.0, 0.0]
        return spec

    boxed, meshed = MujocoKinematics(FR3), MujocoKinematics(replace(FR3, make_spec=make_spec))
    posture = boxed.inverse(top_down(0.5, 0.1, 0.2), FR3.home)
    rng = np.random.default_rng(8)
    for point in boxed.forward(posture).position_m + rng.uniform(-0.2, 0.2, (50, 3)):
        obstacles = Obstacles(point[None], support_z_m=0.0)
        expected = boxed.clearance(posture, obstacles)
        assert meshed.clearance(posture, obstacles) == pytest.approx(expected, abs=1e-6)


def random_poses(rng, count, num_shapes) -> Poses:
    quat = rng.normal(size=(count * num_shapes, 4))
    rotation = np.zeros((len(quat), 9))
    for q, r in zip(quat, rotation, strict=True):
        mujoco.mju_quat2Mat(r, q / np.linalg.norm(q))
    return Poses(rng.uniform(-0.3, 0.3, (count, num_shapes, 3)), rotation.reshape(count, num_shapes, 3, 3))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), count=st.integers(0, 300), cutoff_m=st.sampled_from([0.0, 0.02, np.inf])
)
def test_field_distance_is_that_of_brute_force(seed, count, cutoff_m):
    rng = np.random.default_rng(seed)
    shapes = [Primitive.build(kind, size) for kind, size in KINDS.items()]
    poses, points = random_poses(rng, 3, len(shapes)), rng.uniform(-0.5, 0.5, (count, 3))
    found = PointField(points).distance(shapes, poses, cutoff_m)
    for b in range(3):
        every = [s.distance(poses.to_local(b, g, points)) for g, s in enumerate(shapes)]
        expected = min([cutoff_m, *np.concatenate(every)]) if count else cutoff_m
        assert found[b] == pytest.approx(expected, abs=1e-12)


def test_lowest_z_is_that_of_the_surface():
    rng = np.random.default_rng(5)
    shapes = [Primitive.build(kind, size) for kind, size in KINDS.items()]
    poses = random_poses(rng, 4, len(shapes))
    lowest = lowest_z(shapes, poses)
    grid = wall(*[(-0.13, 0.13)] * 3, spacing=0.005)
    for b in range(4):
        for g, shape in enumerate(shapes):
            inside = grid[shape.distance(grid) <= 0] @ poses.rotation[b, g].T + poses.center[b, g]
            assert lowest[b, g] <= inside[:, 2].min() + 1e-9
            assert lowest[b, g] == pytest.approx(inside[:, 2].min(), abs=0.01)


def test_points_out_of_reach_and_of_the_support_are_dropped():
    points = np.array([[0.5, 0, 0.003], [0.5, 0, 0.02], [9.0, 0, 0.5]])
    kept = observed_points(Obstacles(points, support_z_m=0.0), 0.006, 1.5)
    np.testing.assert_array_equal(kept, points[1:2])


# ---- timing and planning ---------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    goal=st.tuples(*(st.floats(lo, hi) for lo, hi in zip(FR3.limits.lower, FR3.limits.upper, strict=True))),
    speed=st.floats(0.05, 1.0),
)
def test_straight_motion_is_straight_and_keeps_velocity_acceleration_and_jerk(goal, speed):
    limits = timing.scaled(FR3.limits, speed, 0.5, 0.1)
    goal = np.array(goal)
    motion = timing.straight(FR3.home, goal, limits)
    np.testing.assert_array_equal(motion.joint_pos[[0, -1]], [FR3.home, goal])
    way = goal - FR3.home
    length = np.linalg.norm(way)
    if length > 1e-6:
        along = (motion.joint_pos - FR3.home) @ way / length**2
        np.testing.assert_allclose(motion.joint_pos, FR3.home + along[:, None] * way, atol=1e-6)
        assert (np.diff(along) >= -1e-9).all()
    dt = motion.times_s[1]
    acceleration = np.diff(motion.joint_vel, axis=0) / dt
    jerk = np.diff(acceleration, axis=0) / dt
    assert (np.abs(motion.joint_vel) <= limits.velocity + 1e-6).all()
    assert (np.abs(acceleration) <= limits.acceleration + 1e-6).all()
    assert (np.abs(jerk) <= limits.jerk * 1.001 + 1e-6).all()


def test_curved_motion_stays_on_the_path_and_limits_the_arc():
    angle = np.linspace(0, np.pi, 60)
    path = np.zeros((60, 7)) + FR3.home
    path[:, 0] += 0.5 * np.sin(angle)
    path[:, 3] += 0.5 * (1 - np.cos(angle))
    arc = angle * 0.1
    motion = timing.curved(path, FR3.limits, arc=arc, arc_speed=0.05, arc_acceleration=1.0)
    radius = np.hypot(motion.joint_pos[:, 0] - FR3.home[0], motion.joint_pos[:, 3] - FR3.home[3] - 0.5)
    np.testing.assert_allclose(radius, 0.5, atol=1e-4)
    # 0.1 pi m at no more than 0.05 m/s, and not much slower.
    assert 0.1 * np.pi / 0.05 <= motion.duration_s < 1.1 * 0.1 * np.pi / 0.05 + 0.2


def test_rounded_corners_cut_them_by_no_more_than_the_radius():
    path = [np.array([0.0, 0.0]), np.array([1.0, 0.0]), np.array([1.0, 1.0])]
    samples = planning.round_corners(path, 0.2, 0.05)
    np.testing.assert_array_equal(samples[[0, -1]], [path[0], path[-1]])
    assert (np.linalg.norm(np.diff(samples, axis=0), axis=1) <= 0.06).all()
    # The parabola's middle is at a quarter of the way from the corner to each end: (0.95, 0.05).
    assert np.linalg.norm(samples - [0.95, 0.05], axis=1).min() < 1e-9
    assert np.linalg.norm(samples - path[1], axis=1).min() > 0.05


def planar_is_free(a, b) -> bool:
    """A wall at x = 0.5 with a gap above y = 0.8."""
    points = a + np.linspace(0, 1, 50)[:, None] * (b - a)
    return not ((np.abs(points[:, 0] - 0.5) < 0.05) & (points[:, 1] < 0.8)).any()


@pytest.mark.parametrize("seed", range(5))
def test_tree_and_shortcuts_find_a_short_way_through_a_gap(seed):
    start, goal, rng = np.array([0.1, 0.1]), np.array([0.9, 0.1]), np.random.default_rng(seed)
    box = {"lower": np.zeros(2), "upper": np.ones(2), "weights": np.ones(2), "step": 0.3}
    path = planning.rrt_connect(start, goal, planar_is_free, rng=rng, iterations=2000, **box)
    assert path is not None
    short = planning.shorten(path, planar_is_free, rng, 60)
    for way in (path, short):
        np.testing.assert_array_equal([way[0], way[-1]], [start, goal])
        assert all(planar_is_free(a, b) for a, b in pairwise(way))

    def length(way):
        return sum(np.linalg.norm(b - a) for a, b in pairwise(way))

    # Shortest: up to (0.45, 0.8), across to (0.55, 0.8), down: 2 sqrt(0.35^2 + 0.7^2) + 0.1 = 1.665.
    assert 1.66 < length(short) <= length(path) + 1e-9
    assert length(short) < 1.95


# ---- together with the robot -----------------------------------------------------------------------


@pytest.fixture
def safe():
    """SafeRobot over a simulated arm on a table, with the kinematics that its limits allow."""
    spec = fr3.fr3_spec()
    fr3.set_physics_options(spec)
    spec.worldbody.add_geom(
        name="table", type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.65, 0.65, 0.02], pos=[0.4, 0, -0.02]
    )
    model = spec.compile()
    driver = SimRobot(model, mujoco.MjData(model))
    config = SafetyConfig(velocity_scale=0.8)
    kinematics = MujocoKinematics(FR3, limits=scaled_limits(driver.limits, config))
    safety = SafetyFilter(
        driver.limits,
        config,
        gripper_width_m=driver.gripper_width_m,
        forward=kinematics.forward,
        lowest_point=kinematics.lowest_point,
    )
    robot = SafeRobot(driver, safety)
    yield robot, kinematics, driver
    robot.close()


def test_plans_pass_the_filter_and_are_executed(safe):
    robot, kinematics, driver = safe
    suite = KinematicsSuite()
    obstacles = suite.between
    left = suite.over(kinematics, suite.left, obstacles=obstacles)
    right = suite.over(kinematics, suite.right, obstacles=obstacles)
    for goal in (left, right):
        motion = kinematics.plan(robot.state().joint_pos, goal, obstacles=obstacles)
        result = robot.execute(motion, threading.Event())
        assert result.reached, result
    down = kinematics.plan_linear(robot.state().joint_pos, [top_down(0.5, -0.25, 0.04)], obstacles=obstacles)
    assert robot.execute(down, threading.Event()).reached
    hand = kinematics.forward(robot.state().joint_pos).position_m
    np.testing.assert_allclose(hand, [0.5, -0.25, 0.04], atol=2e-3)
    assert robot.violations == {}
    assert driver.safety_facts()["peak_external_force_n"] < 1.0


def test_guarded_descent_ends_softly_on_the_table(safe):
    robot, kinematics, _ = safe
    above = kinematics.inverse(top_down(0.5, 0.0, 0.04), FR3.home)
    assert robot.execute(kinematics.plan(FR3.home, above), threading.Event()).reached
    # Fingertips end 9.5 mm beyond ee: at z = 0.006 they would be 3.5 mm inside the table.
    into = kinematics.plan_linear(robot.state().joint_pos, [top_down(0.5, 0.0, 0.006)], speed_m_s=0.01)
    result = robot.execute(into, threading.Event(), max_force_n=8.0)
    assert result.outcome is MotionOutcome.CONTACT and 8.0 <= result.peak_force_n < 30.0
    robot.sleep(0.3)
    assert robot.state().external_force_n < 8.0
    assert kinematics.forward(robot.state().joint_pos).position_m[2] == pytest.approx(0.0095, abs=1.5e-3)


def test_filter_refuses_what_leaves_the_workspace(safe):
    robot, kinematics, _ = safe
    into = kinematics.plan_linear(
        kinematics.inverse(top_down(0.5, 0.0, 0.1), FR3.home), [top_down(0.5, 0.0, -0.05)]
    )
    reach = kinematics.plan(FR3.home, into.joint_pos[0])
    assert robot.execute(reach, threading.Event()).reached
    result = robot.execute(into, threading.Event())
    assert result.outcome is MotionOutcome.REFUSED and "workspace" in result.message
    assert robot.violations["workspace"] == 1


def test_filter_agrees_with_plans_at_full_speed(kinematics):
    safety = SafetyFilter(FR3.limits, SafetyConfig(), forward=kinematics.forward)
    rng = np.random.default_rng(7)
    poses = [top_down(*p) for p in rng.uniform([0.35, -0.3, 0.1], [0.65, 0.3, 0.4], (6, 3))]
    goals = [kinematics.inverse(pose, FR3.home) for pose in poses]
    for a, b in pairwise(goals):
        motion = kinematics.plan(a, b)
        measured = RobotState(FR3.limits.joint_names, a, np.zeros(7), np.zeros(7), 0.0)
        assert safety.check_trajectory(motion, measured, Setpoint.at_rest(a)) == ()


def test_narrower_limits_are_kept():
    lower, upper = np.maximum(FR3.limits.lower, FR3.home - 0.6), np.minimum(FR3.limits.upper, FR3.home + 0.6)
    narrow = replace(FR3.limits, lower=lower, upper=upper)
    kinematics = MujocoKinematics(FR3, limits=narrow)
    solution = kinematics.inverse(top_down(0.4, 0.1, 0.4), FR3.home)
    assert (solution >= narrow.lower).all() and (solution <= narrow.upper).all()
    with pytest.raises(MotionError) as error:
        kinematics.inverse(top_down(0.3, 0.6, 0.2), FR3.home)
    assert error.value.reason == "unreachable"


def test_pose_in_another_frame_is_refused(kinematics):
    pose = Transform.from_parts([0.5, 0, 0.2], np.eye(3), parent="camera:scene", child="ee")
    with pytest.raises(ValueError, match="T_world_ee"):
        kinematics.inverse(pose, FR3.home)
