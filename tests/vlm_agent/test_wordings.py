"""Sentences of strangers stay understood; how many were at first look: docs/planner.md."""

from collections import Counter

import pytest

from tests.bench.bench_wordings import outcomes_of


@pytest.mark.long
@pytest.mark.parametrize(("which", "num", "least"), [("1", 360, 345), ("2", 288, 249)])
def test_so_many_are_read_as_the_plain_sentence(which, num, least):
    counts = Counter(outcome for kind in outcomes_of(which).values() for outcome in kind.values())
    assert sum(counts.values()) == num and counts["alike"] >= least, counts
