"""`TabletopWorld`: seeded pick-and-place episodes on a table, implementing the `World` contract."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from policies.world import Episode
from sim.camera import SimCameraConfig
from sim.person import Person, PersonConfig
from sim.phrases import PhraseSplit
from sim.rendering import TruthRenderer
from sim.robot import SimRobot, SimRobotConfig
from sim.robots.fr3 import FR3
from sim.robots.model import WRIST_CAMERA, RobotModel
from sim.scene import PlacementError, SceneConfig, TabletopScene
from sim.senses.robot import RobotSenses, RobotSensesConfig
from sim.tabletop_asking import ASKING_FAMILIES
from sim.tabletop_families import SKILL_FAMILIES
from sim.tabletop_goals import Goal
from sim.tabletop_hands import HAND_FAMILIES
from sim.tabletop_hard import MIN_VISIBLE, Level
from sim.tabletop_insert import INSERT_FAMILIES
from sim.tabletop_judge import Judge
from sim.tabletop_rows import Question, Truth, ask
from sim.tabletop_tasks import ALL_FAMILIES, FAMILIES, Task, draw_task
from sim.visibility import visible_fractions
from sim.worlds import SceneWorld, family_of, require_families

BENCHMARK_FAMILIES = tuple(f for f in FAMILIES if f != "mixed")
FURTHER_FAMILIES = (*SKILL_FAMILIES, *INSERT_FAMILIES, *HAND_FAMILIES, *ASKING_FAMILIES)
QUESTION_FAMILY = "question"
TEST_SEEDS_FROM = 7_000_000
BLIND_SEEDS_FROM = 8_000_000
STRANGERS_SEEDS_FROM = 9_000_000
_ATTEMPTS = 60
_SHIFT_M = 0.008  # objects that move farther than this while settling were not stable


@dataclass(frozen=True)
class TabletopConfig:
    """Settings of the tabletop.

    Attributes:
        families: Families that seeds are spread over: seed s is of ``families[s % len(families)]``
            unless `reset` is told one. `mixed` (a red block, a bowl and more, for instructions that
            the user brings), `question` and those of `further` can be asked for besides.
        further: Families of skills beyond pick and place, and of questions.
        scene: How scenes are drawn.
        camera: Settings of both cameras.
        robot: Settings of the robot's driver.
        min_visible: Fraction of every object that the scene camera must see at the start.
        level: `hard` adds clutter, look-alikes, things half hidden, and poor light.
        senses: Settings of touch, force, sound and temperature.
        person: Settings of a person's hand that takes what is held out to them; off by default, but there in
            the family `hand_over`.
    """

    families: tuple[str, ...] = BENCHMARK_FAMILIES
    further: tuple[str, ...] = FURTHER_FAMILIES
    scene: SceneConfig = field(default_factory=SceneConfig)
    camera: SimCameraConfig = field(default_factory=SimCameraConfig)
    robot: SimRobotConfig = field(default_factory=SimRobotConfig)
    min_visible: float = 0.7
    level: Level = "normal"
    senses: RobotSensesConfig = field(default_factory=RobotSensesConfig)
    person: PersonConfig = field(default_factory=PersonConfig)

    def __post_init__(self) -> None:
        """Refuse families that do not exist."""
        require_families(self.families, tuple(ALL_FAMILIES))
        require_families(self.further or self.families, tuple(ALL_FAMILIES))


def phrase_split(seed: int) -> PhraseSplit:
    """Return whose sentences an episode of this seed is told in."""
    if seed >= STRANGERS_SEEDS_FROM:
        return "strangers"
    return "blind" if seed >= BLIND_SEEDS_FROM else "test" if seed >= TEST_SEEDS_FROM else "dev"


class TabletopWorld(SceneWorld):
    """A table with objects, an arm, a scene camera and a wrist camera.

    Args:
        config: Settings.
        robot: The robot at the table.
    """

    def __init__(self, config: TabletopConfig | None = None, robot: RobotModel = FR3) -> None:
        """See the class."""
        self.config = config or TabletopConfig()
        self._robot_model = robot
        self._truth: TruthRenderer | None = None
        self._question: Question | None = None

    @property
    def families(self) -> tuple[str, ...]:
        """Names that `reset` accepts."""
        return (*ALL_FAMILIES, QUESTION_FAMILY)

    @property
    def truth(self) -> TruthRenderer:
        """Renderer with segmentation, for evaluation only; cameras do not have it."""
        if self._truth is None:
            scene, camera = self.scene, self.config.camera
            self._truth = TruthRenderer(
                scene.model, scene.data, scene.lock, width=camera.width, height=camera.height
            )
        return self._truth

    def reset(self, seed: int, family: str | None = None) -> Episode:
        """Build the episode of a seed; equal seeds give equal episodes.

        Args:
            seed: Any integer >= 0; from `TEST_SEEDS_FROM` on, instructions use the test phrases, from
                `BLIND_SEEDS_FROM` on the blind ones.
            family: Family, or None for the one that the seed falls into.

        Raises:
            ValueError: Unknown family (lists the valid ones) or negative seed.
        """
        family = family_of(seed, family, self.config.families, self.families)
        self.close()
        if family == QUESTION_FAMILY:
            return self._ask(seed)
        task, attempt = self._build(seed, family)
        meta = {**task.meta, **_goal_meta(task.goal), "attempt": attempt}
        if self._question is not None:
            meta |= _question_meta(self._question)
        return self._episode(seed, family, task.instruction, task, meta)

    def rows(self, seed: int, n: int) -> Iterator[Mapping[str, Any]]:
        """Generate questions with exact truth; row k is about the scene ``reset(seed + k, "question")``.

        Yields:
            `id`, `seed`, `family`, `kind`, `question`, `answer`, `answer_type` (yes_no, integer,
            word, number), `unit`, `tolerance`, `meta`.
        """
        for k in range(n):
            question, _, _ = self._draw_question(seed + k)
            yield {
                "id": f"tabletop-{seed + k}",
                "seed": seed + k,
                "family": QUESTION_FAMILY,
                "kind": question.kind,
                "question": question.text,
                "answer": question.answer,
                "answer_type": question.answer_type,
                "unit": question.unit,
                "tolerance": question.tolerance,
                "meta": dict(question.meta),
            }

    def close(self) -> None:
        """Release simulator and renderers; idempotent."""
        if self._truth is not None:
            self._truth.close()
        self._truth = None
        super().close()

    # ---- building -----------------------------------------------------------------------------

    def _ask(self, seed: int) -> Episode:
        question, task, scene = self._draw_question(seed)
        self._scene, self._judge = scene, Judge(scene, Goal("still"), self._robot_model)
        return self._episode(seed, QUESTION_FAMILY, question.text, task, _question_meta(question))

    def _draw_question(self, seed: int) -> tuple[Question, Task, TabletopScene]:
        task, scene, judge, _ = self._draw(seed, "mixed", QUESTION_FAMILY)
        truth = Truth(scene.objects, judge.poses(), scene.viewer_axes)
        rng = np.random.default_rng((seed, zlib.crc32(b"ask")))
        return ask(rng, truth), task, scene

    def _build(self, seed: int, family: str) -> tuple[Task, int]:
        task, self._scene, self._judge, attempt = self._draw(seed, family, family)
        return task, attempt

    def _draw(self, seed: int, family: str, stream: str) -> tuple[Task, TabletopScene, Judge, int]:
        """Draw until the settled scene is as intended; attempt k has its own random stream."""
        split = phrase_split(seed)
        for attempt in range(_ATTEMPTS):
            rng = np.random.default_rng((seed, zlib.crc32(stream.encode()), attempt))
            try:
                task = draw_task(rng, family, self.config.scene, phrase_split=split, level=self.config.level)
            except PlacementError:
                continue
            scene = TabletopScene(task.layout, self.config.scene, self._robot_model)
            if not scene.settle():
                continue
            judge = Judge(scene, task.goal, self._robot_model)
            if not self._is_as_intended(task, scene, judge):
                continue
            self._question = None
            if task.ask is not None:
                question = task.ask(Truth(scene.objects, judge.poses(), scene.viewer_axes))
                if question is None:
                    continue
                self._question, task = question, replace(task, instruction=question.text)
            return task, scene, judge, attempt
        raise RuntimeError(f"seed {seed}, family {family}: no stable scene in {_ATTEMPTS} draws")

    def _is_as_intended(self, task: Task, scene: TabletopScene, judge: Judge) -> bool:
        poses = judge.poses()
        for placed in task.layout.objects:
            pose = poses[placed.spec.name]
            shift = np.linalg.norm(pose.position_m - placed.position_m)
            if shift > _SHIFT_M or pose.rotation[2, 2] < 0.98:
                return False
        seen = visible_fractions(scene, poses, np.array(task.layout.camera_eye_m))
        least = self.config.min_visible if self.config.level == "normal" else MIN_VISIBLE
        if min(seen.values()) < min(least, self.config.min_visible):
            return False
        return task.goal.kind in ("still", "returned") or not judge.judge().success

    def _episode(
        self, seed: int, family: str, instruction: str, task: Task, meta: Mapping[str, Any]
    ) -> Episode:
        scene = self.scene
        self._robot = SimRobot(
            scene.model, scene.data, self._robot_model, lock=scene.lock, config=self.config.robot
        )
        if self.config.person.enabled or task.goal.kind == "taken":
            Person(scene, self._robot, self._robot_model, replace(self.config.person, enabled=True))
        return Episode(
            instruction=instruction,
            family=family,
            seed=seed,
            expected="answered" if family == QUESTION_FAMILY else task.expected,
            robot=self._robot,
            cameras=self._cameras(("scene", WRIST_CAMERA), self.config.camera, seed),
            meta=meta,
            senses=self._senses(seed),
        )

    def _senses(self, seed: int) -> RobotSenses | None:
        robot, model = self._robot, self._robot_model
        if robot is None or model.gripper is None:
            return None
        return RobotSenses(self.scene, robot, model, seed=seed, config=self.config.senses)


def _goal_meta(goal: Goal) -> dict[str, Any]:
    return {"goal": goal.kind, "target": goal.target, "other": goal.other}


def _question_meta(question: Question) -> dict[str, Any]:
    meta = {"answer": question.answer, "answer_type": question.answer_type, "kind": question.kind}
    return meta | {"unit": question.unit, "tolerance": question.tolerance, **question.meta}
