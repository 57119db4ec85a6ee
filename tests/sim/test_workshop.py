"""The workshop: contract, judges, what is drawn."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")

from sim.workshop import FAMILIES, WorkshopConfig, WorkshopWorld

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.render


def load_suite(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / "contracts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
class TestWorkshopWorld(load_suite("world_suite").WorldSuite):
    families = WorkshopConfig().families

    @pytest.fixture
    def world(self):
        world = WorkshopWorld()
        yield world
        world.close()

    def state(self, world):
        return np.concatenate([world.scene.data.qpos, world.scene.data.qvel])

    def solve(self, world):
        world.scene.stage.solve(world.scene)


@pytest.fixture
def world():
    world = WorkshopWorld()
    yield world
    world.close()


def test_families_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="drawer"):
        WorkshopConfig(families=("no-such-family",))
    with pytest.raises(ValueError, match="empty"):
        WorkshopConfig(families=())


def test_a_drawer_opened_too_far_is_not_opened_by_so_much(world):
    seed = next(s for s in range(20) if world.reset(s, "drawer").meta["distance_m"] is not None)
    wanted = world.reset(seed, "drawer").meta["distance_m"]
    start = world.scene.stage.start_m
    for by, is_right in ((wanted, True), (wanted + 0.04, False), (wanted - 0.04, False)):
        world.scene.set_joint("drawer", start + by)
        assert world.judge().success == is_right


def test_a_lever_turned_the_other_way_is_not_turned(world):
    world.reset(0, "turn")
    stage = world.scene.stage
    world.scene.set_joint("lever", stage.start_rad - 0.9 * stage.side)
    assert not world.judge().success


def test_beads_that_are_still_in_the_mug_are_not_spilled(world):
    world.reset(0, "pour")
    assert world.judge().facts["spilled"] == 0
    for k, x_m in enumerate((0.25, 0.27)):
        world.scene.set_joint(f"bead{k}", np.array([x_m, 0.4, 0.007, 1.0, 0.0, 0.0, 0.0]))
    judgement = world.judge()
    assert not judgement.success and judgement.facts["spilled"] == 2


def test_instructions_of_a_family_vary(world):
    for family in FAMILIES:
        assert len({world.reset(seed, family).instruction for seed in range(8)}) >= 3, family
