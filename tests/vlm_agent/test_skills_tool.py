"""Skills of the tool in the hand: what they know before, what they sense, and the real thing simulated."""

import threading
from functools import cache

import numpy as np
import pytest

from perception_tools.boxes import Box3D
from perception_tools.camera import RgbdFrame
from perception_tools.errors import BadArguments, Cancelled, Negative, Refused, ToolError
from perception_tools.geometry import Intrinsics, Transform, look_at
from perception_tools.tool import ToolCall
from policies.held_tool import ToolReading
from policies.tool_use import ObjectEstimate
from tests.contracts.skill_suite import SkillBench, SkillSuite
from tests.vlm_agent.gantry import make_gantry
from vlm_agent.skills.failures import REASONS
from vlm_agent.skills.held_tool import Follower, ToolSkillConfig, estimate_of, require_tool, still_lies
from vlm_agent.skills.registry import load_skills

SKILLS = load_skills()
CONFIG = ToolSkillConfig()


def reading(p_tip, opening_m, turn_rad=0.0, stamp_s=0.0):
    """The tool points down; its tips part along world x, turned by `turn_rad`."""
    c, s = np.cos(turn_rad), np.sin(turn_rad)
    across, down = np.array([c, s, 0.0]), np.array([0.0, 0.0, -1.0])
    axes = np.stack([np.cross(across, down), across, down], axis=1)
    T_world_tool = Transform.from_parts(p_tip - 0.07 * down, axes, parent="world", child="tool")
    T_palm_tool = Transform.from_parts([0, 0, 0.1], np.eye(3), parent="palm", child="tool")
    return ToolReading(opening_m, 0.0, T_world_tool, T_palm_tool, np.array(p_tip, dtype=float), stamp_s)


# ---- the box of a thing ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size_m", "yaw_deg", "tips_deg", "turn_deg", "width_m"),
    [
        ((0.04, 0.01, 0.01), 90, 0, 0, 0.01),  # long side along y: across x
        ((0.04, 0.01, 0.01), -70, 0, 20, 0.01),
        ((0.04, 0.01, 0.01), 90, 180, 0, 0.01),  # tips have no sign
        ((0.04, 0.01, 0.01), 0, 0, -90, 0.01),
        ((0.012, 0.012, 0.01), 80, 0, -10, 0.012),  # a square may be held across either side
    ],
)
def test_tips_close_across_the_short_side(size_m, yaw_deg, tips_deg, turn_deg, width_m):
    box = Box3D(np.array([0.4, 0.1, 0.005]), np.array(size_m), np.deg2rad(yaw_deg))
    axis = np.array([np.cos(np.deg2rad(tips_deg)), np.sin(np.deg2rad(tips_deg)), 0.0])
    thing = estimate_of(box, axis)
    assert np.isclose(np.rad2deg(thing.yaw_rad), turn_deg, atol=1e-6) and np.isclose(thing.width_m, width_m)
    assert np.isclose(thing.half_height_m, 0.005) and np.allclose(thing.p_world, box.center_m)


# ---- following it ----------------------------------------------------------------------------------

LAY = np.array([0.45, 0.0, 0.007])


def beside(*shift_m):
    """A point beside where the thing lies [m]."""
    return LAY + np.array(shift_m)


THING = ObjectEstimate(LAY, 0.0, 0.014, 0.007)


def followed(*readings):
    follower = Follower(THING, CONFIG)
    return follower, [follower.update(r) for r in readings][-1]


def test_a_thing_stays_where_it_was_seen_until_tips_close_on_it():
    follower, now = followed(reading(beside(0, 0, 0.05), 0.026), reading(LAY, 0.026))
    assert not follower.is_held and np.allclose(now.p_world, LAY)


def test_held_it_moves_with_the_tips():
    up = np.array([0.0, 0.03, 0.08])
    follower, now = followed(reading(LAY, 0.013), reading(LAY + up, 0.013))
    assert follower.is_held and np.allclose(now.p_world, LAY + up)


def test_it_turns_with_the_tips():
    follower = Follower(ObjectEstimate(beside(0.004, 0.0, 0.0), 0.0, 0.014, 0.007), CONFIG)
    follower.update(reading(LAY, 0.013))
    now = follower.update(reading(LAY, 0.013, turn_rad=np.pi / 2))
    assert np.allclose(now.p_world, beside(0.0, 0.004, 0.0))


def test_tips_that_close_beside_it_hold_nothing():
    follower, _ = followed(*[reading(beside(0, 0.02, 0), w) for w in (0.02, 0.013, 0.013)])
    assert not follower.is_held


def test_tips_that_close_fully_where_it_lies_have_missed():
    follower, now = followed(*[reading(LAY, 0.001)] * 12)
    assert follower.has_missed and not follower.is_held and np.allclose(now.p_world, LAY)


def test_what_slips_out_at_once_is_taken_to_lie_where_it_lay():
    follower, now = followed(reading(LAY, 0.013), reading(beside(0.02, 0, 0.005), 0.004))
    assert not follower.is_held and np.allclose(now.p_world, LAY)


def test_what_slips_out_on_high_falls_below_the_tips():
    at = beside(0.02, 0.0, 0.08)
    follower, now = followed(reading(LAY, 0.013), reading(at, 0.013), reading(at, 0.002))
    assert not follower.is_held and np.allclose(now.p_world, [at[0], at[1], 0.007])


# ---- looking where it lay --------------------------------------------------------------------------


def top_view(height_m):
    """A camera 0.4 m above a table, with a square plate of 30 mm at the middle that is this high."""
    intrinsics = Intrinsics.from_fovy(np.deg2rad(30.0), 200, 200)
    pose = look_at([0.45, 0.0, 0.4], [0.45, 0.0, 0.0], parent="world", child="camera:scene")
    depth = np.full((200, 200), 0.4, np.float32)
    half = round(0.015 * intrinsics.fx / 0.4)
    depth[100 - half : 100 + half, 100 - half : 100 + half] -= height_m
    return RgbdFrame(np.zeros((200, 200, 3), np.uint8), depth, intrinsics, pose, 0.0, "scene")


def test_whether_it_still_lies_there_is_seen():
    box = Box3D(np.array([0.45, 0.0, 0.007]), np.array([0.014, 0.014, 0.014]), 0.0)
    assert still_lies(box, top_view(0.014), 0.0) is True
    assert still_lies(box, top_view(0.0), 0.0) is False
    assert still_lies(box, top_view(0.2), 0.0) is None  # something hides it


# ---- without a tool --------------------------------------------------------------------------------


def test_a_hand_without_a_tool_is_refused():
    g = make_gantry()
    box = g.ctx.workspace.put("box", Box3D(LAY, np.full(3, 0.014), 0.0), frame="world", stamp_s=0.0)
    for call in (
        lambda: SKILLS["pick_with_tool"](g.ctx, tool="tweezers", object=box.name),
        lambda: SKILLS["set_tool_opening"](g.ctx, width_m=0.01),
    ):
        with pytest.raises(Refused, match="no tool in its hand") as error:
            call()
        assert error.value.reason in REASONS
    assert not g.driver.sent


# ---- the real thing --------------------------------------------------------------------------------


@cache
def configuration():
    habilis = pytest.importorskip("habilis")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra `train`)")
    pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")
    return habilis.compose("run", ["env=tweezers", "video.enabled=false"])


@pytest.fixture
def session():
    import habilis

    with habilis.build(configuration(), seed=2, family="mixed") as built:
        yield built


def red_box(session):
    """Look, and return the name of the red cube's box."""
    for name, arguments in (("capture", {"camera": "scene"}), ("detect", {"image": "image_1"})):
        (result,) = session.agent.executor.run([ToolCall("", name, arguments)])
        assert result.ok, result
    boxes = session.agent.executor.context.workspace.all("box")
    return next(b.name for b in boxes if "red" in b.label)


@pytest.mark.long
@pytest.mark.render
class TestToolSkills(SkillSuite):
    """The suite of all skills, on the simulated arm, hand and tweezers."""

    @pytest.fixture
    def bench(self, session):
        box, sent = red_box(session), []
        driver = session.robot._robot
        send = driver.send
        driver.send = lambda command: (sent.append(command), send(command))[1]
        arguments = {
            "set_tool_opening": {"width_m": 0.012},
            "pick_with_tool": {"tool": "tweezers", "object": box},
            "stop": {},
        }
        skills = {n: SKILLS[n] for n in arguments}
        return SkillBench(session.agent.executor.context, skills, arguments, lambda: len(sent))

    def test_they_succeed_in_order(self, bench):
        """As in the suite; opening makes what was seen stale, so each is called in a scene of its own."""
        opened = bench.skills["set_tool_opening"](bench.ctx, **bench.arguments["set_tool_opening"])
        assert abs(opened.opening_m - 0.012) < 0.0016 and not opened.holding
        assert bench.skills["stop"](bench.ctx).stopped

    def test_dry_runs_send_nothing(self, bench):
        for name in ("set_tool_opening", "pick_with_tool"):
            epoch = bench.ctx.workspace.epoch
            value = bench.skills[name](bench.ctx, **{**bench.arguments[name], "dry_run": True})
            assert value.dry_run and (bench.ctx.workspace.epoch, bench.num_sent()) == (epoch, 0)

    def test_reasons_are_enumerated(self, bench):
        for arguments in ({"width_m": 0.09},):
            with pytest.raises(Negative) as error:
                bench.skills["set_tool_opening"](bench.ctx, **arguments)
            assert error.value.reason == "too_wide"
        with pytest.raises(BadArguments, match="tool: tweezers"):
            bench.skills["pick_with_tool"](bench.ctx, tool="pliers", object="box_1")


@pytest.mark.long
@pytest.mark.render
def test_a_cube_is_picked_sensed_and_let_go(session):
    ctx, truth = session.agent.executor.context, session.world.judge
    picked = SKILLS["pick_with_tool"](ctx, tool="tweezers", object=red_box(session))
    assert picked.held and picked.gone is not False and truth().success, truth()
    assert abs(picked.opening_m - picked.seen_width_m) < 0.004 and 0.06 < picked.lifted_m < 0.12
    assert "simulation" in picked.tool_readings
    with pytest.raises(ToolError) as error:  # stale now, and the tips are full
        SKILLS["pick_with_tool"](ctx, tool="tweezers", object="box_1")
    assert error.value.reason == "stale"
    opened = SKILLS["set_tool_opening"](ctx, width_m=0.022)
    assert opened.released and "red" in opened.released and not truth().success
    assert truth().facts["tool_in_hand"]


@pytest.mark.long
@pytest.mark.render
def test_stop_in_the_middle_of_a_policy_keeps_the_tool_in_the_hand(session):
    ctx, robot = session.agent.executor.context, session.robot
    box = red_box(session)
    start_s = robot.clock()
    remove = session.world._robot.add_listener(
        0.1, lambda now_s: robot.stop() if now_s > start_s + 0.5 else None
    )
    with pytest.raises(Cancelled) as error:
        SKILLS["pick_with_tool"](ctx, tool="tweezers", object=box)
    remove()
    assert error.value.reason == "stopped" and robot.is_stopped
    robot.sleep(0.5)
    assert np.abs(robot.state().joint_vel).max() < 0.05
    assert session.world.judge().facts["tool_in_hand"]


@pytest.mark.long
@pytest.mark.render
def test_cancel_in_the_middle_of_a_policy(session):
    ctx, cancel = session.agent.executor.context, threading.Event()
    box, start_s = red_box(session), session.robot.clock()
    remove = session.world._robot.add_listener(
        0.1, lambda now_s: cancel.set() if now_s > start_s + 0.4 else None
    )
    bound = ctx.for_call("pick_with_tool", "call", cancel)
    with pytest.raises(Cancelled) as error:
        SKILLS["pick_with_tool"](bound, tool="tweezers", object=box)
    remove()
    assert error.value.reason == "cancelled" and not session.robot.is_stopped


@pytest.mark.long
def test_tool_skills_are_denied_unless_permitted(monkeypatch):
    import habilis

    monkeypatch.setenv("MUJOCO_GL", "disabled")
    cfg = habilis.compose("run", ["env=tweezers", "video.enabled=false", "skills.allow=[stop]"])
    with habilis.build(cfg, seed=2, family="mixed") as session:
        (result,) = session.agent.executor.run([ToolCall("", "set_tool_opening", {"width_m": 0.01})])
        assert result.error == "refused" and result.reason == "not_permitted"
        assert require_tool(session.agent.executor.context).name == "tweezers"
