"""Skills of the workshop: what they compute by hand, and one episode of each by truth."""

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")

from perception_tools.boxes import Box3D
from perception_tools.errors import BadArguments, Failed, Negative
from perception_tools.geometry import Transform
from policies.robot import JointTrajectory
from vlm_agent.scripted.run import Run
from vlm_agent.scripted.workshop import read_job
from vlm_agent.skills.context import HeldObject
from vlm_agent.skills.explore import ExploreConfig, grid
from vlm_agent.skills.handles import Way
from vlm_agent.skills.pour import PourPlan, Sensed, Weight, judge
from vlm_agent.skills.pour import _pour as pour_out
from vlm_agent.skills.pour import _without_handle as without_handle
from vlm_agent.skills.turn import Arc
from vlm_agent.skills.wipe import Patch

ROOT = Path(__file__).resolve().parents[2]
SKILLS = ("open_drawer", "turn", "wipe", "pour", "use_tool", "explore")


def load_bench():
    spec = importlib.util.spec_from_file_location(
        "bench_workshop", ROOT / "tests" / "bench" / "bench_workshop.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- by hand ------------------------------------------------------------------------------------


def test_a_patch_turned_by_90_degrees_swaps_its_sides():
    patch = Patch(np.array([0.5, 0.0]), np.array([0.1, 0.02]), np.pi / 2)
    points = np.array([[0.5, 0.09, 0.0], [0.59, 0.0, 0.0]])
    assert patch.contains(points, 0.0).tolist() == [True, False]
    assert patch.contains(points, 0.08).tolist() == [True, True]


def test_an_arc_is_measured_about_the_axis_that_is_felt():
    """A quarter turn of radius 0.1 m about (0.6, 0), seen 1 cm beside it."""
    angles = np.linspace(0, np.pi / 2, 12)
    positions = [np.array([0.6 - 0.1 * np.cos(a), -0.1 * np.sin(a), 0.16]) for a in angles]
    arc = Arc(np.array([0.61, 0.005, 0.16]), positions[0])
    assert arc.center(Way(positions[:2])) == pytest.approx([0.61, 0.005])  # too short to say
    assert arc.center(Way(positions)) == pytest.approx([0.6, 0.0], abs=0.004)
    assert arc.turned_rad(Way(positions)) == pytest.approx(np.pi / 2, abs=0.08)


def test_lighter_is_what_chance_does_not_explain():
    before = Weight(0.2020, 0.001)
    assert not Weight(0.2000, 0.001).less_than(before)  # 2 g, where chance makes 1.4
    assert Weight(0.1980, 0.001).less_than(before)
    assert not before.less_than(Weight(0.1980, 0.001))


@pytest.mark.parametrize(
    ("sensed", "empty_kg", "reason"),
    [
        ({"after": Weight(0.185, 0.001), "left": 0.0}, None, None),
        ({"after": Weight(0.192, 0.001), "left": 0.88}, None, "not_poured"),  # seen: five of twelve beads
        ({"after": Weight(0.192, 0.001), "left": None}, None, "not_poured"),  # nothing tells if it is empty
        ({"after": Weight(0.192, 0.001), "left": 0.0}, 0.185, "not_poured"),  # felt: not empty
        ({"after": Weight(0.185, 0.001), "left": None}, 0.185, None),
        ({"after": Weight(0.201, 0.001), "left": 0.0}, None, "not_poured"),  # nothing came out
        ({"after": Weight(0.185, 0.001), "left": 0.0, "still_flows": True}, None, "not_poured"),
        ({"after": Weight(0.198, 0.001), "left": 0.5, "wanted_kg": 0.008}, None, "not_poured"),
        ({"after": Weight(0.194, 0.001), "left": 0.5, "wanted_kg": 0.008}, None, None),
        ({"after": Weight(0.185, 0.001), "left": 0.0, "changed": 0.0}, None, "misplaced"),
    ],
)
def test_pour_claims_no_more_than_it_sensed(sensed, empty_kg, reason):
    ctx, held = SimpleNamespace(settings={}), SimpleNamespace(label="mug")
    outcome = Sensed(**{"tilt_deg": 110.0, "before": Weight(0.202, 0.001), "changed": 0.3} | sensed)
    if reason is None:
        judge(ctx, held, outcome, empty_kg)
        return
    with pytest.raises(Failed) as error:
        judge(ctx, held, outcome, empty_kg)
    assert error.value.reason == reason and error.value.evidence["left"] == outcome.left


@pytest.mark.parametrize(
    ("weights_g", "left", "tilts", "still_flows"),
    [
        ([202, 186, 186, 186], [None], 2, False),
        ([202, 193, 186, 186, 186], [None], 3, False),  # the second time more came out
        ([202, 190, 190, 186, 186, 186], [0.3, 0.0], 4, False),  # something was seen in it
        ([202, 198, 194, 190, 186, 186], [None], 4, True),  # it never ends
    ],
)
def test_it_is_tilted_again_until_it_gets_no_lighter(monkeypatch, weights_g, left, tilts, still_flows):
    module = sys.modules["vlm_agent.skills.pour"]
    weights, looks = iter(weights_g), iter(left)
    monkeypatch.setattr(module, "_weigh", lambda ctx: Weight(1e-3 * next(weights), 1e-3))
    monkeypatch.setattr(module, "_left", lambda ctx, held: next(looks))
    went: list[float] = []
    monkeypatch.setattr(module, "follow", lambda ctx, part, what, force_n: went.append(part.joint_pos[-1]))
    way = [
        JointTrajectory(("a",), np.array([0.0, 1.0]), np.array([[a], [b]]), np.zeros((2, 1)))
        for a, b in pairwise((0.0, 60.0, 95.0, 125.0))
    ]
    plan = PourPlan(way[0], tuple(zip((60.0, 95.0, 125.0), way, strict=True)))
    ctx, held = SimpleNamespace(settings={}), SimpleNamespace(label="mug")
    sensed = pour_out(ctx, held, plan, 1.0, None)
    assert went.count(125.0) == tilts and went[-1] == 0.0
    assert sensed.still_flows == still_flows and sensed.tilt_deg == 125.0
    assert sensed.poured.kg == pytest.approx(0.016) and next(weights, None) is None


@pytest.mark.parametrize(
    ("sigmas_kg", "chosen"),
    [([0.0014], 0), ([0.006, 0.0015], 1), ([0.006, 0.004, 0.005], 1), ([None], None)],
)
def test_what_does_not_hang_still_is_weighed_again(monkeypatch, sigmas_kg, chosen):
    module = sys.modules["vlm_agent.skills.pour"]
    readings = [None if sigma is None else Weight(0.2, sigma) for sigma in sigmas_kg]
    left = iter(readings)
    monkeypatch.setattr(module, "_weigh_once", lambda ctx: next(left))
    found = module._weigh(SimpleNamespace(settings={}))
    assert found is (None if chosen is None else readings[chosen]) and next(left, "none left") == "none left"


def test_the_handle_of_what_is_held_is_no_obstacle():
    """A mug of 7 cm by 8 cm, held 6 cm above its foot, 20 cm above the table; its handle reaches to +x."""
    T_ee_object = Transform.from_parts(np.array([0.0, 0.0, -0.06]), np.eye(3), parent="ee", child="object")
    T_world_ee = Transform.from_parts(np.array([0.5, 0.0, 0.26]), np.eye(3), parent="world", child="ee")
    held = HeldObject("mug", T_ee_object, (0.07, 0.07, 0.08), T_world_ee, 0.004, 0.0)
    ctx = SimpleNamespace(settings={}, ee_pose=lambda: T_world_ee)
    handle, below, beside = [0.56, 0.0, 0.24], [0.56, 0.0, 0.18], [0.6, 0.0, 0.24]
    assert without_handle(ctx, held, np.array([handle, below, beside])).tolist() == [below, beside]


def test_cells_fill_the_workspace():
    config = ExploreConfig(low_m=(0.0, 0.0, 0.0), high_m=(0.1, 0.05, 0.05), cell_m=0.05)
    assert sorted(map(tuple, grid(config).round(3).tolist())) == [
        (0.025, 0.025, 0.025),
        (0.075, 0.025, 0.025),
    ]


@pytest.mark.parametrize(
    ("sentence", "skill"),
    [
        ("Open the drawer.", "open_drawer"),
        ("pull the drawer open by 12 cm", "open_drawer"),
        ("turn the lever clockwise by 50 degrees", "turn"),
        ("rotate the red handle counterclockwise", "turn"),
        ("wipe the stains off the table with the sponge", "wipe"),
        ("clean the table", "wipe"),
        ("pour what is in the red cup into the bowl", "pour"),
        ("use the hook to pull the red cylinder closer", "use_tool"),
        ("find the blue block and pick it up", "explore"),
    ],
)
def test_sentences_are_read_where_their_skill_is_permitted(sentence, skill):
    job = read_job(sentence, Run(frozenset(SKILLS)))
    assert job is not None and job.skill == skill
    assert read_job(sentence, Run(frozenset({"pick", "place", "home"}))) is None


def test_other_sentences_are_no_jobs():
    run = Run(frozenset(SKILLS))
    assert read_job("put the red block in the bowl", run) is None
    assert read_job("how many blocks are on the table?", run) is None


# ---- by truth -----------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.render
@pytest.mark.parametrize(
    "family",
    ["drawer", "turn", "wipe", "hook", pytest.param("pour", marks=pytest.mark.slow), "hidden"],
)
def test_a_skill_does_what_it_says(family):
    bench = load_bench()
    figures = bench.run(family, range(1, 2), verbose=False)
    assert figures["score"] == 1.0 and figures["sensed_is_true"] == 1.0, figures["rows"]
    assert figures["limit_violations"] == 0


@pytest.mark.long
@pytest.mark.render
def test_bad_arguments_and_dry_runs_move_nothing():
    bench = load_bench()
    world = bench.WorkshopWorld()
    hands = bench.Hands(world, 0, "drawer")
    handle = hands.see("blue handle")[0].box
    before = hands.ctx.robot.state().joint_pos
    with pytest.raises(BadArguments, match=r"0\.01"):
        hands.call("open_drawer", handle=handle, distance_m=0.001)
    with pytest.raises(BadArguments, match="corners"):
        hands.call("wipe", region=[[0.1, 0.2]])
    assert hands.call("open_drawer", handle=handle, dry_run=True).dry_run
    with pytest.raises(Negative) as error:
        hands.see("stain")
    assert error.value.reason == "not_found"
    assert np.array_equal(before, hands.ctx.robot.state().joint_pos)
    box: Box3D = hands.ctx.workspace.get(handle).data
    assert np.linalg.norm(box.center_m - world.scene.site("handle")) < 0.01
    world.close()
