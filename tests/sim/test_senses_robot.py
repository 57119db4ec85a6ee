"""Senses of the simulated robot: what a grasp, a drop and a warm mug feel like; nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest

from perception_tools.senses import Senses
from policies.robot import GripperCommand, JointCommand
from sim.looks import sample_look
from sim.objects import ObjectSpec
from sim.robot import SimRobot
from sim.robots.fr3 import FR3
from sim.scene import PlacedObject, SceneLayout, TabletopScene
from sim.senses.robot import RobotSenses, RobotSensesConfig
from sim.tabletop import TabletopWorld
from tests.sim.test_robot import grasp

G = 9.81
ALWAYS_WARM = RobotSensesConfig(warm_share=1.0)
BOX = ObjectSpec("box", "box", "red", (0.8, 0.1, 0.1), (0.05, 0.05, 0.05), 0.15)
MUG = ObjectSpec(
    "mug", "mug", "red", (0.8, 0.1, 0.1), (0.06, 0.06, 0.055), 0.15, wall_m=0.004, base_radius_m=0.025
)


def table(spec: ObjectSpec, config: RobotSensesConfig | None = None, drop_m: float = 0.0, seed: int = 0):
    """The arm, and an object at (0.5, 0) as high as asked for [m]."""
    placed = PlacedObject(spec, (0.5, 0.0, spec.size_m[2] / 2 + drop_m), 0.0)
    look = sample_look(np.random.default_rng(0), [spec.rgb])
    scene = TabletopScene(SceneLayout((placed,), look), robot=FR3)
    robot = SimRobot(scene.model, scene.data, FR3, lock=scene.lock)
    return scene, robot, RobotSenses(scene, robot, FR3, seed=seed, config=config)


@pytest.fixture(scope="module")
def held():
    """A box in the hand, 15 cm above the table."""
    scene, robot, senses = table(BOX)
    before = senses.read()
    grasp(robot, 0.05, force_n=30.0)
    yield scene, robot, senses, before
    robot.close()


def test_it_is_senses():
    assert isinstance(table(BOX)[2], Senses)


def test_nothing_is_felt_before_anything_is_touched(held):
    before = held[3]
    assert set(before.tactile) == {"left_finger", "right_finger"}
    assert all(not array.force_n.any() and array.force_n.shape == (4, 4) for array in before.tactile.values())
    assert not before.wrenches["hand"].force_n.any()
    assert before.sound_j == 0.0


def test_pads_feel_the_clamping_force(held):
    _, robot, senses, _ = held
    state = robot.state()
    for array in senses.read().tactile.values():
        assert array.total_n == pytest.approx(30.0, rel=0.03)
        assert array.total_n == pytest.approx(state.gripper.force_n, rel=0.03)
        assert (array.force_n >= 0).all()


def test_pads_are_pressed_on_the_sides_of_the_box(held):
    scene, _, senses, _ = held
    reading = senses.read()
    box, _ = scene.object_pose("box")
    opening = reading.wrenches["hand"].T_world_sensor.matrix[:3, 1]
    for name, side in (("left_finger", 1), ("right_finger", -1)):
        center = reading.tactile[name].center_of_pressure()
        # The hand is centred over the box; the left pad meets its face at +2.5 cm along the hand's y.
        assert np.allclose(center - box, side * 0.025 * opening, atol=0.005)
        pad = reading.tactile[name].T_world_pad
        assert (box - center) @ pad.matrix[:3, 2] > 0.02, "z points out of the rubber, to the box"


def test_the_hand_feels_the_weight(held):
    wrench = held[2].read().wrenches["hand"]
    in_world = wrench.T_world_sensor.matrix[:3, :3] @ wrench.force_n
    assert np.allclose(in_world, (0, 0, -BOX.mass_kg * G), atol=0.03)
    # The box hangs at the grasp centre, within 3 mm: no more moment than 3 mm of its weight.
    assert np.abs(wrench.torque_nm).max() < 0.003 * BOX.mass_kg * G + 0.002


def test_a_drop_is_heard_once():
    _, robot, senses = table(BOX, drop_m=0.1)
    robot.sleep(0.6)
    first, again = senses.read(), senses.read()
    e = RobotSensesConfig().sound.restitution
    # A box that lands flat: m g h (1 - e^2); velocities are looked at every 10 ms, 0.1 of 1.4 m/s.
    assert first.sound_j == pytest.approx(BOX.mass_kg * G * 0.1 * (1 - e * e), rel=0.2)
    assert again.sound_j == first.sound_j, "calls at one moment are told the same"
    robot.sleep(0.3)
    assert senses.read().sound_j == 0.0


def test_fingers_get_warm_from_a_warm_mug():
    _, robot, senses = table(MUG, ALWAYS_WARM)
    start = senses.truth_c()["mug"]
    assert ALWAYS_WARM.warm_c[0] <= start <= ALWAYS_WARM.warm_c[1]
    grasp(robot, 0.06, force_n=20.0)
    # Both pads are 0.5 J/K and touch a mug of 135 J/K: they come within a share of its temperature in
    # 0.5 / 0.3 = 1.7 s; what the air and the finger take keeps them 0.02 / 0.32 below.
    robot.sleep(8.0)
    reading = senses.read()
    mug = senses.truth_c()["mug"]
    expected = mug - (mug - 22.0) * 0.02 / 0.32
    assert start - 1.0 < mug < start
    for celsius in reading.temperatures_c.values():
        assert celsius == pytest.approx(expected, abs=0.3)


def test_warm_mugs_are_drawn_by_the_seed():
    def start(seed):
        return table(MUG, seed=seed)[2].truth_c()["mug"]

    temperatures = [start(seed) for seed in range(12)]
    assert temperatures == [start(seed) for seed in range(12)]
    assert 2 <= sum(t == 22.0 for t in temperatures) <= 10
    assert table(BOX, ALWAYS_WARM)[2].truth_c() == {"box": 22.0}


def test_an_episode_with_senses_is_the_episode_without(monkeypatch):
    def run():
        world = TabletopWorld()
        episode = world.reset(7)
        episode.robot.send(JointCommand(gripper=GripperCommand(0.02, 30.0)))
        episode.robot.sleep(0.5)
        if episode.senses is not None:
            episode.senses.read()
        episode.robot.sleep(0.5)
        state = np.concatenate([world.scene.data.qpos, world.scene.data.qvel])
        size = (world.scene.model.nsite, world.scene.model.nsensor)
        meta = dict(episode.meta)
        world.close()
        return episode.senses, state, (size, meta)

    senses, state, facts = run()
    monkeypatch.setattr(TabletopWorld, "_senses", lambda self, seed: None)
    none, state_without, facts_without = run()
    assert isinstance(senses, Senses) and none is None
    assert np.array_equal(state, state_without)
    assert facts == facts_without
