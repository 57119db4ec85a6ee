"""Assembly hands out no bare driver: what tools, skills and commands get is the robot behind its filter."""

import types
from collections.abc import Mapping

import pytest

import habilis
from policies.robot import Robot
from policies.safe_robot import SafeRobot

_ROBOTS = habilis.CONFIG_DIR / "robot"


def _has_world(name):
    """Whether the table is for it: it has a model here, kinematics and a gripper."""
    robot = habilis.compose("run", [f"robot={name}"]).robot
    return bool(robot.model and robot.kinematics and robot.get("interface", {}).get("gripper"))


_NAMES = sorted(str(p.relative_to(_ROBOTS).with_suffix("")) for p in _ROBOTS.rglob("*.yaml"))
ROBOTS = [name for name in _NAMES if _has_world(name)]


@pytest.fixture(params=ROBOTS)
def session(request, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    cfg = habilis.compose("run", [f"robot={request.param}", "video.enabled=false"])
    try:
        session = habilis.build(cfg)
    except ValueError as error:
        if "menagerie" not in request.param:
            raise
        pytest.skip(f"model not on this machine: {error}")
    with session:
        yield session


def reachable(root):
    """Objects that can be reached by attributes, items, closures and bound methods; not through SafeRobot."""
    seen, todo = {}, [root]
    while todo:
        item = todo.pop()
        if id(item) in seen or isinstance(item, str | bytes | int | float | type | types.ModuleType | None):
            continue
        seen[id(item)] = item
        if isinstance(item, SafeRobot):
            continue
        if isinstance(item, types.MethodType):
            todo.append(item.__self__)
        if isinstance(item, types.FunctionType):
            todo += [cell.cell_contents for cell in item.__closure__ or ()]
        elif isinstance(item, Mapping):
            todo += item.values()
        elif isinstance(item, list | tuple | set | frozenset):
            todo += item
        else:
            todo += getattr(item, "__dict__", {}).values()
    return list(seen.values())


def robots(items):
    return [x for x in items if isinstance(x, Robot) or type(x).__name__ == "SimRobot"]


def test_everyone_gets_the_safe_robot(session):
    assert isinstance(session.robot, SafeRobot)
    assert session.episode.robot is session.robot
    assert session.agent.executor.context.robot is session.robot


def test_no_bare_driver_is_reachable_from_what_tools_get(session):
    found = robots(reachable(session.agent.executor.context))
    assert found == [session.robot]


def test_the_search_would_find_a_bare_driver(session):
    assert len(robots(reachable([session.episode, session.world]))) == 2  # the world keeps its driver
