"""Families `hand_over` and `weigh`: what the judge takes for done, on state that is set by hand."""

import numpy as np
import pytest

from sim.tabletop import TabletopWorld

UPRIGHT = np.array([1.0, 0, 0, 0])


@pytest.fixture(scope="module")
def world():
    world = TabletopWorld()
    yield world
    world.close()


def lift(world, name, z, x=0.6, y=0.0):
    world.scene.set_object_pose(name, np.array([x, y, z]), UPRIGHT)


def test_only_what_hangs_in_the_air_was_taken(world):
    episode = world.reset(3, "hand_over")
    target = episode.meta["target"]
    assert not world.judge().success  # it stands on the table
    lift(world, target, 0.4)
    assert world.judge().success
    lift(world, target, 0.06)
    assert not world.judge().success


def test_a_person_is_there_for_the_family_alone(world, monkeypatch):
    people = []
    monkeypatch.setattr("sim.tabletop.Person", lambda *args: people.append(args[-1].enabled))
    world.reset(3, "pick_up")
    assert people == []
    world.reset(3, "hand_over")
    assert people == [True]


def test_all_must_be_back_where_it_stood(world):
    world.reset(4, "weigh")
    assert world.judge().success
    name = world.scene.objects[0].name
    p, q = world.scene.object_pose(name)
    world.scene.set_object_pose(name, p + np.array([0.02, 0, 0]), q)
    assert world.judge().success
    world.scene.set_object_pose(name, p + np.array([0.05, 0, 0]), q)
    assert not world.judge().success and "not where it stood" in world.judge().reason
    lift(world, name, 0.4)
    assert not world.judge().success


def test_answers_are_the_true_masses(world):
    kinds = set()
    for seed in range(8):
        meta = world.reset(seed, "weigh").meta
        masses = {f"{o.color} {o.shape}": 1e3 * o.mass_kg for o in world.scene.objects}
        kinds.add(meta["kind"])
        if meta["kind"] == "weigh":
            assert any(abs(meta["answer"] - m) < 0.1 for m in masses.values()) and meta["unit"] == "g"
        elif meta["kind"] == "weigh_which":
            assert meta["answer"] == max(meta["options"], key=lambda o: masses[o])
    assert len(kinds) > 1
