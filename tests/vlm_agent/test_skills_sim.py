"""Skills on the simulated arm with real perception: physics, noise, and nothing told but pictures."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from perception_tools.errors import Cancelled, Failed, Refused, ToolError
from perception_tools.registry import load_tools
from perception_tools.results import ToolOutput
from policies.safe_robot import SafeRobot
from policies.safety import SafetyConfig, SafetyFilter
from sim.camera import SimCamera
from sim.kinematics import MujocoKinematics
from sim.objects import ObjectSpec, Shape, sample_object
from sim.rendering import Renderer
from sim.robot import SimRobot
from sim.robots.fr3 import FR3
from sim.robots.model import WRIST_CAMERA
from sim.scene import PlacedObject, SceneConfig, TabletopScene, sample_layout
from tests.contracts.skill_suite import SkillBench, SkillSuite
from vlm_agent.skills.context import SkillContext
from vlm_agent.skills.registry import load_skills

pytestmark = pytest.mark.render

MAX_TABLE_FORCE_N = 30.0
KINEMATICS = MujocoKinematics(FR3)
TOOLS = load_tools(["capture", "detect", "grasp", "free_space"])
SKILLS = load_skills()


@dataclass
class Bench:
    """A table, an arm and its skills; `value` calls a tool or a skill by name."""

    ctx: SkillContext
    scene: TabletopScene
    driver: SimRobot

    def value(self, name: str, **arguments):
        output = {**TOOLS, **SKILLS}[name](self.ctx, **arguments)
        return output.value if isinstance(output, ToolOutput) else output

    def grasp_of(self, query: str) -> str:
        image = self.value("capture").image
        found = self.value("detect", image=image, query=query)
        assert found.count == 1, [o.label for o in found.objects]
        return self.value("grasp", mask=found.objects[0].mask).grasp

    def box_of(self, query: str) -> tuple[str, str]:
        image = self.value("capture").image
        return image, self.value("detect", image=image, query=query).objects[0].box

    def position(self, name: str) -> np.ndarray:
        return self.scene.object_pose(name)[0]

    def bottom_m(self, name: str) -> float:
        spec = next(o for o in self.scene.objects if o.name == name)
        return float(self.position(name)[2] - spec.size_m[2] / 2)


def make_bench(*placed: tuple[ObjectSpec, float, float, float], seed: int = 0) -> Bench:
    rng = np.random.default_rng(seed)
    objects = [PlacedObject(spec, (x, y, spec.size_m[2] / 2 + 0.0005), yaw) for spec, x, y, yaw in placed]
    scene = TabletopScene(sample_layout(rng, objects, SceneConfig()), SceneConfig(), FR3)
    assert scene.settle()
    driver = SimRobot(scene.model, scene.data, FR3, lock=scene.lock)
    renderer = Renderer(scene.model, scene.data, scene.lock)
    safety = SafetyFilter(
        driver.limits,
        SafetyConfig(),
        gripper_width_m=driver.gripper_width_m,
        forward=KINEMATICS.forward,
        lowest_point=KINEMATICS.lowest_point,
    )
    cameras = {n: SimCamera(n, renderer, seed=seed) for n in ("scene", WRIST_CAMERA)}
    return Bench(SkillContext.create(SafeRobot(driver, safety), KINEMATICS, cameras), scene, driver)


def thing(name: str, shape: Shape, color: str, seed: int = 0) -> ObjectSpec:
    return sample_object(np.random.default_rng(seed), name, shape, color)


@pytest.fixture
def clean() -> Iterator[list[Bench]]:
    """Benches of a test; no joint limit may have been violated, nor the table been hit."""
    benches: list[Bench] = []
    yield benches
    for bench in benches:
        facts = bench.driver.safety_facts()
        assert facts["limit_violations"] == {}
        assert facts["peak_support_force_n"] < MAX_TABLE_FORCE_N


# ---- picking and placing ------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("shape", ["box", "cylinder", "sphere", "mug", "bowl", "tray"])
def test_what_is_picked_and_placed_is_truly_there(shape, seed, clean):
    rng = np.random.default_rng(seed)
    x, y, yaw = rng.uniform(0.42, 0.58), rng.uniform(-0.16, -0.06), rng.uniform(-3, 3)
    other = thing("other", "box", "yellow", seed + 7)
    b = make_bench((thing("it", shape, "blue", seed), x, y, yaw), (other, 0.5, 0.22, 0.4), seed=seed)
    clean.append(b)
    picked = b.value("pick", grasp=b.grasp_of(f"blue {shape}"))
    assert picked.held and picked.width_m > 0.002 and picked.force_n > 5
    assert picked.label == f"blue {shape}"
    assert b.bottom_m("it") > 0.08
    target = (0.48, 0.04, 0.0)
    placed = b.value("place", position_m=target)
    assert placed.released and placed.homed
    assert np.linalg.norm(b.position("it")[:2] - target[:2]) < 0.03
    assert placed.error_m == pytest.approx(np.linalg.norm(b.position("it")[:2] - target[:2]), abs=0.02)
    assert b.bottom_m("it") == pytest.approx(0, abs=0.003)
    assert b.position("other")[:2] == pytest.approx([0.5, 0.22], abs=0.005)


def test_into_a_bowl(clean):
    b = make_bench(
        (thing("it", "box", "red"), 0.45, -0.15, 0.3), (thing("bowl", "bowl", "blue"), 0.55, 0.12, 0.0)
    )
    clean.append(b)
    b.value("pick", grasp=b.grasp_of("red box"))
    b.value("home")
    image, box = b.box_of("bowl")
    held = b.ctx.memory.held
    assert held is not None
    spot = b.value("free_space", relation="inside", reference=box, size_m=held.size_m[:2], image=image)
    placed = b.value("place", position_m=tuple(spot.position_m))
    assert placed.released
    assert np.linalg.norm(b.position("it")[:2] - b.position("bowl")[:2]) < 0.04
    assert b.position("bowl")[:2] == pytest.approx([0.55, 0.12], abs=0.01)


def test_onto_a_box_and_off_again(clean):
    base = thing("base", "box", "green", 3)
    b = make_bench((thing("it", "cylinder", "red"), 0.45, -0.15, 0.0), (base, 0.5, 0.1, 0.5))
    clean.append(b)
    b.value("pick", grasp=b.grasp_of("red cylinder"))
    top = b.position("base")[2] + base.size_m[2] / 2
    placed = b.value("place", position_m=(0.5, 0.1, float(top)))
    assert placed.position_m[2] == pytest.approx(top, abs=0.01)
    assert b.bottom_m("it") == pytest.approx(top, abs=0.003)
    assert b.value("pick", grasp=b.grasp_of("red cylinder")).held
    b.value("place", position_m=(0.45, -0.15, 0.0))
    assert b.bottom_m("it") == pytest.approx(0, abs=0.003)


def test_between_neighbours(clean):
    """Three boxes in a row with gaps of 3 cm; the middle one is taken and put back."""
    boxes = [
        (thing(f"b{k}", "box", c, 2), 0.5, y, 0.0)
        for k, (c, y) in enumerate(zip(("red", "blue", "green"), (-0.085, 0.0, 0.085), strict=True))
    ]
    b = make_bench(*boxes)
    clean.append(b)
    assert b.value("pick", grasp=b.grasp_of("blue box")).held
    b.value("home")
    b.value("place", position_m=(0.5, 0.0, 0.0))
    assert b.position("b1")[:2] == pytest.approx([0.5, 0.0], abs=0.01)
    for name, y in (("b0", -0.085), ("b2", 0.085)):
        assert b.position(name)[:2] == pytest.approx([0.5, y], abs=0.004)


# ---- what is promised is sensed -----------------------------------------------------------------


def test_taken_away_after_it_was_seen_is_missed(clean):
    b = make_bench((thing("it", "box", "red"), 0.5, 0.0, 0.3))
    clean.append(b)
    grasp = b.grasp_of("red box")
    b.scene.set_object_pose("it", np.array([0.4, 0.3, 0.03]))
    with pytest.raises(Failed) as error:
        b.value("pick", grasp=grasp)
    assert error.value.reason == "missed"
    assert b.driver.state().gripper.width_m > 0.07 and b.ctx.ee_pose().position_m[2] > 0.08
    assert b.value("pick", grasp=b.grasp_of("red box")).held  # looking again helps


def test_taken_out_of_the_hand_is_dropped(clean):
    b = make_bench((thing("it", "box", "red"), 0.5, 0.0, 0.3))
    clean.append(b)
    b.value("pick", grasp=b.grasp_of("red box"))
    start_s = b.ctx.clock()

    def take(time_s: float) -> None:
        if 0.4 < time_s - start_s < 0.45:
            b.scene.set_object_pose("it", np.array([0.4, 0.3, 0.03]))

    b.driver.add_listener(0.01, take)
    with pytest.raises(Failed) as error:
        b.value("place", position_m=(0.55, -0.15, 0.0))
    assert error.value.reason == "dropped"
    assert b.ctx.memory.held is None


def test_rolled_away_is_misplaced(clean):
    """Someone takes what was just put down: it is looked for, and seen elsewhere."""
    b = make_bench((thing("it", "box", "red"), 0.5, 0.0, 0.3))
    clean.append(b)
    b.value("pick", grasp=b.grasp_of("red box"))
    moved = []

    def take(time_s: float) -> None:
        if not moved and b.ctx.memory.held is None:
            moved.append(time_s)
            b.scene.set_object_pose("it", np.array([0.55, 0.2, 0.03]))

    b.driver.add_listener(0.02, take)
    with pytest.raises(Failed) as error:
        b.value("place", position_m=(0.5, -0.15, 0.0))
    assert error.value.reason == "misplaced"
    assert error.value.evidence["position_m"][:2] == pytest.approx([0.55, 0.2], abs=0.02)


def test_unseen_obstacle_is_felt_softly():
    """A box appears under the way of the held object after it was looked for: contact, small force."""
    b = make_bench(
        (thing("it", "box", "red"), 0.45, -0.15, 0.3), (thing("late", "box", "blue", 1), 0.4, 0.3, 0.0)
    )
    b.value("pick", grasp=b.grasp_of("red box"))
    start_s = b.ctx.clock()
    put = []

    def appear(time_s: float) -> None:
        if time_s - start_s > 0.5 and not put:
            put.append(time_s)
            b.scene.set_object_pose("late", np.array([0.55, 0.05, b.scene.objects[1].size_m[2] / 2]))

    b.driver.add_listener(0.02, appear)
    with pytest.raises(Failed) as error:
        b.value("place", position_m=(0.55, 0.05, 0.0))
    assert error.value.reason == "contact"
    assert b.driver.safety_facts()["peak_external_force_n"] < 60
    assert b.ctx.memory.held is not None


def test_dry_runs_move_nothing(clean):
    b = make_bench((thing("it", "box", "red"), 0.5, 0.0, 0.3))
    clean.append(b)
    grasp, start_s = b.grasp_of("red box"), b.ctx.clock()
    value = b.value("pick", grasp=grasp, dry_run=True)
    assert value.dry_run and not value.held and value.motion_s > 1
    assert b.ctx.clock() == start_s and b.ctx.workspace.epoch == 0


def test_places_nothing_without_holding(clean):
    b = make_bench((thing("it", "box", "red"), 0.5, 0.0, 0.3))
    clean.append(b)
    with pytest.raises(Refused) as error:
        b.value("place", position_m=(0.5, 0.1, 0.0))
    assert error.value.reason == "not_holding"


@pytest.mark.parametrize("after_s", [0.8, 2.0, 3.5])
def test_cancel_and_stop_end_a_motion(after_s, clean):
    b = make_bench((thing("it", "box", "red"), 0.5, 0.0, 0.3))
    clean.append(b)
    grasp = b.grasp_of("red box")
    cancel = threading.Event()
    ctx = b.ctx.for_call("pick", "call_1", cancel)  # pyright: ignore
    b.driver.add_listener(0.02, lambda t: cancel.set() if t > after_s else None)
    with pytest.raises(Cancelled):
        SKILLS["pick"](ctx, grasp=grasp)
    assert np.abs(b.driver.state().joint_vel).max() < 0.05
    assert b.value("home").error_rad < 0.02  # not latched
    b.driver.add_listener(0.02, lambda t: b.ctx.robot.stop())
    with pytest.raises(ToolError) as error:
        b.value("move_to", position_m=(0.5, 0.1, 0.3))
    assert error.value.reason == "stopped"


# ---- looking and moving -------------------------------------------------------------------------


@pytest.mark.parametrize("target", [(0.5, 0.1, 0.03), (0.4, -0.2, 0.0), (0.62, 0.2, 0.05)])
def test_look_at_shows_the_target(target, clean):
    b = make_bench((thing("it", "box", "red"), target[0], target[1], 0.3))
    clean.append(b)
    value = b.value("look_at", target_m=target, distance_m=0.3)
    assert value.uv_px == pytest.approx((319.5, 239.5), abs=12)
    assert value.distance_m == pytest.approx(0.3, abs=0.01)
    frame = b.ctx.cameras[value.camera].capture()
    red = frame.rgb[240, 320].astype(int)
    assert red[0] > 1.5 * max(red[1], red[2])


class TestSkillsOnArm(SkillSuite):
    @pytest.fixture
    def bench(self) -> SkillBench:
        b = make_bench((thing("it", "box", "red"), 0.5, 0.0, 0.3))
        sent = []
        send = b.driver.send
        b.driver.send = lambda command: sent.append(command) or send(command)  # pyright: ignore
        arguments = {
            "pick": {"grasp": b.grasp_of("red box")},
            "place": {"position_m": (0.5, -0.15, 0.0)},
            "move_to": {"position_m": (0.4, 0.1, 0.3)},
            "look_at": {"target_m": (0.45, 0.0, 0.0), "distance_m": 0.3},
            "open_gripper": {},
            "close_gripper": {"force_n": 20.0},
            "home": {},
            "stop": {},
        }
        return SkillBench(b.ctx, SKILLS, arguments, lambda: len(sent))
