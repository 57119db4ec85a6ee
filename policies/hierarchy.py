"""A policy of levels: each at its own rate, the action of one setting the goal of the next.

After hierarchical goal-conditioned control of tools (arXiv 2507.06822): an upper level sets the state that
a tool is to take and moves the arm, a lower level drives the hand so that the tool takes it. Here the
number of levels is open, and every level is a `Policy` of its own: a network, a script or a hierarchy.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from perception_tools.geometry import FloatArray
from policies.policy import ArraySpec, Policy, PolicySpec

GOAL: Final = "desired_goal"
"""Name of the observation that is the goal; a lower level gets it from the level above."""

_RATE_TOLERANCE: Final = 1e-6


@dataclass(frozen=True)
class GoalEntry:
    """One entry of a lower level's goal: ``offset + scale * action``, within [low, high].

    Attributes:
        name: The goal's entry, as the lower level calls it.
        action: The entry of the upper level's action that sets it; "" where it is constant.
        scale: Goal per action.
        offset: Goal at action 0, in the goal's unit.
        low: Least goal.
        high: Largest goal.
    """

    name: str
    action: str = ""
    scale: float = 1.0
    offset: float = 0.0
    low: float = float("-inf")
    high: float = float("inf")

    def __post_init__(self) -> None:
        """Refuse a range that is empty."""
        if not self.low <= self.high:
            raise ValueError(f"goal {self.name!r} is limited to [{self.low}, {self.high}]; use low <= high")


@dataclass(frozen=True)
class Level:
    """One level of a `HierarchicalPolicy`.

    Attributes:
        policy: What acts.
        goal: How the level above sets this one's goal, in the order of its goal's entries; () for the
            top level, whose goal is that of the whole.
        unit: Unit of these entries.
        rename: What its observations' entries are called outside, where the names differ.
        prefix: Put before the names of its action's entries.
        name: What messages call it.
    """

    policy: Policy
    goal: tuple[GoalEntry, ...] = ()
    unit: str = "1"
    rename: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    name: str = ""


@dataclass(frozen=True)
class _Pick:
    """Where an observation of a level comes from: columns of one outside; None for all of it."""

    columns: tuple[int, ...] | None

    def __call__(self, value: FloatArray) -> FloatArray:
        return value if self.columns is None else value[..., list(self.columns)]


class HierarchicalPolicy:
    """Levels from the top to the bottom; see `Policy`.

    The whole acts at the bottom level's rate; a level acts every whole number of steps and holds its action
    between. What an upper level's action does not give to the next level's goal acts directly: the action
    of the whole is these entries, from the top down, then the bottom level's action. Each observation that
    a level reads is looked up by the names of its entries, so their order does not matter.

    Args:
        levels: From the top to the bottom.
        obs: Observations of the whole, as an environment or a robot offers them; None for just what the
            levels read.

    Raises:
        ValueError: If rates are no whole multiples, a goal does not fit in names or unit, an entry of an
            action or observation is missing or ambiguous; says which level and what it needs.
    """

    def __init__(self, levels: Sequence[Level], obs: Mapping[str, ArraySpec] | None = None) -> None:
        """See the class."""
        if not levels:
            raise ValueError("a hierarchy needs at least one level")
        self._levels = [
            replace(level, name=level.name or f"level {k}") for k, level in enumerate(levels)
        ]  # fmt: skip
        self._specs = [level.policy.spec for level in self._levels]
        self._periods = self._check_rates()
        self._direct = self._check_goals()
        offered = dict(obs) if obs is not None else self._needed()
        self._picks = [self._pick(k, offered) for k in range(len(self._levels))]
        top = self._specs[0]
        self._spec = PolicySpec(offered, self._action(), top.goal, self._specs[-1].step_dt)
        self.reset()

    @property
    def spec(self) -> PolicySpec:
        """See `Policy.spec`."""
        return self._spec

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels, from the top down."""
        return tuple(self._levels)

    @property
    def reads(self) -> frozenset[str]:
        """Names of the observations that any level reads."""
        return frozenset(outside for picks in self._picks for outside, _ in picks.values())

    @property
    def goals(self) -> tuple[FloatArray | None, ...]:
        """The goals that the levels below the top were given last, (*batch, goal); None before the first."""
        return tuple(self._goals)

    def reset(self) -> None:
        """See `Policy.reset`: of all levels; each acts in the next step."""
        self._step = 0
        self._actions: list[FloatArray | None] = [None] * len(self._levels)
        self._goals: list[FloatArray | None] = [None] * (len(self._levels) - 1)
        for level in self._levels:
            level.policy.reset()

    def act(self, obs: Mapping[str, FloatArray]) -> FloatArray:
        """See `Policy.act`.

        Raises:
            ValueError: If an observation is missing or has another size; names it.
        """
        parts: list[FloatArray] = []
        goal: FloatArray | None = None
        for k, level in enumerate(self._levels):
            action = self._actions[k]
            if action is None or self._step % self._periods[k] == 0:
                action = np.asarray(level.policy.act(self._observed(k, obs, goal)))
                self._actions[k] = action
            parts.append(action[..., self._direct[k]])
            if k + 1 < len(self._levels):
                goal = self._goals[k] = self._goal(k + 1, action)
        self._step += 1
        return np.concatenate(parts, -1)

    # ---- while acting ---------------------------------------------------------------------------------

    def _observed(
        self, k: int, obs: Mapping[str, FloatArray], goal: FloatArray | None
    ) -> dict[str, FloatArray]:
        found = {} if goal is None else {GOAL: goal}
        for key, (outside, pick) in self._picks[k].items():
            if outside not in obs:
                raise ValueError(f"{self._levels[k].name} reads {outside!r}; given are {', '.join(obs)}")
            value = np.asarray(obs[outside])
            expected = self._spec.obs[outside].shape
            if value.shape[value.ndim - len(expected) :] != expected:
                raise ValueError(f"{outside} has shape {value.shape}, expected (*batch, {expected})")
            found[key] = pick(value)
        return found

    def _goal(self, k: int, action: FloatArray) -> FloatArray:
        """Return the goal of level k, (*batch, goal), from the action of the one above."""
        names = self._specs[k - 1].action.names
        columns = []
        for entry in self._levels[k].goal:
            value = action[..., names.index(entry.action)] if entry.action else np.zeros(action.shape[:-1])
            columns.append(np.clip(entry.offset + entry.scale * value, entry.low, entry.high))
        return np.stack(columns, -1)

    # ---- while being built ----------------------------------------------------------------------------

    def _check_rates(self) -> list[int]:
        """Return every level's period in steps of the bottom level."""
        bottom = self._specs[-1].step_dt
        periods = []
        for k, spec in enumerate(self._specs):
            lower = self._specs[k + 1].step_dt if k + 1 < len(self._specs) else bottom
            if not (_is_whole(spec.step_dt / bottom) and _is_whole(spec.step_dt / lower)):
                raise ValueError(
                    f"{self._levels[k].name} acts every {spec.step_dt:g} s and the level below every "
                    f"{lower:g} s; use a whole multiple"
                )
            periods.append(round(spec.step_dt / bottom))
        return periods

    def _check_goals(self) -> list[list[int]]:
        """Return, for every level, which entries of its action act directly."""
        if self._levels[0].goal:
            raise ValueError(f"{self._levels[0].name} is the top level; nothing above it sets its goal")
        direct: list[list[int]] = []
        for k, spec in enumerate(self._specs):
            used = (
                {e.action for e in self._levels[k + 1].goal if e.action} if k + 1 < len(self._specs) else ()
            )
            direct.append([i for i in range(spec.action.shape[-1]) if not used or _name(spec, i) not in used])
            if k + 1 < len(self._specs):
                self._check_goal(k + 1)
        return direct

    def _check_goal(self, k: int) -> None:
        level, upper, spec = self._levels[k], self._levels[k - 1], self._specs[k]
        wanted = spec.goal
        if wanted is None:
            raise ValueError(f"{level.name} has no goal that {upper.name} could set")
        names = tuple(e.name for e in level.goal)
        expected = wanted.names or tuple(str(i) for i in range(wanted.shape[-1]))
        if names != expected:
            raise ValueError(f"{level.name} has the goal {expected}; {upper.name} sets {names}")
        if level.unit != wanted.unit:
            raise ValueError(f"{level.name} has a goal in {wanted.unit!r}; it is set in {level.unit!r}")
        known = self._specs[k - 1].action.names
        for entry in level.goal:
            if entry.action and entry.action not in known:
                hint = _near(entry.action, known)
                raise ValueError(
                    f"goal {entry.name!r} of {level.name} is set by {entry.action!r}, which is no action of "
                    f"{upper.name}{hint}; actions: {', '.join(known) or 'without names'}"
                )

    def _needed(self) -> dict[str, ArraySpec]:
        """Return the observations that the levels read, each entry once."""
        found: dict[str, ArraySpec] = {}
        for k, (level, spec) in enumerate(zip(self._levels, self._specs, strict=True)):
            for key, array in spec.obs.items():
                if k and key == GOAL:
                    continue
                names = tuple(level.rename.get(n, n) for n in array.names)
                have = found.get(key)
                if have is None:
                    found[key] = replace(array, names=names)
                elif not names or not have.names:
                    if (have.shape, have.names) != (array.shape, names):
                        raise ValueError(
                            f"{level.name} reads {key!r} of shape {array.shape}, not {have.shape}"
                        )
                else:
                    merged = have.names + tuple(n for n in names if n not in have.names)
                    low, high = min(have.low, array.low), max(have.high, array.high)
                    found[key] = replace(have, shape=(len(merged),), names=merged, low=low, high=high)
        return found

    def _pick(self, k: int, offered: Mapping[str, ArraySpec]) -> dict[str, tuple[str, _Pick]]:
        """Return, for every observation of level k but a goal that it is given, where it comes from."""
        level, picks = self._levels[k], {}
        for key, array in self._specs[k].obs.items():
            if not (k and key == GOAL):
                picks[key] = _find(level, key, array, offered)
        return picks

    def _action(self) -> ArraySpec:
        names: list[str] = []
        first = self._specs[0].action
        for level, spec, direct in zip(self._levels, self._specs, self._direct, strict=True):
            a = spec.action
            if (a.unit, a.low, a.high) != (first.unit, first.low, first.high):
                raise ValueError(
                    f"{level.name} acts in {a.unit!r} within [{a.low:g}, {a.high:g}], {self._levels[0].name} "
                    f"in {first.unit!r} within [{first.low:g}, {first.high:g}]; they must agree"
                )
            names += [level.prefix + (a.names[i] if a.names else f"{level.name}.{i}") for i in direct]
        twice = {n for n in names if names.count(n) > 1}
        if twice:
            raise ValueError(f"two levels act on {sorted(twice)[0]!r}; give one of them a prefix")
        return replace(first, shape=(len(names),), names=tuple(names))


def _find(level: Level, key: str, array: ArraySpec, offered: Mapping[str, ArraySpec]) -> tuple[str, _Pick]:
    """Return which observation holds what a level calls `key`, and its columns there."""
    names = tuple(level.rename.get(n, n) for n in array.names)
    if not names:
        if key not in offered or offered[key].shape != array.shape:
            raise ValueError(f"{level.name} reads {key!r} of shape {array.shape}; there is none like it")
        return key, _Pick(None)
    for outside in (key, *offered):  # its own name first
        there = offered[outside].names if outside in offered else ()
        if set(names) <= set(there):
            if there == names:
                return outside, _Pick(None)
            return outside, _Pick(tuple(there.index(n) for n in names))
    every = [n for spec in offered.values() for n in spec.names]
    missing = next((n for n in names if n not in every), names[0])
    hint = _near(missing, every)
    raise ValueError(f"{level.name} reads {missing!r} in {key!r}, which is not observed{hint}")


def _name(spec: PolicySpec, i: int) -> str:
    return spec.action.names[i] if spec.action.names else ""


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _is_whole(ratio: float) -> bool:
    return round(ratio) >= 1 and abs(ratio - round(ratio)) < _RATE_TOLERANCE * ratio
