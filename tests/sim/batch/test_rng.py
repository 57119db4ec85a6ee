"""Counter-based random numbers: the reference generator, distributions, independence."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.transform import Rotation

pytest.importorskip("torch", reason="torch is missing: pip install 'habilis[train]'")

import torch

from sim.batch.rng import EnvRandom, episode_keys, mix

NUM = 20_000
GAMMA = 0x9E3779B97F4A7C15


@pytest.fixture
def many():
    return EnvRandom(episode_keys(torch.arange(NUM), torch.zeros(NUM, dtype=torch.int64)))


def test_hash_is_splitmix64():
    """First outputs of SplitMix64 from state 1234567, as published with its reference implementation."""
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    states = [(1234567 + k * GAMMA) % 2**64 for k in range(5)]
    signed = torch.tensor([s - 2**64 if s >= 2**63 else s for s in states])
    assert [int(v) % 2**64 for v in mix(signed)] == expected


def test_draws_belong_to_seed_episode_and_stream():
    seeds, episodes = torch.tensor([3, 4, 3, 4]), torch.tensor([0, 0, 1, 1])
    together = EnvRandom(episode_keys(seeds, episodes)).uniform("goal", size=3)
    for i in range(4):
        alone = EnvRandom(episode_keys(seeds[i : i + 1], episodes[i : i + 1]))
        alone.normal("noise", size=5)  # the order of calls does not matter
        assert torch.equal(alone.uniform("goal", size=3)[0], together[i])
        assert torch.equal(alone.uniform("goal", size=2)[0], together[i, :2])
        assert not torch.equal(alone.uniform("other", size=3)[0], together[i])
    assert len(torch.unique(together)) == 12


@pytest.mark.parametrize("index", [0, 4])
def test_uniform(many, index):
    drawn = many.uniform("x", -2.0, 3.0, size=5)[:, index].numpy()
    assert drawn.min() >= -2.0 and drawn.max() < 3.0
    assert stats.kstest(drawn, "uniform", (-2.0, 5.0)).pvalue > 1e-3


def test_uniform_bounds_broadcast(many):
    low = torch.tensor([0.0, 10.0])
    high = torch.stack((torch.full((NUM,), 1.0), torch.linspace(11.0, 20.0, NUM)), -1)
    drawn = many.uniform("x", low, high, size=2)
    assert bool(((drawn >= low) & (drawn <= high)).all())


def test_normal(many):
    drawn = many.normal("x", 0.5, size=2).numpy()
    assert np.isfinite(drawn).all()
    for column in drawn.T:
        assert stats.kstest(column, "norm", (0.0, 0.5)).pvalue > 1e-3


def test_integers(many):
    counts = np.bincount(many.integers("x", 7)[:, 0].numpy(), minlength=7)
    assert len(counts) == 7 and stats.chisquare(counts).pvalue > 1e-3


def test_log_uniform(many):
    drawn = many.log_uniform("x", 0.25, 4.0)[:, 0].numpy()
    assert drawn.min() >= 0.25 and drawn.max() <= 4.0
    assert stats.kstest(np.log(drawn), "uniform", (np.log(0.25), np.log(16.0))).pvalue > 1e-3


def test_quaternions_are_rotations_and_uniform(many):
    """Of uniform rotations, the cosine of the turned z axis is uniform in [-1, 1], and so is any axis."""
    quat = many.quaternion("x").numpy()
    np.testing.assert_allclose(np.linalg.norm(quat, axis=1), 1.0, atol=1e-5)
    turned = Rotation.from_quat(quat[:, [1, 2, 3, 0]]).as_matrix()
    for row in range(3):
        assert stats.kstest(turned[:, row, 2], "uniform", (-1.0, 2.0)).pvalue > 1e-3


@pytest.mark.parametrize(
    "pair",
    [
        lambda r: (r.uniform("a")[:-1], r.uniform("a")[1:]),  # neighbouring environments
        lambda r: (r.uniform("a", size=2)[:, :1], r.uniform("a", size=2)[:, 1:]),  # entries of one draw
        lambda r: (r.uniform("a"), r.uniform("b")),  # streams
    ],
)
def test_draws_are_uncorrelated(many, pair):
    """A correlation of n independent pairs has deviation 1/sqrt(n); five of them is never seen."""
    a, b = (x[:, 0].numpy() for x in pair(many))
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(NUM)


def test_episodes_are_uncorrelated():
    seeds = torch.arange(NUM)
    a, b = (EnvRandom(episode_keys(seeds, torch.full((NUM,), e))).uniform("a")[:, 0].numpy() for e in (0, 1))
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(NUM)
    assert len(torch.unique(episode_keys(seeds, seeds // 7))) == NUM
