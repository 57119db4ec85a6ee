"""The curriculum practises where success is changing."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")

from sim.batch.curriculum import CurriculumConfig, LearningProgress  # noqa: E402
from sim.batch.env import BatchEnv, EnvConfig  # noqa: E402
from sim.batch.solver import measure  # noqa: E402
from sim.tasks.registry import make_solver, make_task  # noqa: E402


def test_uniform_while_nothing_is_known():
    progress = LearningProgress(4, CurriculumConfig())
    assert torch.allclose(progress.probabilities(), torch.full((4,), 0.25))


def test_running_means_follow_the_closed_form():
    progress = LearningProgress(2, CurriculumConfig(fast=0.5, slow=0.25))
    progress.update(torch.tensor([0, 0]), torch.tensor([1.0, 1.0]))
    # After two successes from 0: 1 - (1 - rate)^2.
    assert progress.fast.tolist() == pytest.approx([0.75, 0.0])
    assert progress.slow.tolist() == pytest.approx([0.4375, 0.0])
    assert progress.count.tolist() == [2, 0]


def test_the_arm_that_is_being_learnt_is_drawn_most():
    """Arm 0 is mastered, arm 2 hopeless, arm 1 is getting better."""
    progress = LearningProgress(3, CurriculumConfig())
    arms = torch.arange(3)
    for k in range(400):
        progress.update(arms, torch.tensor([1.0, max(0.0, (k - 340) / 60), 0.0]))
    shares = progress.probabilities()
    assert shares.argmax() == 1
    assert shares[1] > 0.6
    assert shares.min() >= 0.2 / 3 - 1e-6


def test_draws_follow_the_probabilities():
    progress = LearningProgress(3, CurriculumConfig(exploration=0.3))
    progress.fast[:] = torch.tensor([0.1, 0.6, 0.0])
    arms = progress.sample((torch.arange(10_000) + 0.5) / 10_000)
    assert torch.allclose(torch.bincount(arms, minlength=3) / 10_000, progress.probabilities(), atol=1e-3)


def test_difficulty_of_an_environment_follows_it_and_stays_in_its_range():
    task = make_task("reach", difficulty=0.8, episode_s=0.4)
    env = BatchEnv(task, EnvConfig(num_envs=256, curriculum=CurriculumConfig(enabled=True, num_bins=4)))
    assert 0.0 <= env.difficulty.min() and env.difficulty.max() <= 0.8
    counts = torch.histc(env.difficulty, 4, 0.0, 0.8)
    assert counts.min() > 30  # uniform at first: 64 expected each
    measure(env, make_solver("reach", env))
    assert env.curriculum.count.sum() == 256


@pytest.mark.parametrize(
    "wrong", [{"num_bins": 1}, {"exploration": 0.0}, {"fast": 0.01, "slow": 0.02}, {"fast": 1.0}]
)
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValueError, match="|".join(wrong)):
        CurriculumConfig(**wrong)
