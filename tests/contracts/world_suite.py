"""Conformance suite of the `World` contract. Every implementer runs it:

class TestMyWorld(WorldSuite):
    families = ("container", ...)

    @pytest.fixture
    def world(self):
        world = MyWorld(...)
        yield world
        world.close()

    def state(self, world): ...  # true state as a flat array
    def solve(self, world): ...  # puts the truth into a state in which the goal holds
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from perception_tools.camera import Camera
from policies.robot import Robot
from policies.world import World


class WorldSuite:
    """Inherit; provide `world`, `families`, `state` and `solve`."""

    families: tuple[str, ...] = ()
    seeds = (0, 1, 2)

    def state(self, world: Any) -> np.ndarray:
        raise NotImplementedError

    def solve(self, world: Any) -> None:
        raise NotImplementedError

    def episodes(self, world: World) -> list[tuple[int, str]]:
        return [(seed, family) for family in self.families for seed in self.seeds]

    def test_is_a_world(self, world: World) -> None:
        assert isinstance(world, World)

    def test_episode_is_complete(self, world: World) -> None:
        for seed, family in self.episodes(world):
            episode = world.reset(seed, family)
            assert (episode.seed, episode.family) == (seed, family)
            assert episode.instruction.strip()
            assert isinstance(episode.robot, Robot)
            assert episode.cameras
            for name, camera in episode.cameras.items():
                assert isinstance(camera, Camera) and camera.name == name
            json.dumps(dict(episode.meta))

    def test_equal_seeds_give_equal_episodes(self, world: World) -> None:
        for seed, family in self.episodes(world):
            first = world.reset(seed, family)
            state = self.state(world)
            world.reset(seed + 1, family)
            again = world.reset(seed, family)
            assert again.instruction == first.instruction
            assert again.expected == first.expected and dict(again.meta) == dict(first.meta)
            assert np.array_equal(self.state(world), state)

    def test_different_seeds_differ(self, world: World) -> None:
        states = []
        for seed in range(4):
            world.reset(seed, self.families[0])
            states.append(self.state(world))
        for k, a in enumerate(states):
            for b in states[k + 1 :]:
                assert a.shape != b.shape or not np.allclose(a, b)

    def test_family_follows_from_the_seed(self, world: World) -> None:
        drawn = [world.reset(seed).family for seed in range(len(self.families))]
        assert drawn == [world.reset(seed).family for seed in range(len(self.families))]
        assert set(drawn) == set(self.families)

    def test_unknown_family_lists_the_valid_ones(self, world: World) -> None:
        with pytest.raises(ValueError, match=self.families[0]) as error:
            world.reset(0, "no-such-family")
        assert "no-such-family" in str(error.value)

    def test_judge_needs_an_episode(self, world: World) -> None:
        with pytest.raises(RuntimeError, match="reset"):
            world.judge()

    def test_nothing_is_done_at_the_start(self, world: World) -> None:
        """Goals do not hold yet; where nothing must be moved, nothing has been."""
        for seed, family in self.episodes(world):
            episode = world.reset(seed, family)
            judgement = world.judge()
            assert judgement.success == (episode.expected != "done"), (seed, family, judgement.reason)
            assert judgement.reason

    def test_judge_sees_that_the_goal_holds(self, world: World) -> None:
        for seed, family in self.episodes(world):
            if world.reset(seed, family).expected == "done":
                self.solve(world)
                judgement = world.judge()
                assert judgement.success, (seed, family, judgement.reason)

    def test_judging_changes_nothing(self, world: World) -> None:
        world.reset(0, self.families[0])
        before = self.state(world)
        first = world.judge()
        assert world.judge() == first
        assert np.array_equal(self.state(world), before)

    def test_facts_are_json(self, world: World) -> None:
        world.reset(0, self.families[0])
        facts = world.judge().facts
        assert json.loads(json.dumps(facts)) == facts

    def test_rows_are_deterministic(self, world: World) -> None:
        rows = [dict(r) for r in world.rows(3, 6)]
        assert len(rows) == 6 and len({r["id"] for r in rows}) == 6
        assert rows == [dict(r) for r in world.rows(3, 6)]
        for row in rows:
            assert row["question"] and row["answer"] is not None
            json.dumps(row)

    def test_close_is_idempotent(self, world: World) -> None:
        world.reset(0, self.families[0])
        world.close()
        world.close()
