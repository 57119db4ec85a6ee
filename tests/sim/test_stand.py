"""A robot or a hand by itself on a stand, and the frames of its links."""

import mujoco
import numpy as np
import pytest

from policies.robot import JointCommand
from policies.world import World
from sim.robots.compose import fr3_arm
from sim.robots.fr3 import FR3
from sim.robots.frames import link_frames
from sim.robots.registry import load_hand
from sim.stand import StandWorld, as_robot


@pytest.fixture(params=["fr3", "fr3_arm", "allegro", "leap"])
def stand(request):
    given = {"fr3": lambda: FR3, "fr3_arm": fr3_arm}.get(request.param, lambda: load_hand(request.param))()
    world = StandWorld(robot=given)
    yield world, as_robot(given)
    world.close()


def test_a_robot_or_a_hand_can_be_driven(stand):
    world, model = stand
    assert isinstance(world, World)
    robot = world.reset(0).robot
    names = robot.limits.joint_names
    goal = np.clip(model.home + 0.1, robot.limits.lower, robot.limits.upper)
    for k in range(1, 101):
        robot.send(JointCommand(names, model.home + (goal - model.home) * k / 100))
        robot.sleep(0.01)
    robot.sleep(0.3)
    assert np.abs(robot.state().joint_pos - goal).max() < 0.05
    assert not world.judge().success


def test_frames_chain_up_to_the_bodies(stand):
    world, model = stand
    world.reset(0)
    scene = world.scene
    frames = link_frames(scene.model, scene.data, scene.lock, model.base_body)()
    assert (frames[0].parent, frames[0].child) == ("world", model.base_body)
    world_of = {"world": np.eye(4)}
    for T in frames:  # parents come first
        world_of[T.child] = world_of[T.parent] @ T.matrix
    for name in [n for n in world_of if n not in ("world", "ee")]:
        body = scene.data.body(name)
        np.testing.assert_allclose(world_of[name][:3, 3], body.xpos, atol=1e-9)
        np.testing.assert_allclose(world_of[name][:3, :3], body.xmat.reshape(3, 3), atol=1e-9)
    if "ee" in world_of:
        np.testing.assert_allclose(world_of["ee"][:3, 3], scene.data.site("ee").xpos, atol=1e-9)


def test_what_is_not_there_is_refused():
    world = StandWorld()
    with pytest.raises(RuntimeError, match=r"reset\(\) first"):
        world.judge()
    with pytest.raises(ValueError, match="families: stand"):
        world.reset(0, "container")
    with pytest.raises(ValueError, match="seed must be >= 0"):
        world.reset(-1)
    world.reset(0)
    scene = world.scene
    with pytest.raises(ValueError, match="no body 'x'"):
        link_frames(scene.model, mujoco.MjData(scene.model), scene.lock, "x")
    assert list(world.rows(0, 3)) == []
    world.close()
    world.close()


@pytest.mark.render
def test_the_camera_sees_it():
    world = StandWorld(robot=load_hand("allegro"))
    frame = world.reset(0).cameras["scene"].capture()
    assert frame.rgb.std() > 10
    world.close()
