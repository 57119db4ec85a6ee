"""Proportions, intervals and the claimed-against-true table, on numbers worked out by hand."""

import math

import pytest

from vlm_agent.bench.stats import Proportion, confusion, proportion


def test_wilson_interval_by_hand():
    # p = 0.5, n = 4, z = 1.959964: centre = (p + z²/2n)/(1 + z²/n) = 0.5,
    # half = z/(1 + z²/n) · sqrt(p(1-p)/n + z²/4n²) = 0.999816 · 0.349962 ... = 0.3500
    low, high = Proportion(2, 4).ci95
    assert (low, high) == pytest.approx((0.1500, 0.8500), abs=2e-4)


def test_perfect_score_is_not_certainty():
    low, high = Proportion(10, 10).ci95
    assert high == pytest.approx(1.0)
    assert low == pytest.approx(10 / (10 + 1.959964**2), abs=1e-6)  # n / (n + z²)


def test_no_trials():
    empty = proportion([])
    assert math.isnan(empty.rate)
    assert empty.ci95 == (0.0, 1.0)


def test_text_has_rate_interval_and_counts():
    assert str(Proportion(195, 200)) == "97.5 % [94.3, 98.9] (195/200)"


def test_confusion_counts_each_cell_once():
    table = confusion([True, True, False, False, True], [True, False, True, False, True])
    assert table == {"claimed_and_true": 2, "claimed_not_true": 1, "true_not_claimed": 1, "neither": 1}


def test_confusion_refuses_unequal_lengths():
    with pytest.raises(ValueError):
        confusion([True], [])
