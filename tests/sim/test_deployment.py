"""Actions mean the same on a robot as in the simulation that policies are trained in."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")

from policies.actions import Decoder, Deployment, EeTerm, GripperTerm, JointTerm  # noqa: E402
from policies.robot import GripperState, RobotState  # noqa: E402
from sim.batch.env import BatchEnv, EnvConfig  # noqa: E402
from sim.deployment import deployment_of  # noqa: E402
from sim.kinematics import MujocoKinematics  # noqa: E402
from sim.tasks.pick_place import PickPlace, PickPlaceConfig  # noqa: E402
from sim.tasks.reach import Reach, ReachConfig  # noqa: E402
from sim.tasks.tweezer_hand import TweezerHand, TweezerHandConfig  # noqa: E402

TASKS = {
    "reach": lambda: Reach(ReachConfig()),
    "reach_ur5e": lambda: Reach(ReachConfig(arm="ur5e")),
    "pick_place": lambda: PickPlace(PickPlaceConfig()),
    "tweezer_hand": lambda: TweezerHand(TweezerHandConfig()),
}


def state_of(env, names, gripper) -> RobotState:
    handle = getattr(env.task, "arm", None) or env.task.hand
    pos = handle.pos[0].double().numpy()
    return RobotState(tuple(names), pos, 0 * pos, 0 * pos, 0.0, gripper=gripper)


@pytest.fixture(scope="module", params=TASKS)
def pair(request):
    env = BatchEnv(TASKS[request.param](), EnvConfig(num_envs=1, seed=3))
    yield env, deployment_of(env)
    env.close()


def test_commands_are_the_simulations_controls_step_by_step(pair):
    env, deployment = pair
    forward = MujocoKinematics(env.task.robot).forward if hasattr(env.task, "robot") else None
    decoder = Decoder(deployment, forward)
    env.reset()
    gripper = None
    if any(isinstance(t, GripperTerm) for t in deployment.terms):
        gripper = GripperState(float(env.task.fingers.pos[0].sum()), 0.0, False)
    decoder.reset(state_of(env, deployment.joint_names, gripper))
    servos = getattr(env.task, "servos", None) or env.task._servos
    ctrl = env.physics.field("ctrl")
    begin = ctrl[0, servos.columns].double().tolist()  # a simulated hand begins with targets of its own
    decoder._targets.update(zip(deployment.joint_names, begin, strict=True))
    rng = np.random.default_rng(0)
    for _ in range(10):
        action = rng.uniform(-1, 1, len(decoder.names))
        command = decoder.decode(action, state_of(env, deployment.joint_names, gripper))
        env.step(torch.as_tensor(action[None], dtype=torch.float32))
        sent = ctrl[0].double().numpy()
        assert command.joint_pos is not None
        assert command.joint_pos == pytest.approx(sent[servos.columns], abs=2e-5)
        if gripper is not None:
            assert command.gripper is not None
            assert command.gripper.width_m == pytest.approx(float(sent[env.task._grip.columns][0]), abs=1e-6)


def test_it_is_stored_as_json_and_read_again(pair):
    import json

    _, deployment = pair
    assert Deployment.from_json(json.loads(json.dumps(deployment.to_json()))) == deployment


def test_names_are_those_of_the_policys_specs(pair):
    env, deployment = pair
    assert Decoder(deployment, lambda q: None).names == env.spec.action.names


def test_what_is_described():
    reach = BatchEnv(Reach(ReachConfig()), EnvConfig(num_envs=1))
    found = deployment_of(reach)
    assert [type(t) for t in found.terms] == [EeTerm]
    assert (
        found.joint_names == tuple(f"fr3_joint{i}" for i in range(1, 8)) and found.achieved_goal == "ee_pos"
    )
    hand = BatchEnv(TweezerHand(TweezerHandConfig()), EnvConfig(num_envs=1))
    (term,) = deployment_of(hand).terms
    assert isinstance(term, JointTerm) and term.step == hand.task.config.step_rad
    reach.close()
    hand.close()


def test_steps_may_be_smaller(pair):
    _, deployment = pair
    for term, less in zip(deployment.terms, deployment.scaled(0.5).terms, strict=True):
        if isinstance(term, EeTerm):
            assert less.step_m == 0.5 * term.step_m and less.lead_m == 0.5 * term.lead_m
        if isinstance(term, JointTerm):
            assert less.step == 0.5 * term.step
    with pytest.raises(ValueError, match="scale"):
        deployment.scaled(0.0)
