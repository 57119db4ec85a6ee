"""Affordances of tools: frames, answers that move with the cloud, torch and ONNX alike, the tool."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install -e '.[train]'")

from perception_tools.affordance import AffordanceConfig, encoder_of, tool_affordance
from perception_tools.affordance_baseline import GeometricEncoder
from perception_tools.affordance_frames import SIGNS, farthest, frame_cloud
from perception_tools.affordance_measure import compare
from perception_tools.affordance_onnx import ONNX_FILE, SHIPPED, OnnxEncoder
from perception_tools.affordance_state import KINDS, OUTPUTS, merge
from perception_tools.artifacts import Workspace
from perception_tools.tool import BadArguments, Negative, ToolContext
from sim.clouds import CloudsConfig, ToolClouds
from sim.clouds_views import CORRUPTIONS

ENCODERS = sorted(p.parent.name for p in SHIPPED.glob(f"*/{ONNX_FILE}"))
FIRST = 3_500_000_000  # of clouds that were never trained, calibrated or reported on


@pytest.fixture(scope="module")
def clouds():
    return ToolClouds(CloudsConfig(num_tools=9, others=0.0))


@pytest.fixture(scope="module")
def others():
    return ToolClouds(CloudsConfig(num_tools=9, others=1.0))


def pose(seed):
    rng = np.random.default_rng(seed)
    return Rotation.from_quat(rng.normal(size=4)).as_matrix(), rng.uniform(-2, 2, 3)


# ---- frames ----------------------------------------------------------------------------------------


def test_frames_are_right_handed_and_map_back(clouds):
    points = clouds.cloud(0).points
    framed = frame_cloud(points, 256)
    assert framed.points.shape == (4, 256, 3) and framed.points.dtype == np.float32
    for axes in framed.axes:
        assert axes @ axes.T == pytest.approx(np.eye(3), abs=1e-12)
        assert np.linalg.det(axes) == pytest.approx(1.0)
    back = framed.to_cloud(framed.points[:, 7].astype(np.float64))
    assert back == pytest.approx(np.repeat(back[:1], 4, 0), abs=1e-6)
    assert np.linalg.norm(points - back[0], axis=1).min() < 1e-6
    # By definition: mean squared distance 1, first axis the longest.
    assert (framed.points[0] ** 2).sum(1).mean() == pytest.approx(1.0, rel=0.05)
    spread = framed.points[0].std(0)
    assert spread[0] > spread[1] > spread[2]


def test_a_moved_cloud_has_the_same_coordinates_in_its_frames(clouds):
    points = clouds.cloud(5).points
    rotation, offset = pose(3)
    framed, moved = frame_cloud(points, 256, 16), frame_cloud(points @ rotation.T + offset, 256, 16)
    # Which of the four signs comes first may change; as a set they are the same.
    for one in framed.points:
        assert min(np.abs(one - other).max() for other in moved.points) < 1e-4
    assert moved.scale_m == pytest.approx(framed.scale_m, rel=1e-9)


def test_strays_are_dropped_and_few_points_repeated():
    rng = np.random.default_rng(0)
    bar = rng.uniform([-0.05, -0.005, -0.002], [0.05, 0.005, 0.002], (100, 3))
    framed = frame_cloud(np.concatenate([bar, [[0, 0, 0.3], [0.2, 0.1, 0]]]), 256)
    assert len(np.unique(framed.points[0], axis=0)) == 100
    assert framed.scale_m == pytest.approx(np.sqrt(((bar - bar.mean(0)) ** 2).sum(1).mean()))


def test_farthest_points_by_hand():
    line = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [10, 0, 0]])
    # 10 is farthest from the origin, then 0 from it, then 2 (8 and 2 away) rather than 1 (9 and 1).
    assert farthest(line, 3).tolist() == [3, 0, 2]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((3, 3)), "3 points shows too little"),
        (np.full((50, 3), np.nan), "0 points shows too little"),
        (np.ones((50, 3)), "in one place"),
    ],
)
def test_clouds_that_cannot_be_framed(points, message):
    with pytest.raises(ValueError, match=message):
        frame_cloud(points, 128)


def test_disagreement_of_frames_becomes_deviation(clouds):
    """Two frames say 1, two say -1 along one axis, each sure of it: mean 0, deviation 1 / sqrt(3)."""
    framed = frame_cloud(clouds.cloud(0).points, 128)
    tip = np.einsum("fij,j->fi", framed.axes, [0, 0, 1.0]) * np.array([[1], [1], [-1], [-1]])
    raw = {
        "latent": np.zeros(32), "state": np.array([0.2, -20, 0.4, -20]), "logits": np.eye(4)[1] * 9,
        "tip": tip, "approach": np.einsum("fij,j->fi", framed.axes, [1.0, 0, 0]),
        "across": SIGNS[:, :1] * np.einsum("fij,j->fi", framed.axes, [0, 1.0, 0]),
        "log_var": np.full((4, 3), -20.0), "novelty": np.array([0.3]), "temperature": np.ones(5),
    }  # fmt: skip
    state = merge(framed, raw)
    assert set(raw) == set(OUTPUTS)
    assert state.p_tip == pytest.approx(framed.center_m, abs=1e-9)
    assert state.tip_sd_m == pytest.approx(framed.scale_m / np.sqrt(3), rel=1e-3)
    assert state.approach == pytest.approx([1, 0, 0]) and state.approach_sd_rad < 1e-3
    assert abs(state.across[1]) == pytest.approx(1.0)
    assert (state.kind, state.is_tool) == ("scissors", True)
    assert state.opening_m == pytest.approx(0.2 * framed.scale_m)
    assert np.linalg.norm(state.p_tips[0] - state.p_tips[1]) == pytest.approx(state.opening_m)


# ---- encoders that ship ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*ENCODERS, "geometric"])
def test_the_answer_moves_with_the_cloud(name, clouds):
    encoder = GeometricEncoder() if name == "geometric" else encoder_of(name)
    for index in range(4):
        points = clouds.cloud(FIRST + index, "train", CORRUPTIONS["all"]).points
        rotation, offset = pose(index)
        here, there = encoder.estimate(points), encoder.estimate(points @ rotation.T + offset)
        assert there.p_tip == pytest.approx(rotation @ here.p_tip + offset, abs=2e-5)
        assert there.approach == pytest.approx(rotation @ here.approach, abs=1e-3)
        assert abs(there.across @ (rotation @ here.across)) == pytest.approx(1.0, abs=1e-4)
        assert there.opening_m == pytest.approx(here.opening_m, abs=2e-5)
        assert there.size_range_m == pytest.approx(here.size_range_m, abs=2e-5)
        assert there.latent == pytest.approx(here.latent, abs=1e-3)
        assert there.tip_sd_m == pytest.approx(here.tip_sd_m, rel=1e-2, nan_ok=True)


@pytest.mark.parametrize("name", ENCODERS)
def test_shipped_torch_and_onnx_agree(name, clouds):
    pytest.importorskip("torch", reason="needs torch: pip install -e '.[train]'")
    from perception_tools.affordance_torch import TorchEncoder, load_affordance

    onnx, torch = OnnxEncoder(SHIPPED / name / ONNX_FILE), TorchEncoder(load_affordance(SHIPPED / name))
    assert (onnx.num_points, onnx.num_centres) == (torch.num_points, torch.num_centres)
    for index in range(5):
        framed = onnx.frame(clouds.cloud(FIRST + index).points)
        scale = np.array([np.log(framed.scale_m)], np.float32)
        a, b = onnx.run(framed.points[None], scale), torch.run(framed.points[None], scale)
        for output in OUTPUTS:
            assert a[output] == pytest.approx(b[output], abs=1e-4), output


@pytest.mark.parametrize("name", ENCODERS)
def test_shipped_encoders_find_tips_and_openings(name, clouds):
    """Far worse than reported in docs/affordance.md, on few clouds: a guard against broken weights."""
    encoder = encoder_of(name)
    shown = [clouds.cloud(FIRST + k, "train", CORRUPTIONS["partial"]) for k in range(40)]
    found = [compare(encoder.estimate(c.points), c) for c in shown]
    assert np.median([m.tip_m for m in found]) < 0.006
    assert np.median([m.opening_m for m in found]) < 0.004
    assert np.mean([m.is_kind for m in found]) > 0.9 and np.mean([m.is_refused for m in found]) < 0.1
    assert 0.4 < np.mean([m.z[0] <= 1 for m in found]) < 0.95
    assert np.mean([m.z[2] <= 2 for m in found]) > 0.8


@pytest.mark.parametrize("name", ENCODERS)
def test_shipped_weights_say_what_they_are(name):
    about = OnnxEncoder(SHIPPED / name / ONNX_FILE).about
    assert about["net"]["encoder"] == name and about["evaluation"]["n"] >= 100
    card = (SHIPPED / name / "card.md").read_text(encoding="utf-8")
    assert "bench_affordance.py" in card and "tweezers" in card
    assert sum(f.stat().st_size for f in (SHIPPED / name).iterdir()) < 3e6


def test_inference_imports_no_torch():
    code = (
        "import sys, numpy as np\n"
        "from perception_tools.affordance import encoder_of\n"
        "encoder_of('pointnet').estimate(np.random.default_rng(0).random((200, 3)) * [0.1, 0.02, 0.01])\n"
        "assert not {'torch', 'mujoco'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- the tool ----------------------------------------------------------------------------------------


def context(points=None, frame="world", settings=None):
    ctx = ToolContext(workspace=Workspace(), cameras={}, clock=lambda: 2.5, settings=settings or {})
    if points is not None:
        ctx.put("cloud", {"points": points, "rgb": np.zeros((len(points), 3), np.uint8)}, frame=frame)
    return ctx.for_call("tool_affordance", "call_1", threading.Event())


def test_tool_reads_a_cloud(clouds):
    shown = clouds.cloud(FIRST + 2, "train", CORRUPTIONS["partial"])
    answer = tool_affordance(context(shown.points), cloud="cloud_1")
    assert answer.kind == shown.kind and answer.novelty_score < 1.5
    assert np.linalg.norm(np.array(answer.tip_m) - shown.p_tip) < 0.015
    assert answer.opening_m == pytest.approx(shown.opening_m, abs=4 * answer.opening_sd_m + 1e-3)
    assert answer.size_range_m[0] == 0 and answer.size_range_m[1] >= answer.opening_m
    assert np.linalg.norm(np.subtract(*answer.tips_m)) == pytest.approx(answer.opening_m, abs=3e-4)
    assert np.linalg.norm(answer.approach) == pytest.approx(1.0, abs=1e-3)
    json.loads(answer.model_dump_json())


def test_things_without_jaws_are_refused(others):
    refused = 0
    for split in ("train", "new_sizes"):
        for index in range(FIRST, FIRST + 10):
            cloud = others.cloud(index, split, CORRUPTIONS["partial"])
            try:
                tool_affordance(context(cloud.points), cloud="cloud_1")
            except Negative as error:
                assert error.reason in ("no_tool", "unsure") and "cloud_1" in str(error)
                assert set(error.evidence) == {"p_other", "novelty", "tip_sd_m"}
                refused += 1
    assert refused >= 18


def test_noise_is_no_tool():
    points = np.random.default_rng(0).normal(size=(500, 3)) * 0.05
    with pytest.raises(Negative) as error:
        tool_affordance(context(points), cloud="cloud_1")
    assert error.value.reason in ("no_tool", "unsure")


def test_tips_that_are_known_too_badly_are_not_told(clouds):
    ctx = context(clouds.cloud(FIRST).points, settings={"tool_affordance": {"max_tip_sd_m": 1e-6}})
    with pytest.raises(Negative, match="look from another side") as error:
        tool_affordance(ctx, cloud="cloud_1")
    assert error.value.reason == "unsure"


@pytest.mark.parametrize("points", [np.zeros((5, 3)), np.ones((60, 3)), np.full((60, 3), np.nan)])
def test_clouds_that_show_nothing_are_negative(points):
    with pytest.raises(Negative) as error:
        tool_affordance(context(points), cloud="cloud_1")
    assert error.value.reason == "too_few_points" and "\n" not in str(error.value)


def test_wrong_clouds_and_settings_are_refused(clouds, tmp_path):
    with pytest.raises(BadArguments, match="there are: none yet"):
        tool_affordance(context(), cloud="cloud_1")
    with pytest.raises(BadArguments, match="'world' is needed"):
        tool_affordance(context(np.zeros((50, 3)), frame="camera:wrist"), cloud="cloud_1")
    with pytest.raises(ValueError, match="there are point_transformer, pointnet"):
        encoder_of("pointnett")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    with pytest.raises(ValueError, match="is no ONNX model"):
        encoder_of(str(broken))
    assert AffordanceConfig().encoder in ENCODERS


@pytest.mark.render
def test_tool_on_a_table_through_camera_and_point_cloud():
    """Picture with depth, mask, `point_cloud`, `tool_affordance`: as a planner would."""
    from perception_tools.registry import load_tools
    from perception_tools.views import put_frame
    from sim.clouds_render import table_picture

    clouds = ToolClouds(CloudsConfig(num_tools=9))
    errors = []
    for index in range(3):
        picture = table_picture(clouds, index)
        tools, ctx = load_tools(["point_cloud"]), context()
        view = put_frame(ctx, picture.frame)
        mask = ctx.put(
            "mask", picture.mask, frame=view.image.frame, intrinsics=view.image.intrinsics,
            T_world_camera=view.T_world_camera, parents=(view.image.name,),
        )  # fmt: skip
        cloud = tools["point_cloud"](ctx, image=view.image.name, mask=mask.name, voxel_m=0.0015).cloud
        answer = tool_affordance(ctx, cloud=cloud)
        assert answer.kind == picture.truth.kind == KINDS[index]
        errors.append(np.linalg.norm(np.array(answer.tip_m) - picture.truth.p_tip))
        assert answer.opening_m == pytest.approx(picture.truth.opening_m, abs=0.012)
    assert np.median(errors) < 0.01


def test_baseline_on_a_fork_by_hand():
    """A bar of 80 mm that parts into two prongs, 20 mm apart, over the last 20 mm."""
    rng = np.random.default_rng(0)
    bar = rng.uniform([0, -0.012, -0.001], [0.08, 0.012, 0.001], (800, 3))
    prongs = [rng.uniform([0.08, y, -0.001], [0.1, y + 0.002, 0.001], (150, 3)) for y in (0.01, -0.012)]
    state = GeometricEncoder().estimate(np.concatenate([bar, *prongs]))
    assert state.opening_m == pytest.approx(0.020, abs=0.001)
    assert state.approach == pytest.approx([1, 0, 0], abs=0.02)
    # The tip is the middle of the last 11 %: 0.1 - 0.055 * 0.1.
    assert state.p_tip == pytest.approx([0.0945, 0, 0], abs=0.001)
    assert abs(state.across[1]) > 0.99


def test_command_line_of_the_bench():
    bench = Path(__file__).parents[1] / "bench" / "bench_affordance.py"
    words = ["--clouds", "4", "--splits", "new_sizes", "--encoders", "geometric", "pointnet"]
    command = [sys.executable, str(bench), *words]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert out.count("new_sizes") == 2 * len(CORRUPTIONS) and "things without jaws" in out
