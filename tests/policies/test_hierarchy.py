"""Composition of levels; expected numbers are derived by hand in the comments."""

import numpy as np
import pytest

from policies.hierarchy import GoalEntry, HierarchicalPolicy, Level
from policies.policy import ArraySpec, Policy, PolicySpec

ARM = ArraySpec((2,), ("x", "opening"), low=-1.0, high=1.0)
HAND = ArraySpec((2,), ("thumb", "index"), low=-1.0, high=1.0)
MM = ArraySpec((2,), ("opening", "shift"), "m")


class Linear:
    """Acts by ``sum over observations of weight @ value``; counts its calls."""

    def __init__(self, spec, **weights):
        self._spec, self._weights, self.seen, self.resets = spec, weights, [], 0

    @property
    def spec(self):
        return self._spec

    def reset(self):
        self.resets += 1

    def act(self, obs):
        self.seen.append({k: np.array(v) for k, v in obs.items()})
        return sum(np.asarray(obs[k]) @ np.array(w, float).T for k, w in self._weights.items())


def upper(step_dt=0.2, action=ARM, names=("a", "b")):
    obs = {"observation": ArraySpec((len(names),), names), "desired_goal": ArraySpec((1,), ("z",), "m")}
    spec = PolicySpec(obs, action, ArraySpec((1,), ("z",), "m"), step_dt)
    # x = a; opening = b + 2 z
    return Linear(spec, observation=[[1, 0], [0, 1]], desired_goal=[[0], [2]])


def lower(step_dt=0.04, goal=MM, names=("c", "a")):
    obs = {"observation": ArraySpec((len(names),), names), "desired_goal": MM}
    # thumb = c + goal's opening; index = 10 a
    return Linear(
        PolicySpec(obs, HAND, goal, step_dt),
        observation=[[1, 0], [0, 10]],
        desired_goal=[[1, 0], [0, 0]],
    )


GOAL = (GoalEntry("opening", "opening", scale=0.01, offset=0.02), GoalEntry("shift"))


def compose(up=None, low=None, obs=None, **changes):
    settings = {"policy": low or lower(), "goal": GOAL, "unit": "m", "name": "hand"} | changes
    return HierarchicalPolicy([Level(up or upper(), name="arm"), Level(**settings)], obs)


def observe(a=0.5, b=0.1, c=3.0, z=0.2):
    return {"observation": np.array([a, b, c]), "desired_goal": np.array([z])}


def test_goal_is_an_affine_map_of_the_upper_action_and_the_rest_acts_directly():
    whole = compose()
    assert isinstance(whole, Policy)
    # upper: x = 0.5, opening = 0.1 + 2 * 0.2 = 0.5; goal = 0.02 + 0.01 * 0.5 = 0.025
    # lower: thumb = 3 + 0.025, index = 10 * 0.5
    assert np.allclose(whole.act(observe()), [0.5, 3.025, 5.0])
    assert np.allclose(whole.goals[0], [0.025, 0.0])


def test_spec_of_the_whole_is_derived():
    spec = compose().spec
    assert spec.action == ArraySpec((3,), ("x", "thumb", "index"), low=-1.0, high=1.0)
    assert spec.obs["observation"].names == ("a", "b", "c") and spec.obs["observation"].shape == (3,)
    assert spec.obs["desired_goal"].names == ("z",) and spec.goal.names == ("z",)
    assert spec.step_dt == 0.04


def test_levels_act_at_their_own_rates():
    whole = compose()
    actions = np.array([whole.act(observe(a=k)) for k in range(7)])
    # The upper level acts in steps 0 and 5 and holds x = a of then; the lower one in each: index = 10 k.
    assert actions[:, 0].tolist() == [0, 0, 0, 0, 0, 5, 5]
    assert actions[:, 2].tolist() == [10 * k for k in range(7)]
    arm, hand = (level.policy for level in whole.levels)
    assert len(arm.seen) == 2 and len(hand.seen) == 7


def test_reset_reaches_every_level_and_begins_a_new_period():
    whole = compose()
    arm, hand = (level.policy for level in whole.levels)
    before = arm.resets, hand.resets
    whole.act(observe(a=1.0))
    whole.act(observe(a=2.0))
    whole.reset()
    assert (arm.resets, hand.resets) == (before[0] + 1, before[1] + 1)
    assert whole.act(observe(a=3.0))[0] == 3.0 and whole.goals[0] is not None


def test_goals_are_limited():
    goal = (GoalEntry("opening", "opening", scale=1.0, low=0.0, high=0.3), GoalEntry("shift", offset=0.001))
    whole = compose(goal=goal)
    # opening = 0.1 + 2 * 0.2 = 0.5, limited to 0.3; shift is constant.
    whole.act(observe())
    assert np.allclose(whole.goals[0], [0.3, 0.001])


def test_batches_act_as_their_rows():
    whole, rng = compose(), np.random.default_rng(0)
    obs = {"observation": rng.normal(size=(4, 3)), "desired_goal": rng.normal(size=(4, 1))}
    together = whole.act(obs)
    for k in range(4):
        whole.reset()
        assert np.allclose(whole.act({n: v[k] for n, v in obs.items()}), together[k])


def test_entries_are_found_by_name_whatever_their_order():
    offered = {
        "observation": ArraySpec((4,), ("c", "unused", "b", "a")),
        "desired_goal": ArraySpec((1,), ("z",), "m"),
    }
    whole = compose(obs=offered)
    obs = {"observation": np.array([3.0, 99.0, 0.1, 0.5]), "desired_goal": np.array([0.2])}
    assert np.allclose(whole.act(obs), compose().act(observe()))
    renamed = compose(low=lower(names=("c", "q")), rename={"q": "a"}, obs=offered)
    assert np.allclose(renamed.act(obs), whole.act(obs))


def test_hierarchies_nest_to_any_depth():
    """Three levels at once, and the lower two as one policy, act alike."""
    top_spec = PolicySpec(
        {"observation": ArraySpec((1,), ("a",))},
        ArraySpec((1,), ("lift",), low=-1.0, high=1.0),
        None,
        0.4,
    )
    lift = (GoalEntry("z", "lift", scale=0.1),)

    def levels():
        return Level(upper(), goal=lift, unit="m"), Level(lower(), goal=GOAL, unit="m")

    top = Level(Linear(top_spec, observation=[[1.0]]))
    flat = HierarchicalPolicy([top, *levels()])
    inner = HierarchicalPolicy([Level(upper()), Level(lower(), goal=GOAL, unit="m")])
    nested = HierarchicalPolicy([Level(Linear(top_spec, observation=[[1.0]]))])
    assert flat.spec.action.names == ("x", "thumb", "index") and nested.spec.step_dt == 0.4
    # inner has a rate of 0.04 s: top : inner = 10 : 1, as in the flat one.
    outer = HierarchicalPolicy([Level(Linear(top_spec, observation=[[1.0]])), Level(inner, lift, "m")])
    for k in range(12):
        obs = {"observation": np.array([0.1 * k, 0.2, 0.3])}
        # lift = a = 0 in step 0 and 1 in step 10: z = 0.1 * lift, opening = 0.2 + 2 z
        action = flat.act(obs)
        assert np.allclose(action, outer.act(obs))
    assert np.allclose(flat.goals[0], [0.1]) and np.allclose(flat.goals[1], [0.02 + 0.01 * (0.2 + 0.2), 0.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"up": upper(0.1)},
            r"arm acts every 0\.1 s and the level below every 0\.04 s; use a whole multiple",
        ),
        ({"up": upper(0.02)}, "whole multiple"),
        ({"low": lower(goal=None)}, "hand has no goal that arm could set"),
        ({"goal": GOAL[:1]}, r"hand has the goal \('opening', 'shift'\); arm sets \('opening',\)"),
        ({"goal": GOAL[::-1]}, "hand has the goal"),
        ({"unit": "mm"}, "hand has a goal in 'm'; it is set in 'mm'"),
        ({"goal": (GoalEntry("opening", "opeming"), GOAL[1])}, "no action of arm; did you mean 'opening'"),
        ({"prefix": "x", "low": lower()}, None),
        (
            {"rename": {"c": "d"}, "obs": {"observation": ArraySpec((2,), ("a", "b"))}},
            "which is not observed",
        ),
    ],
)
def test_levels_that_do_not_fit_are_refused(change, message):
    if message is None:
        assert compose(**change).spec.action.names == ("x", "xthumb", "xindex")
        return
    with pytest.raises(ValueError, match=message):
        compose(**change)


def test_actions_must_agree_and_differ_in_name():
    other = ArraySpec((2,), ("x", "opening"), "rad", low=-1.0, high=1.0)
    with pytest.raises(ValueError, match=r"hand acts in '1' within .* arm in 'rad'"):
        compose(up=upper(action=other))
    with pytest.raises(ValueError, match="two levels act on 'thumb'; give one of them a prefix"):
        compose(up=upper(action=ArraySpec((2,), ("thumb", "opening"), low=-1.0, high=1.0)))
    with pytest.raises(ValueError, match="at least one level"):
        HierarchicalPolicy([])
    with pytest.raises(ValueError, match="nothing above it sets its goal"):
        HierarchicalPolicy([Level(upper(), goal=GOAL)])
    with pytest.raises(ValueError, match="use low <= high"):
        GoalEntry("opening", low=1.0, high=0.0)


def test_observations_that_do_not_fit_are_refused_when_acting():
    whole = compose()
    with pytest.raises(ValueError, match=r"arm reads 'desired_goal'; given are observation"):
        whole.act({"observation": np.zeros(3)})
    with pytest.raises(ValueError, match=r"observation has shape \(2,\), expected"):
        whole.act({"observation": np.zeros(2), "desired_goal": np.zeros(1)})
