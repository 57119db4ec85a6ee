"""Tasks drawn from a seed are equal for equal seeds, differ, and can be played."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")

from sim.batch.env import BatchEnv, EnvConfig  # noqa: E402
from sim.batch.solver import measure  # noqa: E402
from sim.tasks.procedural import draw_settings, draw_task  # noqa: E402
from sim.tasks.registry import TASKS, make_solver, make_task, task_class  # noqa: E402


def test_equal_seeds_give_equal_tasks_and_others_differ():
    drawn = [draw_settings(seed) for seed in range(40)]
    assert drawn == [draw_settings(seed) for seed in range(40)]
    assert len({repr(d) for d in drawn}) == 40
    assert len({name for name, _ in drawn}) > min(len(TASKS), 8) // 2


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_variation_is_a_setting_and_its_ends_are_allowed(name):
    for field, values in task_class(name).all_variations().items():
        for value in values:
            assert getattr(make_task(name, **{field: value}).config, field) == value


def test_a_drawn_task_can_be_solved():
    task = draw_task(3, ["reach"])
    env = BatchEnv(task, EnvConfig(num_envs=32))
    assert measure(env, make_solver("reach", env)).rate > 0.9


@pytest.mark.parametrize(
    "seed, names, words", [(-1, None, "seed"), (0, [], "at least one"), (0, ["fly"], "tasks:")]
)
def test_bad_input_is_one_line(seed, names, words):
    with pytest.raises(ValueError, match=words):
        draw_task(seed, names)
