"""Synthetic clouds: their labels are the sites of the compiled model, they are functions of their number."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from scipy.spatial import KDTree

from sim.clouds import CloudsConfig, ToolClouds, joint_pos_at
from sim.clouds_tools import (
    NEW_KIND,
    NEW_OTHERS,
    NEW_SIZES,
    RANGES,
    SPLITS,
    TRAINED,
    TRAINED_OTHERS,
    other_surface,
    sample_tool_fields,
    tool_surface,
)
from sim.clouds_views import CORRUPTIONS, Corruption, corrupt, visible
from sim.tools.base import attach_tool
from sim.tools.registry import tool_model


@pytest.fixture(scope="module")
def clouds():
    return ToolClouds(CloudsConfig(num_tools=6, others=0.0))


def compiled(surface, name="t"):
    """The tool of a surface, built once more, free in the world."""
    spec = mujoco.MjSpec()
    handle = attach_tool(spec, name, tool_model(surface.kind, None, **surface.fields))
    model = spec.compile()
    return model, mujoco.MjData(model), handle


@pytest.mark.parametrize("split", SPLITS)
def test_tips_are_the_sites_of_the_compiled_model_at_that_opening(clouds, split):
    for index in range(6):
        cloud = clouds.cloud(index, split)
        (surface,) = [
            s for key, s in clouds._surfaces.items() if key[0] == split and s.kind == cloud.kind
            and s.handle.opening.range_m == cloud.size_range_m
        ]  # fmt: skip
        model, data, handle = compiled(surface)
        data.joint(handle.joint).qpos[0] = handle.joint_pos(cloud.opening_m)
        mujoco.mj_kinematics(model, data)
        left, right = (cloud.T_cloud_tool @ data.site(handle.site(s)).xpos for s in ("tip_left", "tip_right"))
        assert cloud.p_left == pytest.approx(left, abs=1e-9)
        assert cloud.p_right == pytest.approx(right, abs=1e-9)
        assert np.linalg.norm(left - right) == pytest.approx(cloud.opening_m, abs=1e-9)
        assert cloud.size_range_m == pytest.approx((0.0, surface.fields["max_opening_m"]))
        assert 0 <= cloud.opening_m <= cloud.size_range_m[1] + 1e-12
        pivot = cloud.T_cloud_tool @ data.site(handle.site("pivot")).xpos
        towards = (left + right) / 2 - pivot
        assert cloud.approach == pytest.approx(towards / np.linalg.norm(towards), abs=1e-9)
        if cloud.opening_m > 1e-4:
            part = (left - right) / np.linalg.norm(left - right)
            assert abs(part @ cloud.across) == pytest.approx(1.0, abs=1e-6)


def test_points_lie_on_what_is_drawn(clouds):
    """Rays from outside hit the drawn tool where the visible points are, to the spacing of the surface."""
    surface = clouds.surface("train", 2)
    model, data, handle = compiled(surface)
    data.joint(handle.joint).qpos[0] = joint_pos_at(surface, 0.4)
    mujoco.mj_forward(model, data)
    points, normals = [], []
    for part, body in zip(surface.parts, (handle.body, handle.moving_body), strict=True):
        rotation = data.body(body).xmat.reshape(3, 3)
        points.append(part[:, :3] @ rotation.T + data.body(body).xpos)
        normals.append(part[:, 3:] @ rotation.T)
    points, normals = np.concatenate(points), np.concatenate(normals)
    eye = points.mean(0) + np.array([0.3, 0.2, 0.25])
    seen = visible(points, normals, eye, surface.spacing_m)
    facing = np.einsum("nd,nd->n", points - eye, normals) < 0
    assert not (seen & ~facing).any() and 0.2 < seen.mean() < 0.7

    def in_front(p):
        """How much of the drawn tool lies before a point, along the ray to it [m]; inf where it is missed."""
        ray, drawn = (p - eye) / np.linalg.norm(p - eye), np.array([1, 1, 1, 0, 0, 0], np.uint8)
        hit = mujoco.mj_ray(model, data, eye, ray, drawn, 1, -1, np.zeros(1, np.int32), None)
        return np.linalg.norm(p - eye) - hit if hit > 0 else np.inf

    assert np.mean([abs(in_front(p)) < 2 * surface.spacing_m for p in points[seen][::10]]) > 0.95
    # Among all that face the eye; at grazing angles the grid hides some, as a depth camera does.
    agree = [
        (in_front(p) < 2 * surface.spacing_m) == s for p, s in zip(points[facing], seen[facing], strict=True)
    ]
    assert np.mean(agree) > 0.9


def test_a_cloud_is_a_function_of_seed_split_and_number():
    config = CloudsConfig(num_tools=6)
    forward, backward = ToolClouds(config), ToolClouds(config)
    numbers = [0, 3, 7, 2_000_000_000]
    first = [forward.cloud(k) for k in numbers]
    second = [backward.cloud(k) for k in reversed(numbers)][::-1]
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.points, b.points) and np.array_equal(a.p_tip, b.p_tip)
        assert (a.kind, a.opening_m) == (b.kind, b.opening_m)
    other = ToolClouds(CloudsConfig(seed=1, num_tools=6)).cloud(0)
    assert not np.array_equal(other.points[:16], first[0].points[:16])
    assert not np.array_equal(forward.cloud(0, "new_sizes").points[:16], first[0].points[:16])


def test_every_corruption_shows_the_same_thing(clouds):
    shown = {name: clouds.cloud(4, "new_sizes", how) for name, how in CORRUPTIONS.items()}
    for cloud in shown.values():
        assert np.array_equal(cloud.p_left, shown["clean"].p_left)
        assert cloud.opening_m == shown["clean"].opening_m
    assert len(shown["clean"].points) == 512
    assert len(shown["noisy"].points) == round(512 * 0.7)
    assert len(shown["outliers"].points) == 512 + round(0.08 * 512)
    clean = KDTree(shown["clean"].points)

    def astray(name, far_m):
        return float((clean.query(shown[name].points)[0] > far_m).mean())

    assert astray("partial", 0.01) == 0.0
    assert 0.01 < astray("outliers", 0.01) < 0.09


def test_jitter_patches_and_views():
    rng = np.random.default_rng(0)
    ball = rng.normal(size=(6000, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    points, spacing = 0.05 * ball, 0.05 * np.sqrt(4 * np.pi / 6000)
    noisy = corrupt(points, ball, spacing, Corruption(points=2000, jitter_m=0.002), rng)
    radius = np.linalg.norm(noisy, axis=1)
    # Of three independent errors of 2 mm, one is along the radius.
    assert radius.std() == pytest.approx(0.002, rel=0.1)
    view = corrupt(points, ball, spacing, Corruption(points=2000, is_view=True, distance_m=0.5), rng)
    direction = view.mean(0) / np.linalg.norm(view.mean(0))
    # From 0.5 m, a ball of 0.05 m shows what is beyond 0.05 * 0.05 / 0.5 along the line of sight.
    assert (view @ direction).min() > 0.003
    holed = corrupt(points, ball, spacing, Corruption(points=2000, patches=1, patch=0.3), rng)
    covered = KDTree(holed).query(points)[0]
    assert covered.max() > 0.02  # somewhere, a hole of 0.3 * 0.1 m radius


def test_held_out_sizes_lie_outside_what_was_trained():
    def apart(a, b):
        return all(hi <= low or high <= lo for low, high in a for lo, hi in b)

    assert NEW_SIZES.keys() == TRAINED.keys() and not NEW_KIND.keys() & TRAINED.keys()
    for kind, new in NEW_SIZES.items():
        known = TRAINED[kind]
        assert apart(new.length_m, known.length_m)
        for name, intervals in new.ratios.items():
            assert apart(intervals, known.ratios[name]) == (name != "max_opening_m"), (kind, name)
    assert not set(NEW_SIZES["tweezers"].choices["tip"]) & set(TRAINED["tweezers"].choices["tip"])
    assert not set(NEW_OTHERS) & set(TRAINED_OTHERS)


@pytest.mark.parametrize(("split", "kind"), [(s, k) for s in SPLITS for k in RANGES[s]])
def test_all_sizes_can_be_built(split, kind):
    rng = np.random.default_rng(5)
    for _ in range(4):
        fields = sample_tool_fields(rng, kind, RANGES[split][kind])
        surface = tool_surface(kind, fields, rng, 600)
        assert surface.handle is not None and abs(sum(len(p) for p in surface.parts) - 600) <= 2


@pytest.mark.parametrize("kind", [*TRAINED_OTHERS, *NEW_OTHERS])
def test_things_without_jaws(kind):
    surface = other_surface(kind, np.random.default_rng(1), 600)
    points = np.concatenate(surface.parts)
    assert not surface.is_tool and 0.02 < np.ptp(points[:, :3], axis=0).max() < 0.4
    assert np.linalg.norm(points[:, 3:], axis=1) == pytest.approx(1.0)


def test_others_have_no_labels():
    cloud = ToolClouds(CloudsConfig(num_tools=9, others=1.0)).cloud(3)
    assert not cloud.is_tool and cloud.kind in TRAINED_OTHERS and cloud.opening_m == 0


def test_bad_settings_are_refused(clouds):
    with pytest.raises(ValueError, match="splits: train, new_sizes, new_kind"):
        clouds.cloud(0, "test")
    with pytest.raises(ValueError, match="at least 1 tool"):
        CloudsConfig(num_tools=0)
    with pytest.raises(ValueError, match="shares are from 0 to 1"):
        Corruption(dropout=1.0)


@pytest.mark.render
def test_a_depth_camera_sees_the_tool_where_its_labels_are():
    """The rendered cloud lies on the sampled surface, up to the camera's noise."""
    from sim.clouds import scene_of
    from sim.clouds_render import table_picture

    clouds = ToolClouds(CloudsConfig(num_tools=6))
    picture = table_picture(clouds, 1)
    again = table_picture(clouds, 1)
    assert np.array_equal(picture.frame.depth_m, again.frame.depth_m)
    truth, surface = picture.truth, clouds.surface("train", 1)
    share = truth.opening_m / truth.size_range_m[1]
    scene = scene_of(surface, share)
    assert scene.opening_m == pytest.approx(truth.opening_m, abs=1e-9)
    distance = KDTree(truth.T_cloud_tool @ scene.points).query(truth.points)[0]
    assert len(truth.points) > 300 and np.median(distance) < 0.002 and np.mean(distance < 0.006) > 0.95
    # The table is z = 0 and the tool lies on it.
    assert truth.points[:, 2].mean() > 0.001 and np.abs(truth.across[2]) < 1e-9
