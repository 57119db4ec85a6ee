"""Measure `detect`'s vision on simulated scenes against the truth, which only this script reads.

    python tests/bench/bench_detect.py --scenes 20
    python tests/bench/bench_detect.py --scenes 100 --set contact --pictures DIR

Sets: `apart` (objects with gaps, arm at home), `contact` (a small object in or on a wider one),
`alike` (the same with one colour for both), `wrist` (the view from above one object). An object
counts as unoccluded if the camera sees 90 % or more of its silhouette.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import cv2
import mujoco
import numpy as np

from perception_tools.camera import RgbdFrame
from perception_tools.fitting import silhouette_px
from perception_tools.geometry import look_at
from perception_tools.overlay import draw_masks
from perception_tools.solids import YAW_ARM_M, Solid
from perception_tools.tabletop_vision import SeenObject, see_tabletop
from sim.camera import DepthNoiseConfig, SimCamera, SimCameraConfig
from sim.objects import COLORS, SHAPES, ObjectSpec, sample_object
from sim.rendering import TruthRenderer
from sim.robots.fr3 import FR3
from sim.scene import PlacedObject, PlacementError, SceneConfig, TabletopScene, place, sample_layout

FIRST_HELD_OUT_SEED = 7_000_000
TRUSTED = 0.1  # confidence below which the planner takes a detection for nothing


@dataclass(frozen=True)
class Truth:
    """One object as it truly is."""

    spec: ObjectSpec
    center_m: np.ndarray
    yaw_rad: float
    tilt: float
    mask: np.ndarray
    visible: float


@dataclass(frozen=True)
class Row:
    """One true object and what was seen of it (None: missed)."""

    seed: int
    truth: Truth
    seen: SeenObject | None
    iou: float

    def size_error_m(self) -> float:
        true = np.array(self.truth.spec.size_m)
        true[:2] = sorted(true[:2], reverse=True)
        return float(np.abs(self.seen.box.size_m - true).max()) if self.seen else np.nan

    def center_error_m(self) -> float:
        return float(np.linalg.norm(self.seen.box.center_m - self.truth.center_m)) if self.seen else np.nan


# ---- scenes -------------------------------------------------------------------------------------


def sample_scene(seed: int, kind: str) -> TabletopScene:
    """Draw a scene; `kind` is a set of this bench."""
    if seed >= FIRST_HELD_OUT_SEED:
        raise SystemExit(f"seeds from {FIRST_HELD_OUT_SEED} on are never used in development")
    rng = np.random.default_rng(seed)
    config = SceneConfig()
    for _ in range(20):
        specs = [_sample_spec(rng, f"object_{k}") for k in range(rng.integers(3, 7))]
        try:
            placed = list(place(rng, specs, config))
        except PlacementError:
            continue
        if kind in ("contact", "alike"):
            placed += _in_contact(rng, placed, is_alike=kind == "alike")
        layout = sample_layout(rng, placed, config)
        scene = TabletopScene(layout, config, FR3)
        return scene
    raise SystemExit(f"seed {seed}: objects never fit")


def _sample_spec(rng: np.random.Generator, name: str) -> ObjectSpec:
    shape = SHAPES[rng.integers(len(SHAPES))]
    color = list(COLORS)[rng.integers(len(COLORS))]
    return sample_object(rng, name, shape, color, split="held_out" if rng.random() < 0.3 else "train")


def _in_contact(
    rng: np.random.Generator, placed: Sequence[PlacedObject], *, is_alike: bool
) -> list[PlacedObject]:
    """Draw one more small object in or on every second one, of the same colour or not."""
    out = []
    for k, below in enumerate(placed[::2]):
        color = [c for c in COLORS if c != below.spec.color][rng.integers(len(COLORS) - 1)]
        shape = ("box", "cylinder", "sphere")[rng.integers(3)]
        spec = sample_object(rng, f"small_{k}", shape, below.spec.color if is_alike else color)
        x, y, _ = below.position_m
        if below.spec.shape in ("bowl", "tray"):
            x, y = x + rng.uniform(-0.02, 0.02), y + rng.uniform(-0.02, 0.02)
            z = below.spec.wall_m
        elif below.spec.shape == "box" and shape != "sphere" and min(below.spec.size_m[:2]) > 0.034:
            z = below.spec.size_m[2]
        else:
            continue
        z += spec.size_m[2] / 2 + 0.001
        out.append(PlacedObject(spec, (x, y, z), float(rng.uniform(-np.pi, np.pi))))
    return out


# ---- measuring ----------------------------------------------------------------------------------


def look(
    seed: int, kind: str, noise_scale: float = 1.0
) -> Iterator[tuple[RgbdFrame, np.ndarray, list[Truth]]]:
    """Yield the frames of a scene with the robot's pixels and the truth."""
    scene = sample_scene(seed, kind)
    scene.settle()
    renderer = TruthRenderer(scene.model, scene.data, scene.lock)
    try:
        if kind == "wrist":
            _view_from_above(scene, seed)
        frame = SimCamera("scene", renderer, noisy(noise_scale), seed=seed).capture()
        ids = renderer.segmentation("scene")
        object_ids = {scene.model.body(o.name).id: o.name for o in scene.objects}
        robot = np.isin(ids, [k for k in range(scene.model.nbody) if k != 0 and k not in object_ids])
        robot = cv2.dilate(robot.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        truths = [_truth(scene, frame, ids == k, name) for k, name in object_ids.items()]
        yield frame, robot, [t for t in truths if t.mask.sum() > 60]
    finally:
        renderer.close()


def noisy(scale: float) -> SimCameraConfig:
    """Return a camera whose noise is that of the simulator's camera, scaled."""
    usual = DepthNoiseConfig()
    noise = replace(
        usual,
        sigma_floor_m=scale * usual.sigma_floor_m,
        sigma_per_m=scale * usual.sigma_per_m,
        lateral_px=scale * usual.lateral_px,
        rgb_sigma=scale * usual.rgb_sigma,
    )
    return SimCameraConfig(noise=noise)


def _view_from_above(scene: TabletopScene, seed: int) -> None:
    """Move the scene camera to where a wrist camera would look from."""
    rng = np.random.default_rng(seed)
    target = np.array([rng.uniform(0.42, 0.6), rng.uniform(-0.15, 0.15), 0.0])
    eye = target + np.array([-0.12, 0.0, rng.uniform(0.35, 0.5)])
    pose = look_at(list(eye), list(target), parent="world", child="camera:scene")
    rotation = pose.rotation @ np.diag([1.0, -1.0, -1.0])
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, rotation.ravel())
    camera = scene.model.camera("scene").id
    scene.model.cam_pos[camera], scene.model.cam_quat[camera] = eye, quat
    scene.model.cam_fovy[camera] = 60
    scene.data.joint("fr3_joint1").qpos = 2.6  # the arm out of the way
    mujoco.mj_forward(scene.model, scene.data)


def _truth(scene: TabletopScene, frame: RgbdFrame, mask: np.ndarray, name: str) -> Truth:
    spec = next(o for o in scene.objects if o.name == name)
    position, quat = scene.object_pose(name)
    rotation = np.zeros(9)
    mujoco.mju_quat2Mat(rotation, quat)
    matrix = rotation.reshape(3, 3)
    yaw = float(np.arctan2(matrix[1, 0], matrix[0, 0]))
    solid = true_solid(spec, position, yaw)
    hull = silhouette_px(solid, frame.intrinsics, frame.T_world_camera)
    size = (frame.intrinsics.height, frame.intrinsics.width)
    whole = cv2.fillConvexPoly(np.zeros(size, np.uint8), np.round(hull).astype(np.int32), 1)
    inside = cv2.contourArea(hull.astype(np.float32))
    visible = float((mask & (whole > 0)).sum()) / max(inside, 1.0)
    return Truth(spec, position, yaw, float(np.arccos(np.clip(matrix[2, 2], -1, 1))), mask, visible)


def true_solid(spec: ObjectSpec, position: np.ndarray, yaw: float) -> Solid:
    """Return the solid that an object truly is (without a mug's handle)."""
    x, y, z = position
    sx, sy, sz = spec.size_m
    base = float(z - sz / 2)
    if spec.shape == "sphere":
        return Solid("ball", np.array([x, y, sx / 2]), base)
    if spec.shape in ("box", "tray"):
        return Solid("box", np.array([x, y, yaw * YAW_ARM_M, sx, sy, sz]), base)
    foot = spec.base_radius_m or sx / 2
    return Solid("frustum", np.array([x, y, sx / 2, foot, sz]), base)


def match(seed: int, truths: list[Truth], seen: Sequence[SeenObject]) -> tuple[list[Row], list[SeenObject]]:
    """Match by overlap, best first; returns the rows and the unmatched seen objects."""
    iou = np.array([[_iou(t.mask, s.mask) for s in seen] for t in truths]).reshape(len(truths), len(seen))
    rows: dict[int, Row] = {}
    left = set(range(len(seen)))
    for flat in np.argsort(-iou, axis=None):
        i, j = divmod(int(flat), max(len(seen), 1))
        if iou.size and iou[i, j] > 0.3 and i not in rows and j in left:
            rows[i] = Row(seed, truths[i], seen[j], float(iou[i, j]))
            left.discard(j)
    out = [rows.get(i, Row(seed, t, None, 0.0)) for i, t in enumerate(truths)]
    return out, [seen[j] for j in sorted(left)]


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


# ---- reporting ----------------------------------------------------------------------------------


def report(rows: list[Row], ghosts: Sequence[SeenObject], seconds: list[float]) -> None:
    """Print the table."""
    print(f"{'':22s}   n  recall  colour   shape  size p50/p95 [mm]  centre p50/p95 [mm]    IoU")
    clear = [r for r in rows if r.truth.visible >= 0.9]
    for name in SHAPES:
        _line(name, [r for r in clear if r.truth.spec.shape == name])
    _line("unoccluded", clear)
    _line("partly hidden", [r for r in rows if 0.4 <= r.truth.visible < 0.9])
    _line("mostly hidden", [r for r in rows if r.truth.visible < 0.4])
    found = sum(r.seen is not None for r in rows)
    print(f"precision {found}/{found + len(ghosts)} = {found / max(found + len(ghosts), 1):.3f}")
    sure = [r.seen is not None and r.seen.confidence >= TRUSTED for r in rows if r.truth.visible >= 0.4]
    sure_ghosts = sum(g.confidence >= TRUSTED for g in ghosts)
    print(
        f"confidence >= {TRUSTED}: {sum(sure)}/{len(sure)} of what is 40 % visible, {sure_ghosts} not there"
    )
    milliseconds = 1e3 * np.quantile(seconds, [0.5, 0.95])
    print(f"CPU time per frame: median {milliseconds[0]:.0f} ms, p95 {milliseconds[1]:.0f} ms")


def _line(name: str, rows: list[Row]) -> None:
    seen = [r for r in rows if r.seen is not None]
    if not rows:
        return
    color = np.mean([r.seen.color.name == r.truth.spec.color for r in seen]) if seen else np.nan
    shape = np.mean([r.seen.shape.shape == r.truth.spec.shape for r in seen]) if seen else np.nan
    size = 1e3 * np.array([r.size_error_m() for r in seen] or [np.nan])
    center = 1e3 * np.array([r.center_error_m() for r in seen] or [np.nan])
    print(
        f"{name:20s}{len(rows):6d}  {len(seen) / len(rows):6.3f}  {color:6.3f}  {shape:6.3f}"
        f"      {np.median(size):5.1f} / {np.quantile(size, 0.95):5.1f}"
        f"         {np.median(center):5.1f} / {np.quantile(center, 0.95):5.1f}"
        f"    {np.mean([r.iou for r in seen]) if seen else np.nan:6.3f}"
    )


def faults(rows: list[Row]) -> list[str]:
    """Return one line per object that was missed or misnamed."""
    out = []
    for r in rows:
        true = f"{r.truth.spec.color} {r.truth.spec.shape}"
        if r.seen is None:
            out.append(f"seed {r.seed}: missed {true} (visible {r.truth.visible:.2f})")
        elif r.seen.label != true or r.size_error_m() > 0.012:
            out.append(
                f"seed {r.seed}: {true} seen as {r.seen.label} (visible {r.truth.visible:.2f}, "
                f"rgb {r.seen.color.rgb}, true {tuple(int(255 * c) for c in r.truth.spec.rgb)}, "
                f"p {r.seen.color.confidence:.2f}/{r.seen.shape.confidence:.2f}, "
                f"size {1e3 * r.size_error_m():.0f} mm off, IoU {r.iou:.2f}, "
                f"misfit {r.seen.shape.misfit:.2f})"
            )
    return out


def main(argv: Sequence[str] | None = None) -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--set", choices=("apart", "contact", "alike", "wrist"), default="apart", dest="kind")
    parser.add_argument("--noise", type=float, default=1.0, help="scale of the camera's noise")
    parser.add_argument("--pictures", type=Path, help="folder for overlay pictures of scenes with faults")
    parser.add_argument("--all-pictures", action="store_true")
    args = parser.parse_args(argv)
    rows: list[Row] = []
    seconds: list[float] = []
    ghosts: list[SeenObject] = []
    for seed in range(args.first_seed, args.first_seed + args.scenes):
        for frame, robot, truths in look(seed, args.kind, args.noise):
            start = time.process_time()
            assert frame.depth_m is not None
            view = see_tabletop(frame.rgb, frame.depth_m, frame.intrinsics, frame.T_world_camera, robot=robot)
            seconds.append(time.process_time() - start)
            new, unmatched = match(seed, truths, view.objects)
            rows += new
            ghosts += unmatched
            wrong = faults(new) + [
                f"seed {seed}: {g.label} is not there (confidence {g.confidence:.2f})" for g in unmatched
            ]
            print("\n".join(wrong), end="\n" if wrong else "")
            if args.pictures and (wrong or args.all_pictures):
                args.pictures.mkdir(parents=True, exist_ok=True)
                picture = draw_masks(
                    frame.rgb, [o.mask for o in view.objects], [o.label for o in view.objects]
                )
                cv2.imwrite(str(args.pictures / f"{args.kind}_{seed}.png"), picture[..., ::-1])
    report(rows, ghosts, seconds)


if __name__ == "__main__":
    main()
