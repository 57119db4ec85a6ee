"""Measure `grasp` by trying its grasps with a free-flying hand in simulated physics.

    MUJOCO_GL=egl python tests/bench/bench_grasp.py --scenes 20
    MUJOCO_GL=egl python tests/bench/bench_grasp.py --scenes 20 --set contact --top 3

Objects are found by `detect`, as a planner would; the truth only says which object it was. A hand
with the boxes of the Franka Hand comes along the approach, closes with about 25 N, lifts by 15 cm
and waits. A trial succeeds if the object hangs in the hand, and neither it before the fingers closed
nor anything else was pushed by more than 1 cm. There is no arm: reachability is not measured here.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("MUJOCO_GL", "egl")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import mujoco
import numpy as np

from perception_tools.artifacts import Workspace
from perception_tools.grasp import GraspSet
from perception_tools.registry import load_tools
from perception_tools.tool import Negative, ToolContext
from sim.camera import SimCamera
from sim.rendering import TruthRenderer
from sim.scene import SceneConfig, TabletopScene, build_spec
from tests.bench.bench_detect import sample_scene

HAND_TO_EE_M = 0.1034
PUSH_M = 0.01
LIFT_M = 0.15
PAD = 'condim="4" priority="1" friction="1.2 0.02 0.0005" solref="0.006 1" solimp="0.95 0.99 0.0008"'
FINGER = f"""
  <joint name="{{name}}" type="slide" axis="0 1 0" range="0 0.04" armature="0.15" damping="10"/>
  <geom type="box" group="3" pos="0 0.0185 0.011" size="0.011 0.0075 0.010"/>
  <geom type="box" group="3" pos="0 0.0159 0.02835" euler="0.5236 0 0" size="0.00875 0.0035 0.01175"/>
  <geom type="box" group="3" pos="0 0.0096 0.04525" size="0.00875 0.0056 0.00925"/>
  <geom type="box" group="3" pos="0 0.002 0.04525" size="0.00875 0.002 0.00925" {PAD}/>"""
HAND = f"""
<mujoco>
  <worldbody>
    <body name="goal" mocap="true"/>
    <body name="hand" gravcomp="1">
      <freejoint name="hand"/>
      <inertial pos="0 0 0.05" mass="2" diaginertia="0.01 0.01 0.01"/>
      <geom type="box" group="3" pos="0 0 0.0325" size="0.0315 0.1015 0.0325"/>
      <geom type="box" group="3" pos="0.055 0 0.024" size="0.027 0.046 0.0155"/>
      <body name="left" pos="0 0 0.0584" gravcomp="1">{FINGER.format(name="left")}</body>
      <body name="right" pos="0 0 0.0584" quat="0 0 0 1" gravcomp="1">{FINGER.format(name="right")}</body>
    </body>
  </worldbody>
  <contact>
    <exclude body1="left" body2="right"/>
    <exclude body1="hand" body2="left"/>
    <exclude body1="hand" body2="right"/>
  </contact>
  <equality>
    <weld body1="goal" body2="hand" solref="0.01 1" solimp="0.99 0.999 0.001"/>
    <joint joint1="left" joint2="right" polycoef="0 1 0 0 0" solref="0.004 1"/>
  </equality>
  <actuator>
    <position name="grip" joint="left" kp="1000" kv="40" forcerange="-60 60"/>
  </actuator>
</mujoco>"""


@dataclass(frozen=True)
class Outcome:
    """What a trial did [m]: the object's lift, how far it was pushed before, and anything else.

    What lies in a container may move with it.
    """

    lifted_m: float
    pushed_m: float
    others_m: float
    width_m: float

    @property
    def success(self) -> bool:
        return self.lifted_m > 0.5 * LIFT_M and self.pushed_m < PUSH_M and self.others_m < PUSH_M


class Trial:
    """One grasp, tried on a copy of the scene."""

    def __init__(self, scene: TabletopScene, T_world_ee: np.ndarray, open_m: float) -> None:
        spec = build_spec(scene.layout, scene.config, mujoco.MjSpec.from_string(HAND))
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        self.names = [o.name for o in scene.objects]
        for name in self.names:
            start = self.model.joint(f"{name}_free").qposadr[0]
            self.data.qpos[start : start + 7] = np.concatenate(scene.object_pose(name))
        self.rotation, self.position = T_world_ee[:3, :3], T_world_ee[:3, 3]
        self._place_hand(open_m)
        self.start = self._positions()

    def run(self, name: str) -> Outcome:
        self._move((0.12, 0.0), (0.0, 0.0), 1.0)
        pushed = np.linalg.norm(self._positions()[name] - self.start[name])
        self._close(0.8)
        width = 2 * float(self.data.joint("left").qpos[0])
        self._move((0.0, 0.0), (0.0, LIFT_M), 1.2)
        self._step(0.5)
        end = self._positions()
        carried = end[name] - self.start[name]
        moved = {n: end[n] - self.start[n] for n in self.names if n != name}
        others = [min(np.linalg.norm(m), np.linalg.norm(m - carried)) for m in moved.values()]
        return Outcome(float(carried[2]), float(pushed), float(max(others, default=0.0)), width)

    def _place_hand(self, open_m: float) -> None:
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, self.rotation.ravel())
        hand = self.model.joint("hand").qposadr[0]
        self.data.qpos[hand : hand + 7] = np.concatenate([self._goal(0.12, 0.0), quat])
        self.data.mocap_pos[0], self.data.mocap_quat[0] = self._goal(0.12, 0.0), quat
        for joint in ("left", "right"):
            self.data.joint(joint).qpos[0] = open_m / 2
        self.data.ctrl[0] = open_m / 2
        mujoco.mj_forward(self.model, self.data)

    def _goal(self, back_m: float, up_m: float) -> np.ndarray:
        return self.position - self.rotation[:, 2] * (HAND_TO_EE_M + back_m) + [0, 0, up_m]

    def _move(self, start: tuple[float, float], end: tuple[float, float], seconds: float) -> None:
        steps = round(seconds / self.model.opt.timestep)
        for k in range(1, steps + 1):
            at = np.asarray(start) + (np.asarray(end) - start) * k / steps
            self.data.mocap_pos[0] = self._goal(*at)
            mujoco.mj_step(self.model, self.data)

    def _close(self, seconds: float) -> None:
        opened, dt = float(self.data.ctrl[0]), self.model.opt.timestep
        for k in range(round(seconds / dt)):
            self.data.ctrl[0] = max(-0.025, opened - 0.06 * k * dt)
            mujoco.mj_step(self.model, self.data)

    def _step(self, seconds: float) -> None:
        mujoco.mj_step(self.model, self.data, round(seconds / self.model.opt.timestep))

    def _positions(self) -> dict[str, np.ndarray]:
        return {name: self.data.body(name).xpos.copy() for name in self.names}


def see(scene: TabletopScene, seed: int) -> Iterator[tuple[str, ToolContext, str]]:
    """Yield true name, context and mask of every object that `detect` finds."""
    tools = load_tools(["capture", "detect"])
    renderer = TruthRenderer(scene.model, scene.data, scene.lock)
    try:
        camera = SimCamera("scene", renderer, seed=seed)
        ctx = ToolContext(workspace=Workspace(), cameras={"scene": camera}, clock=lambda: 0.0)
        image = tools["capture"](ctx).value.image
        bodies = renderer.segmentation("scene")
    finally:
        renderer.close()
    try:
        found = tools["detect"](ctx, image=image).value.objects
    except Negative:
        return
    names = {scene.model.body(o.name).id: o.name for o in scene.objects}
    for item in found:
        pixels = ctx.workspace.get(item.mask).data
        ids, counts = np.unique(bodies[pixels], return_counts=True)
        body = int(ids[np.argmax(counts)])
        if body in names and counts.max() > 0.5 * pixels.sum():
            yield names[body], ctx, item.mask


def main(argv: Sequence[str] | None = None) -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--set", choices=("apart", "contact"), default="apart", dest="kind")
    parser.add_argument("--top", type=int, default=1, help="try this many of each object's grasps")
    args = parser.parse_args(argv)
    tried: Counter[str] = Counter()
    held: Counter[str] = Counter()
    none: Counter[str] = Counter()
    seconds: list[float] = []
    grasp = load_tools(["grasp"])["grasp"]
    for seed in range(args.first_seed, args.first_seed + args.scenes):
        scene = TabletopScene(sample_scene(seed, args.kind).layout, SceneConfig())
        scene.settle()
        shapes = {o.name: o.shape for o in scene.objects}
        for name, ctx, mask in see(scene, seed):
            shape = shapes[name]
            start = time.process_time()
            try:
                grasps: GraspSet = ctx.workspace.get(grasp(ctx, mask=mask).value.grasp).data
            except Negative as error:
                none[shape] += 1
                print(f"seed {seed}: {error}")
                continue
            finally:
                seconds.append(time.process_time() - start)
            for k in range(min(args.top, len(grasps))):
                outcome = Trial(scene, grasps.T_world_ee[k], float(grasps.open_m[k])).run(name)
                tried[shape] += 1
                held[shape] += outcome.success
                if not outcome.success:
                    print(f"seed {seed}: {grasps.label} grasp {k} ({grasps.kinds[k]}): {outcome}")
    print(f"\n{'':10s} tried   held  no grasp")
    for shape in (*sorted(tried | none), "all"):
        counts = [sum(c.values()) if shape == "all" else c[shape] for c in (tried, held, none)]
        print(f"{shape:10s} {counts[0]:5d}  {counts[1] / max(1, counts[0]):5.3f}  {counts[2]:8d}")
    milliseconds = 1e3 * np.quantile(seconds, [0.5, 0.95])
    print(f"CPU time per call: median {milliseconds[0]:.0f} ms, p95 {milliseconds[1]:.0f} ms")


if __name__ == "__main__":
    main()
