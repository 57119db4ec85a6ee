"""grasp: checked against the true solids, which the tool never sees."""

from __future__ import annotations

import numpy as np
import pytest

from perception_tools.grasp import GraspSet, grasp
from perception_tools.grasp_checks import GraspConfig, GraspWeights, distinct
from perception_tools.grasp_sampling import Candidate, is_hollow
from perception_tools.gripper import GripperGeometry
from perception_tools.tool import BadArguments, Negative
from tests.perception_tools.raycast import (
    Solid,
    bowl_sdf,
    box_sdf,
    cylinder_sdf,
    mug_sdf,
    sphere_sdf,
    tray_sdf,
)
from tests.perception_tools.tables import Table, box_at, make_table

GRIPPER = GripperGeometry()
BLOCK = Solid(box_sdf(0.06, 0.04, 0.05), (0.5, 0.1, 0), yaw_rad=0.4)
BALL = Solid(sphere_sdf(0.025), (0.45, -0.15, 0))
CAN = Solid(cylinder_sdf(0.022, 0.08), (0.6, 0.0, 0))
BOWL = Solid(bowl_sdf(0.075, 0.055), (0.5, 0.0, 0))
MUG = Solid(mug_sdf(0.036, 0.085), (0.5, 0.05, 0), yaw_rad=2.0)
TRAY = Solid(tray_sdf(0.18, 0.14, 0.03), (0.5, 0, 0))
TOLERANCE_M = 0.002


def grasps_of(table: Table, k: int = 0, **arguments) -> GraspSet:
    name = grasp(table.ctx, mask=table.mask(k, "thing").name, **arguments).value.grasp
    return table.ctx.workspace.get(name, "grasp").data


def gripper_volume(T_world_ee: np.ndarray, open_m: float) -> np.ndarray:
    """Points in world all through the fingers and the front of the hand, (N, 3)."""
    low, high = GRIPPER.finger_boxes()
    parts = []
    for a, b in zip(low, high, strict=True):
        grid = np.stack(np.meshgrid(*[np.linspace(a[i], b[i], 9) for i in range(3)]), axis=-1).reshape(-1, 3)
        grid[:, 1] += open_m / 2
        parts += [grid, grid * [1, -1, 1]]
    a, b = (corner[0] for corner in GRIPPER.hand_boxes())
    parts.append(
        np.stack(np.meshgrid(*[np.linspace(a[i], b[i], 15) for i in range(3)]), axis=-1).reshape(-1, 3)
    )
    return np.concatenate(parts) @ T_world_ee[:3, :3].T + T_world_ee[:3, 3]


def assert_executable(table: Table, found: GraspSet, target: Solid) -> None:
    """The open gripper hits nothing, and the fingers close on the target."""
    for T_world_ee, open_m, width_m in zip(found.T_world_ee, found.open_m, found.width_m, strict=True):
        volume = gripper_volume(T_world_ee, open_m)
        assert volume[:, 2].min() > 0.004
        for solid in table.solids:
            assert solid.distance(volume).min() > -TOLERANCE_M
        x, y = np.meshgrid([-0.011, 0, 0.011], np.linspace(-open_m / 2, open_m / 2, 200))
        between = T_world_ee[:3, 3] + x[..., None] * T_world_ee[:3, 0] + y[..., None] * T_world_ee[:3, 1]
        held = y[target.distance(between) < 0]
        assert len(held), "there is nothing between the fingers"
        assert np.ptp(held) == pytest.approx(width_m, abs=0.006)
        assert abs(held.max() + held.min()) / 2 < 0.006  # the fingers meet it at about the same time


@pytest.mark.parametrize("noise_m", [0.0, 0.0015])
@pytest.mark.parametrize("solid", [BLOCK, BALL, CAN], ids=["block", "ball", "can"])
def test_solids_are_held_across(solid, noise_m):
    table = make_table([solid], noise_m=noise_m)
    found = grasps_of(table)
    assert len(found) >= 3 and set(found.kinds) == {"across"}
    assert_executable(table, found, solid)
    assert (np.diff(found.score) <= 0).all() and 0.6 < found.score[0] <= 1


def test_a_block_is_held_across_its_faces():
    found = grasps_of(make_table([BLOCK]))
    normals = np.array([[np.cos(0.4), np.sin(0.4), 0], [-np.sin(0.4), np.cos(0.4), 0]])
    best = np.abs(normals @ found.T_world_ee[0, :3, 1]).max()
    assert np.rad2deg(np.arccos(best)) < 6


def test_a_known_box_and_shape_are_used():
    table = make_table([BLOCK])
    mask = table.mask(0, "red box", shape="box")
    table.ctx.put("box", box_at(0.5, 0.1, (0.06, 0.04, 0.05), 0.4), frame="world", parents=(mask.name,))
    found = table.ctx.workspace.get(grasp(table.ctx, mask=mask.name).value.grasp).data
    np.testing.assert_allclose(found.box.size_m, [0.06, 0.04, 0.05])
    assert found.width_m[0] == pytest.approx(0.04, abs=0.001)
    assert_executable(table, found, BLOCK)


@pytest.mark.parametrize("solid", [BOWL, MUG], ids=["bowl", "mug"])
def test_hollow_things_are_held_by_the_wall(solid):
    table = make_table([solid], noise_m=0.001)
    found = grasps_of(table)
    rims = [k for k, kind in enumerate(found.kinds) if kind == "rim"]
    assert rims
    for k in rims:
        T_world_ee = found.T_world_ee[k]
        for solid_point in gripper_volume(T_world_ee, found.open_m[k])[None]:
            assert solid.distance(solid_point).min() > -TOLERANCE_M
        y = np.linspace(-found.open_m[k] / 2, found.open_m[k] / 2, 400)
        pad = T_world_ee[:3, 3] + y[:, None] * T_world_ee[:3, 1]
        assert (solid.distance(pad) < 0).any(), "no wall between the fingers"


def test_round_things_are_held_at_their_middle_and_long_ones_anywhere():
    wide = Solid(cylinder_sdf(0.034, 0.06), (0.5, 0.1, 0))
    found = grasps_of(make_table([wide]))
    away = np.linalg.norm(found.T_world_ee[:, :2, 3] - [0.5, 0.1], axis=1)
    assert away.max() < 0.006
    bar = Solid(box_sdf(0.12, 0.03, 0.04), (0.5, 0.1, 0), yaw_rad=0.3)
    away = np.linalg.norm(grasps_of(make_table([bar])).T_world_ee[:, :2, 3] - [0.5, 0.1], axis=1)
    assert away[0] < 0.006 and away.max() > 0.02


def test_a_bowl_is_not_held_across():
    assert set(grasps_of(make_table([BOWL])).kinds) == {"rim"}


@pytest.mark.parametrize(
    ("solid", "hollow"),
    [(BLOCK, False), (BALL, False), (CAN, False), (BOWL, True), (MUG, True), (TRAY, True)],
)
def test_hollowness_is_seen(solid, hollow):
    from perception_tools.boxes import fit_box

    table = make_table([solid], noise_m=0.001)
    points = table.view.points_world()[table.instances == 1]
    assert is_hollow(points, fit_box(points)) == hollow
    assert is_hollow(points, fit_box(points), shape="bowl") and not is_hollow(
        points, fit_box(points), shape="box"
    )


def test_neighbours_are_kept_clear():
    # Walls 2 cm from the block's long sides: only the other closing direction is free.
    walls = [Solid(box_sdf(0.10, 0.02, 0.06), (0.5, 0.1 + s * 0.05, 0)) for s in (-1, 1)]
    block = Solid(box_sdf(0.05, 0.04, 0.05), (0.5, 0.1, 0))
    free = grasps_of(make_table([block]))
    table = make_table([block, *walls])
    hemmed = grasps_of(table)
    assert_executable(table, hemmed, block)
    assert abs(free.T_world_ee[0, 1, 1]) > 0.9  # alone: across the narrow side, along y
    assert (np.abs(hemmed.T_world_ee[:, 1, 1]) < 0.7).all()


def test_boxed_in_on_all_sides_there_is_none():
    walls = [Solid(box_sdf(0.02, 0.14, 0.12), (0.5 + s * 0.042, 0.1, 0)) for s in (-1, 1)]
    walls += [Solid(box_sdf(0.06, 0.02, 0.12), (0.5, 0.1 + s * 0.042, 0)) for s in (-1, 1)]
    # The camera stands high, so that it sees the block between the walls.
    from tests.perception_tools.raycast import scene_camera

    table = make_table(
        [Solid(box_sdf(0.045, 0.045, 0.05), (0.5, 0.1, 0)), *walls],
        camera=scene_camera(eye=(0.6, 0.1, 1.2), target=(0.5, 0.1, 0)),
    )
    with pytest.raises(Negative, match="blocked by other things") as error:
        grasps_of(table)
    assert error.value.reason == "no_grasp" and error.value.evidence["blocked by other things"] > 0


def test_a_ball_in_a_bowl_is_reached_with_a_narrower_opening():
    ball = Solid(sphere_sdf(0.022, 0.028), (0.5, 0.0, 0))
    bowl = Solid(bowl_sdf(0.075, 0.055), (0.5, 0.0, 0))
    table = make_table([ball, bowl])
    mask = table.mask(0, "ball", shape="sphere")
    table.ctx.put(
        "box", box_at(0.5, 0, (0.044, 0.044, 0.044), bottom=0.006), frame="world", parents=(mask.name,)
    )
    found = table.ctx.workspace.get(grasp(table.ctx, mask=mask.name).value.grasp).data
    assert_executable(table, found, ball)
    assert (found.open_m < found.width_m + GraspConfig().sampling.open_extra_m - 1e-6).all()


def test_what_stands_on_it_is_to_be_moved_first():
    table = make_table(
        [
            Solid(box_sdf(0.06, 0.05, 0.05), (0.5, 0.1, 0)),
            Solid(box_sdf(0.04, 0.04, 0.05, z0=0.05), (0.5, 0.1, 0)),
        ]
    )
    with pytest.raises(Negative, match="something stands on it; move that first") as error:
        grasps_of(table)
    assert error.value.evidence["covered_up_to_m"] == pytest.approx(0.10, abs=0.005)
    assert len(grasps_of(table, 1)) > 0


def test_too_wide_says_so():
    table = make_table([Solid(box_sdf(0.12, 0.11, 0.05), (0.5, 0, 0))])
    with pytest.raises(Negative, match=r"no grasp of thing: it is 0\.1\d\d m wide.*takes 0.075 m") as error:
        grasps_of(table)
    assert error.value.reason == "no_grasp" and len(error.value.evidence["size_m"]) == 3


def test_too_flat_is_none():
    with pytest.raises(Negative, match="no grasp"):
        grasps_of(make_table([Solid(box_sdf(0.05, 0.05, 0.010), (0.5, 0, 0))]))


def test_too_little_seen_asks_to_look_nearer():
    table = make_table([BLOCK])
    pixels = np.zeros((480, 640), bool)
    pixels[200, 300:310] = True
    name = table.ctx.put("mask", pixels, frame="camera:scene", parents=("image_1",)).name
    with pytest.raises(Negative, match=r"only 10 points .*look nearer"):
        grasp(table.ctx, mask=name)


def test_stale_masks_are_refused():
    table = make_table([BLOCK])
    mask = table.mask(0)
    table.ctx.workspace.advance_epoch("pick moved an object at 3.0 s")
    with pytest.raises(BadArguments, match=r"'mask_1' is stale .*pick moved an object.*capture again"):
        grasp(table.ctx, mask=mask.name)


def test_the_last_wrist_joint_stays_near_its_middle():
    # x of the hand points away from the base, so that the closing axis is within 90 degrees of
    # where it is at rest.
    for solid in (BLOCK, BALL, CAN):
        for T_world_ee in grasps_of(make_table([solid])).T_world_ee:
            assert T_world_ee[:2, 0] @ T_world_ee[:2, 3] >= -1e-9


def test_upright_grasps_come_first_and_others_follow():
    found = grasps_of(make_table([CAN]))
    tilts = np.rad2deg(np.arccos(np.clip(-found.T_world_ee[:, 2, 2], -1, 1)))
    assert tilts[0] < 1 and tilts.max() > 10
    np.testing.assert_allclose(np.linalg.det(found.T_world_ee[:, :3, :3]), 1)


def test_grasps_differ():
    found = grasps_of(make_table([BLOCK]), max_candidates=5)
    assert 1 < len(found) <= 5
    config = GraspConfig()
    for i in range(len(found)):
        for j in range(i):
            a, b = found.T_world_ee[i], found.T_world_ee[j]
            turn = np.arccos(np.clip((np.trace(a[:3, :3].T @ b[:3, :3]) - 1) / 2, -1, 1))
            assert np.linalg.norm(a[:3, 3] - b[:3, 3]) > config.distinct_m or turn > config.distinct_rad


@pytest.mark.parametrize(("most", "rims"), [(8, 3), (16, 4), (2, 0)])
def test_good_grasps_across_leave_room_for_those_on_the_rim(most, rims):
    """Four on the rim, worse than all twelve across: three of eight places, all of sixteen, none of two."""
    candidates, score = [], []
    for k in range(16):
        T_world_ee = np.eye(4)
        T_world_ee[0, 3] = 0.1 * k
        kind = "across" if k < 12 else "rim"
        candidates.append(Candidate(T_world_ee, 0.004, 1.0, 1.0, kind))
        score.append(0.9 - 0.01 * k)
    chosen = distinct(candidates, np.array(score), most, GraspConfig(repeat_cost=0.0))
    assert [candidates[k].kind for k in chosen].count("rim") == rims
    assert len(chosen) == most and chosen == sorted(chosen)


def test_value_and_artifact_agree():
    table = make_table([BLOCK])
    output = grasp(table.ctx, mask=table.mask(0, "red block").name, max_candidates=3)
    value = output.value
    found = table.ctx.workspace.get(value.grasp, "grasp", fresh=True, frame="world")
    assert value.count == len(found.data) == len(value.candidates) == 3
    assert found.label == found.data.label == "red block" and found.parents == ("mask_1",)
    for k, candidate in enumerate(value.candidates):
        assert candidate.index == k
        np.testing.assert_allclose(candidate.position_m, found.data.T_world_ee[k, :3, 3], atol=1e-4)
        np.testing.assert_allclose(candidate.approach, found.data.T_world_ee[k, :3, 2], atol=1e-3)
        assert candidate.width_m <= 0.075 and found.data.open_m[k] >= candidate.width_m
    assert found.data.points.shape[1] == 3
    assert (output.images[0].data != table.view.rgb).any()


def test_settings_reach_the_tool():
    table = make_table([BLOCK], settings={"grasp": {"min_points": 10**6}})
    with pytest.raises(Negative, match="1000000 are needed"):
        grasps_of(table)


def test_weights_must_add_up():
    with pytest.raises(ValueError, match="add up to 1"):
        GraspWeights(vertical=0.5)
