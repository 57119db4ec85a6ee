import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from tests.sim.tasks import solving


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_goals_lie_in_their_box_and_the_marker_shows_them(difficulty):
    env = solving.make_env("reach", 64, difficulty=difficulty)
    goal = env.reset()["desired_goal"]
    half = difficulty * torch.tensor(env.task.config.region_m)
    assert ((goal - torch.tensor(env.task.centre_m)).abs() <= half + 1e-6).all()
    assert torch.equal(env.physics.field("mocap_pos")[:, 0], goal)


def test_success_is_within_the_tolerance():
    task = solving.make_env("reach", 1, tolerance_m=0.02).task
    desired = torch.zeros(2, 3)
    assert task.success(torch.tensor([[0.0199, 0.0, 0.0], [0.0, 0.0201, 0.0]]), desired).tolist() == [
        True,
        False,
    ]


@pytest.mark.parametrize("preset", ["nominal", "randomised"])
def test_solver_gets_there_and_stays(preset):
    """Randomised actions come a step late: too high a gain circles around the goal."""
    assert solving.solve_rate("reach", 64, preset=preset) >= 0.95


@pytest.mark.parametrize(("arm", "minimum"), [("ur5e", 0.95), ("ur5e+allegro", 0.95), ("fr3+leap", 0.8)])
def test_another_robot_gets_there_too(arm, minimum):
    """The box of goals suits the FR3; an arm whose hand is long can't bring it everywhere in there."""
    assert solving.solve_rate("reach", 64, arm=arm, preset="randomised") >= minimum


def test_a_robot_is_chosen_by_name():
    with pytest.raises(ValueError, match=r"unknown robot 'ur6'; robots: fr3, .*ur5e"):
        solving.make_env("reach", 1, arm="ur6")
