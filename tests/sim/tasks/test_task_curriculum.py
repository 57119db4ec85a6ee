"""Tasks are drawn where success is changing."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")

from sim.batch.env import BatchEnv, EnvConfig  # noqa: E402
from sim.tasks.curriculum import TaskCurriculum  # noqa: E402
from sim.tasks.registry import make_solver, make_task  # noqa: E402


def test_the_task_that_is_being_learnt_is_drawn_most():
    curriculum = TaskCurriculum(["reach", "push", "stack"])
    for k in range(400):
        curriculum.update("reach", torch.ones(1))
        curriculum.update("push", torch.tensor([max(0.0, (k - 340) / 60)]))
        curriculum.update("stack", torch.zeros(1))
    drawn = [curriculum.draw() for _ in range(300)]
    assert drawn.count("push") > 150 and {"reach", "stack"} < set(drawn)
    assert sum(curriculum.probabilities().values()) == pytest.approx(1.0, abs=1e-5)


def test_equal_seeds_give_equal_draws():
    first, again, other = (TaskCurriculum(["reach", "push"], seed=s) for s in (3, 3, 4))
    drawn = [first.draw() for _ in range(50)]
    assert drawn == [again.draw() for _ in range(50)] != [other.draw() for _ in range(50)]


def test_it_learns_from_what_environments_tell():
    curriculum = TaskCurriculum(["reach", "push"])
    env = BatchEnv(make_task("reach", episode_s=1.6), EnvConfig(num_envs=16))
    solver, obs = make_solver("reach", env), env.reset()
    for _ in range(env.task.config.max_steps):
        obs, *_, info = env.step(solver.act(obs))
        if "episode" in info:
            curriculum.update("reach", info["episode"]["success"])
    assert curriculum.probabilities()["reach"] > 0.8


@pytest.mark.parametrize(
    "names, words", [(["reach"], "two"), (["reach", "reach"], "different"), (["fly", "reach"], "tasks:")]
)
def test_bad_names_are_one_line(names, words):
    with pytest.raises(ValueError, match=words):
        TaskCurriculum(names)
