"""Tools in sequence on the simulator's pictures, with its depth noise; the truth is used to check only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from perception_tools.artifacts import Workspace
from perception_tools.registry import load_tools
from perception_tools.tool import ToolContext
from sim.camera import SimCamera
from sim.objects import ObjectSpec, Shape, sample_object
from sim.rendering import TruthRenderer
from sim.scene import SceneConfig, TabletopScene, place, sample_layout

pytestmark = pytest.mark.render
TOOLS = load_tools()


@dataclass(frozen=True, eq=False)
class Sight:
    """A captured scene and what `detect` found, by true name."""

    scene: TabletopScene
    ctx: ToolContext
    image: str
    found: dict[str, object]

    def truth(self, name: str) -> tuple[ObjectSpec, np.ndarray]:
        spec = next(o for o in self.scene.objects if o.name == name)
        return spec, self.scene.object_pose(name)[0]


def look(seed: int, shapes: list[Shape]) -> Sight:
    rng = np.random.default_rng(seed)
    colors = ["red", "blue", "green", "yellow", "orange", "white"]
    specs = [sample_object(rng, f"object_{k}", s, colors[k]) for k, s in enumerate(shapes)]
    config = SceneConfig()
    scene = TabletopScene(sample_layout(rng, place(rng, specs, config), config), config)
    scene.settle()
    renderer = TruthRenderer(scene.model, scene.data, scene.lock)
    try:
        ctx = ToolContext(
            workspace=Workspace(),
            cameras={"scene": SimCamera("scene", renderer, seed=seed)},
            clock=lambda: 0.0,
        )
        image = TOOLS["capture"](ctx).value.image
        bodies = renderer.segmentation("scene")
    finally:
        renderer.close()
    found = {}
    for item in TOOLS["detect"](ctx, image=image).value.objects:
        pixels = bodies[ctx.workspace.get(item.mask).data]
        for spec in specs:
            if (pixels == scene.model.body(spec.name).id).mean() > 0.8:
                found[spec.name] = item
    return Sight(scene, ctx, image, found)


@pytest.fixture(scope="module", params=[11, 12, 13])
def sight(request) -> Sight:
    return look(request.param, ["box", "cylinder", "sphere", "bowl", "mug"])


def test_all_are_found(sight):
    assert len(sight.found) == 5


def test_best_grasps_straddle_the_true_object(sight):
    for name, item in sight.found.items():
        value = TOOLS["grasp"](sight.ctx, mask=item.mask).value
        grasps = sight.ctx.workspace.get(value.grasp).data
        spec, position = sight.truth(name)
        pose, width = grasps.T_world_ee[0], grasps.width_m[0]
        assert pose[2, 2] < -0.7 and 0.0095 < pose[2, 3] < spec.size_m[2] + 0.005
        away = np.linalg.norm(pose[:2, 3] - position[:2])
        if grasps.kinds[0] == "rim":
            assert away == pytest.approx(spec.size_m[0] / 2 - spec.wall_m / 2, abs=0.015)
            assert width < 0.02
        else:
            assert away < 0.012
            assert min(spec.size_m[:2]) - 0.006 < width < np.hypot(*spec.size_m[:2]) + 0.004


def test_free_places_are_truly_free(sight):
    for relation in ("left_of", "right_of", "in_front_of", "next_to"):
        value = TOOLS["free_space"](
            sight.ctx,
            relation=relation,
            image=sight.image,
            reference=sight.found["object_3"].box,
            size_m=[0.05, 0.05],
        ).value
        for other in sight.scene.objects:
            spec, position = sight.truth(other.name)
            gap = np.linalg.norm(np.subtract(value.position_m[:2], position[:2]))
            assert gap > 0.025 + min(spec.size_m[:2]) / 2, f"{relation}: on the {other.name}"


def test_inside_the_bowl_is_its_true_middle(sight):
    spec, position = sight.truth("object_3")
    value = TOOLS["free_space"](
        sight.ctx,
        relation="inside",
        image=sight.image,
        reference=sight.found["object_3"].box,
        size_m=[0.045, 0.045],
    ).value
    assert np.linalg.norm(np.subtract(value.position_m[:2], position[:2])) < 0.012
    assert value.position_m[2] < 0.5 * spec.size_m[2]
    assert value.rim_z_m == pytest.approx(spec.size_m[2], abs=0.006)


def test_relations_follow_the_truth(sight):
    right, away = sight.scene.viewer_axes
    names = sorted(sight.found)
    checked = 0
    for a in names:
        for b in names:
            offset = np.subtract(sight.truth(a)[1][:2], sight.truth(b)[1][:2])
            along, across = offset @ right, abs(offset @ away)
            if a == b or abs(along) < 0.12 or across > abs(along):
                continue  # not clearly left or right
            for relation, expected in (("right_of", along > 0), ("left_of", along < 0)):
                boxes = {"a": sight.found[a].box, "b": sight.found[b].box}
                assert TOOLS["relation"](sight.ctx, **boxes, relation=relation).holds == expected
                checked += 1
    assert checked


def test_bbox_3d_without_detection_is_close(sight):
    item = sight.found["object_0"]
    mask = sight.ctx.workspace.get(item.mask)
    fields = {"frame": mask.frame, "intrinsics": mask.intrinsics, "T_world_camera": mask.T_world_camera}
    bare = sight.ctx.put("mask", mask.data, parents=mask.parents, **fields)
    fitted = TOOLS["bbox_3d"](sight.ctx, mask=bare.name)
    spec, position = sight.truth("object_0")
    np.testing.assert_allclose(fitted.center_m, position, atol=0.006)
    expected = [*sorted(spec.size_m[:2], reverse=True), spec.size_m[2]]
    np.testing.assert_allclose(fitted.size_m, expected, atol=0.008)
