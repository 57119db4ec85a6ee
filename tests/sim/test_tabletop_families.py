"""Families beyond pick and place: scenes, judge and answers, against state that is set by hand."""

import numpy as np
import pytest

from sim.tabletop import FURTHER_FAMILIES, TabletopConfig, TabletopWorld
from sim.tabletop_asking import ASKING_FAMILIES, slack_m
from sim.tabletop_families import SKILL_FAMILIES


@pytest.fixture(scope="module")
def world():
    world = TabletopWorld()
    yield world
    world.close()


def put(world, name, x, y, bottom_z=0.0):
    half = next(o.size_m[2] for o in world.scene.objects if o.name == name) / 2
    world.scene.set_object_pose(name, np.array([x, y, bottom_z + half + 0.0005]), np.array([1.0, 0, 0, 0]))


def away(world, keep):
    others = [o.name for o in world.scene.objects if o.name not in keep]
    for k, name in enumerate(others):
        put(world, name, -0.15, -0.5 + 0.2 * k)


@pytest.mark.parametrize("family", FURTHER_FAMILIES)
def test_episodes_are_drawn_and_repeat(world, family):
    first = [world.reset(seed, family) for seed in range(3)]
    again = [world.reset(seed, family) for seed in range(3)]
    assert [e.instruction for e in first] == [e.instruction for e in again]
    asks = family in (*ASKING_FAMILIES, "weigh")
    assert all(e.expected == ("answered" if asks else "done") for e in first)
    assert all(("answer" in e.meta) == asks for e in first)


@pytest.mark.parametrize("family", SKILL_FAMILIES)
def test_nothing_is_done_at_the_start(world, family):
    for seed in range(6):
        world.reset(seed, family)
        assert world.judge().success == (world._judge.goal.kind == "still")


def test_a_tower_may_stand_in_any_order_but_must_stand(world):
    world.reset(next(s for s in range(40) if goal(world, s, "stack").kind == "tower"), "stack")
    names = world._judge.goal.names
    away(world, names)
    heights = {o.name: o.size_m[2] for o in world.scene.objects}
    z = 0.0
    for name in names:
        put(world, name, 0.5, 0.0, z)
        z += heights[name] + 0.0005
    world.scene.settle()
    assert world.judge().success
    put(world, names[-1], 0.6, 0.2)
    world.scene.settle()
    assert not world.judge().success


def goal(world, seed, family):
    world.reset(seed, family)
    return world._judge.goal


def test_a_push_has_a_length_and_a_direction(world):
    seed = next(s for s in range(40) if goal(world, s, "push").kind == "shifted")
    wanted = goal(world, seed, "push")
    (right, away_) = world.scene.viewer_axes
    along = {"left_of": -right, "right_of": right, "in_front_of": -away_, "behind": away_}[wanted.relation]
    start = world.scene.object_pose(wanted.target)[0][:2]
    away(world, [wanted.target])
    for share, success in ((1.0, True), (0.0, False), (2.0, False), (-1.0, False)):
        put(world, wanted.target, *(start + share * wanted.distance_m * along))
        world.scene.settle()
        assert world.judge().success == success, share


def test_a_row_is_straight_close_and_in_order(world):
    world.reset(0, "order")
    names = world._judge.goal.names
    away(world, names)

    def stand(order, spread=0.1, aside=0.0):
        for k, name in enumerate(order):
            put(world, name, 0.5 + aside * (k == 1), -0.1 + spread * k)
        world.scene.settle()
        return world.judge().success

    assert stand(names)
    assert not stand(names[::-1])
    assert not stand(names, aside=0.15)
    assert not stand(names, spread=0.25)


def test_hard_scenes_have_more_objects_and_less_light():
    normal, hard = TabletopWorld(), TabletopWorld(TabletopConfig(level="hard"))
    tasks = [[w._draw(seed, "multi", "multi")[0] for seed in range(8)] for w in (normal, hard)]
    counts = [[len(t.layout.objects) for t in ts] for ts in tasks]
    lights = [[t.layout.look.light_level for t in ts] for ts in tasks]
    assert sum(counts[1]) > sum(counts[0]) + 8 and max(lights[1]) < 0.26 < min(lights[0])


def test_whether_things_fit_by_hand(world):
    """A box of 6 x 6 cm: its diagonal of 8.5 cm, not its side, must go into a round opening."""
    world.reset(next(s for s in range(60) if "bowl" in str(world.reset(s, "fit").meta["into"])), "fit")
    objects = world.scene.objects
    box = next(o for o in objects if o.shape == "bowl")
    for o in objects:
        if o.shape == "box":
            opening = box.size_m[0] - 2 * box.wall_m
            assert slack_m(o, box) == pytest.approx(opening - np.hypot(*o.size_m[:2]))
