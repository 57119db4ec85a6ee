"""`button_with_assembled_stick`: why both parts are needed, and that the solver joins them."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")


from sim.tasks.button_with_assembled_stick import JOINED_M, PLUG_M, SHAFT_M, SOCKET_M
from tests.sim.tasks import solving
from tests.sim.tasks.bare_hand import grope

NAME = "button_with_assembled_stick"


@pytest.mark.parametrize("difficulty", [0.0, 1.0])
def test_only_both_parts_reach_the_button(difficulty):
    env, obs = solving.start(NAME, difficulty)
    task = env.task
    beyond = task.button.pos[:, 0] - task.config.workspace_m[1][0]
    # Either part, held at its very end; then both, held at the grip, 0.05 m behind the rear one's middle.
    assert (beyond > SHAFT_M + SOCKET_M + 0.03).all() and (beyond > SHAFT_M + PLUG_M + 0.03).all()
    assert (beyond < 0.05 + JOINED_M + SHAFT_M / 2 - 0.03).all()
    assert (task.front.pos[:, 0] - SHAFT_M / 2 - PLUG_M > 0.45).all()
    assert obs["achieved_goal"].abs().max() < 1e-4
    low, high = task.config.travel_m
    assert ((obs["desired_goal"] >= low - 1e-6) & (obs["desired_goal"] <= high + 1e-6)).all()


def test_difficulty_spreads_travels():
    spread = [solving.start(NAME, d)[1]["desired_goal"].std() for d in (0.0, 0.5, 1.0)]
    assert spread[0] < 1e-6 < spread[1] < spread[2]


def test_no_weld_and_nothing_but_contact_joins_the_parts():
    model = solving.make_env(NAME, 1).physics.model
    # The only equality is the one that couples the gripper's two fingers.
    assert model.neq == 1 and model.equality(0).name == "fr3_fingers"


def test_bare_hand_cannot():
    env, _ = solving.start(NAME, 1.0, 4)
    assert not grope(env, lambda: env.task.button.pos).any()
    assert env.task.achieved_goal().abs().max() < 1e-4


def test_solver_joins_the_parts_and_presses():
    env = solving.make_env(NAME, 3)
    assert (env.task.apart() > 0.1).all()
    history = solving.run(env)
    assert history[-1].all() and not history[0].any()
    # The plug has 0.7 mm of play over 0.045 m, 0.03 rad: 0.007 m at the middle of the front part.
    assert (env.task.apart() < 0.012).all()
    assert (env.task.ee.pos[:, 0] < env.task.config.workspace_m[1][0] + 0.005).all()


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "least"), [("nominal", 0.95), ("randomised", 0.85)])
def test_solver_rate(preset, least):
    assert solving.solve_rate(NAME, 128, preset=preset) >= least
