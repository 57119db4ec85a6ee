"""Geometric planning in joint space: RRT-Connect, shortcuts, rounded corners. Knows no robot.

RRT-Connect after Kuffner and LaValle (ICRA 2000). It is small and our own because a motion is
checked as one vectorised batch, and because every plan has its own seeded generator, so that equal
requests give equal plans in any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from perception_tools.geometry import FloatArray

IsFree = Callable[[FloatArray, FloatArray], bool]
"""Whether the straight joint motion from one posture to another is free."""


class _Tree:
    def __init__(self, root: FloatArray, weights: FloatArray) -> None:
        self._weights = weights
        self._nodes = np.empty((64, len(root)))
        self._nodes[0] = root
        self._parents = [-1]

    def nearest(self, posture: FloatArray) -> int:
        difference = (self._nodes[: len(self._parents)] - posture) * self._weights
        return int(np.argmin(np.einsum("ni,ni->n", difference, difference)))

    def node(self, index: int) -> FloatArray:
        return self._nodes[index]

    def add(self, posture: FloatArray, parent: int) -> int:
        count = len(self._parents)
        if count == len(self._nodes):
            self._nodes = np.concatenate([self._nodes, np.empty_like(self._nodes)])
        self._nodes[count] = posture
        self._parents.append(parent)
        return count

    def path_to(self, index: int) -> list[FloatArray]:
        """Postures from the root to a node."""
        path = []
        while index >= 0:
            path.append(self._nodes[index].copy())
            index = self._parents[index]
        return path[::-1]


def rrt_connect(
    start: FloatArray,
    goal: FloatArray,
    is_free: IsFree,
    *,
    lower: FloatArray,
    upper: FloatArray,
    weights: FloatArray,
    rng: np.random.Generator,
    iterations: int,
    step: float,
) -> list[FloatArray] | None:
    """Return a free polyline from start to goal, or None after `iterations` samples.

    Args:
        start: Posture [rad], (num_joints,), free.
        goal: Posture [rad], (num_joints,), free.
        is_free: Check of a straight motion.
        lower: Lower bounds of samples [rad].
        upper: Upper bounds of samples [rad].
        weights: Importance of each joint in distances.
        rng: Generator; its state decides the plan.
        iterations: Samples before giving up.
        step: Longest edge in weighted distance.
    """
    trees = [_Tree(start, weights), _Tree(goal, weights)]
    for iteration in range(iterations):
        here, there = trees[iteration % 2], trees[1 - iteration % 2]
        new = _extend(here, rng.uniform(lower, upper), is_free, weights, step)
        if new is None:
            continue
        target, reached = here.node(new), None
        while True:
            grown = _extend(there, target, is_free, weights, step)
            if grown is None:
                break
            if np.array_equal(there.node(grown), target):
                reached = grown
                break
        if reached is not None:
            one, other = here.path_to(new), there.path_to(reached)
            path = one[:-1] + other[::-1]
            return path if iteration % 2 == 0 else path[::-1]
    return None


def _extend(tree: _Tree, target: FloatArray, is_free: IsFree, weights: FloatArray, step: float) -> int | None:
    index = tree.nearest(target)
    origin = tree.node(index).copy()
    distance = float(np.linalg.norm((target - origin) * weights))
    if distance < 1e-12:
        return None
    posture = target if distance <= step else origin + (target - origin) * (step / distance)
    return tree.add(posture, index) if is_free(origin, posture) else None


def shorten(
    path: Sequence[FloatArray], is_free: IsFree, rng: np.random.Generator, attempts: int
) -> list[FloatArray]:
    """Cut a polyline short: drop vertices, then try random chords."""
    path = _drop_vertices(list(path), is_free)
    for _ in range(attempts):
        if len(path) < 3:
            break
        lengths = np.array([np.linalg.norm(b - a) for a, b in pairwise(path)])
        ends = np.sort(rng.uniform(0.0, lengths.sum(), 2))
        (i, a), (j, b) = (_point_at(path, lengths, s) for s in ends)
        if j > i and is_free(a, b):
            path = [*path[: i + 1], a, b, *path[j + 1 :]]
    return _drop_vertices(path, is_free)


def _drop_vertices(path: list[FloatArray], is_free: IsFree) -> list[FloatArray]:
    kept = [path[0]]
    i = 0
    while i < len(path) - 1:
        j = next((k for k in range(len(path) - 1, i + 1, -1) if is_free(path[i], path[k])), i + 1)
        kept.append(path[j])
        i = j
    return kept


def _point_at(path: Sequence[FloatArray], lengths: np.ndarray, s: float) -> tuple[int, FloatArray]:
    ends = np.cumsum(lengths)
    i = int(min(np.searchsorted(ends, s), len(lengths) - 1))
    fraction = 1.0 - (ends[i] - s) / lengths[i] if lengths[i] > 0 else 0.0
    return i, path[i] + (path[i + 1] - path[i]) * fraction


def round_corners(path: Sequence[FloatArray], radius: float, spacing: float) -> FloatArray:
    """Return a polyline as dense samples with parabolic corners, (N, num_joints).

    Args:
        path: Vertices [rad], at least two.
        radius: Length of each edge given to a corner [rad], at most half the edge.
        spacing: Distance between samples [rad].
    """
    path = [p for k, p in enumerate(path) if k == 0 or np.linalg.norm(p - path[k - 1]) > 1e-9]
    pieces, cursor = [], path[0]
    for before, corner, after in zip(path, path[1:], path[2:], strict=False):
        into, out = corner - before, after - corner
        cut = min(radius, 0.5 * np.linalg.norm(into), 0.5 * np.linalg.norm(out))
        entry = corner - into * (cut / np.linalg.norm(into))
        leave = corner + out * (cut / np.linalg.norm(out))
        pieces.append(_line(cursor, entry, spacing))
        t = np.linspace(0.0, 1.0, max(4, int(np.ceil(2 * cut / spacing))) + 1)[:, None]
        pieces.append((1 - t) ** 2 * entry + 2 * t * (1 - t) * corner + t**2 * leave)
        cursor = leave
    pieces.append(_line(cursor, path[-1], spacing))
    samples = np.concatenate(pieces)
    samples = samples[np.append(True, np.linalg.norm(np.diff(samples, axis=0), axis=1) > 1e-9)]
    samples[-1] = path[-1]
    return samples


def _line(a: FloatArray, b: FloatArray, spacing: float) -> FloatArray:
    count = max(1, int(np.ceil(np.linalg.norm(b - a) / spacing)))
    return a + np.linspace(0.0, 1.0, count + 1)[:, None] * (b - a)
