"""Which simulated robots there are, by name: of the command line (`robot=`) and of configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from perception_tools.geometry import Transform
from sim.batch.settings import check_types
from sim.robots import menagerie, menagerie_hands, shadow
from sim.robots.allegro import ALLEGRO
from sim.robots.compose import HAND_PREFIX, ArmHandModel, arm_with_hand, fr3_arm, without_gripper
from sim.robots.fr3 import FR3
from sim.robots.hand import HandModel
from sim.robots.leap import LEAP
from sim.robots.model import RobotModel
from sim.robots.ur5e import UR5E

_ARMS: Final[Mapping[str, Callable[[], RobotModel]]] = {
    "fr3": lambda: FR3,
    "fr3_arm": fr3_arm,
    "ur5e": lambda: UR5E,
}
_HANDS: Final[Mapping[str, Callable[[], HandModel]]] = {
    "allegro": lambda: ALLEGRO,
    "leap": lambda: LEAP,
    "shadow": shadow.load,
}


@dataclass(frozen=True)
class ArmHandConfig:
    """An arm with a dexterous hand on its flange.

    Attributes:
        arm: Name of an arm; one with a gripper gives it up.
        hand: Name of a hand.
        pos_m: The hand's root on the flange [m].
        quat_wxyz: Its orientation there.
        prefix: Before all names of the hand.
    """

    arm: str = "ur5e"
    hand: str = "allegro"
    pos_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    quat_wxyz: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)
    prefix: str = HAND_PREFIX

    def __post_init__(self) -> None:
        """Refuse values of another type, and a turn that is none."""
        check_types(self)
        if abs(sum(q * q for q in self.quat_wxyz) - 1.0) > 1e-3:
            raise ValueError(f"quat_wxyz is {self.quat_wxyz}; use a unit quaternion")


def robot_names() -> tuple[str, ...]:
    """Return the arms that `load_robot` knows."""
    return (*_ARMS, *(f"menagerie/{name}" for name in menagerie.ADAPTED))


def hand_names() -> tuple[str, ...]:
    """Return the hands that `load_hand` knows."""
    return (*_HANDS, *(f"menagerie/{name}" for name in menagerie_hands.HANDS))


def load_robot(name: str | ArmHandConfig) -> RobotModel:
    """Return a robot model.

    Args:
        name: An arm of `robot_names()`, `<arm>+<hand>`, or how an arm and a hand are put together: an
            `ArmHandConfig`, or the path of a YAML file (`*.yaml`) with its fields.

    Raises:
        ValueError: Unknown name (lists the valid ones), or a model that is not on this machine
            (says what to do), or a file that does not describe a robot.
    """
    if isinstance(name, ArmHandConfig):
        return load_arm_hand(name)
    if name.endswith(".yaml"):
        return load_arm_hand(read_arm_hand(Path(name)))
    arm, plus, hand = name.partition("+")
    if plus:
        return load_arm_hand(ArmHandConfig(arm, hand))
    if name not in robot_names():
        hint = f"; with a hand: <arm>+<{'|'.join(hand_names())}>"
        raise ValueError(f"unknown robot {name!r}; robots: {', '.join(robot_names())}{hint}")
    if name in _ARMS:
        return _ARMS[name]()
    return menagerie.load(name.removeprefix("menagerie/"))


def load_hand(name: str) -> HandModel:
    """Return a hand model.

    Raises:
        ValueError: Unknown name (lists the valid ones), or a package that is missing (says which).
    """
    if name not in hand_names():
        raise ValueError(f"unknown hand {name!r}; hands: {', '.join(hand_names())}")
    if name in _HANDS:
        return _HANDS[name]()
    return menagerie_hands.load(name.removeprefix("menagerie/"))


def read_arm_hand(path: Path) -> ArmHandConfig:
    """Read how an arm and a hand are put together: a YAML file with the fields of `ArmHandConfig`.

    Raises:
        ValueError: No such file, or one with unknown fields or wrong values; names the file.
    """
    if not path.is_file():
        raise ValueError(f"no robot description at {path}")
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    known = list(ArmHandConfig.__dataclass_fields__)
    if not isinstance(fields, dict) or not set(fields) <= set(known):
        raise ValueError(f"{path} must have only the fields {', '.join(known)}")
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    try:
        return ArmHandConfig(**values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def load_arm_hand(config: ArmHandConfig) -> ArmHandModel:
    """Return the description of an arm with a hand.

    Raises:
        ValueError: Unknown arm or hand (lists the valid ones), or one that has no free flange.
    """
    arm = load_robot(config.arm)
    arm = arm if arm.gripper is None else without_gripper(arm)
    mount = Transform.from_parts(config.pos_m, config.quat_wxyz, parent="flange", child="hand")
    return arm_with_hand(arm, load_hand(config.hand), mount, config.prefix)
