"""Assembly of the planner: world or robot, safety filter, tools, skills, model, trace.

The one place where `sim`, `vlm_agent` and `hardware` meet for `habilis run` and its kin. Commands receive
these functions as arguments (`habilis.Invocation`), so that no room imports this module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from habilis_config import UsageError, check_contract, instantiate
from habilis_robots import import_kinematics, interface_of, may_be_real, remote_world, safe_robot

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from vlm_agent.session import Session


def build(
    cfg: DictConfig,
    folder: Path | None = None,
    *,
    seed: int | None = None,
    family: str | None = None,
    watchers: Sequence[Any] = (),
    world: Any = None,
    ask: Any = None,
    is_split: bool = False,
) -> Session:
    """Put the rooms together: world, robot behind its safety filter, tools, planner, trace.

    Args:
        cfg: Configuration composed from ``configs/run.yaml`` or one that has its keys.
        folder: Where the trace and the video go; None writes nothing.
        seed: Seed of the episode; ``cfg.env.seed`` if None.
        family: Family of the episode; ``cfg.env.family`` if None.
        watchers: Who is told of the run besides video and viewer.
        world: A world to use again; it is not closed with the session.
        ask: How a person is asked before the robot moves (`vlm_agent.confirm.Ask`); None: nobody is there.
        is_split: Whether every instruction gets a trace of its own, in a folder within `folder`.

    Returns:
        A `vlm_agent.session.Session`.

    Raises:
        UsageError: The configuration does not fit together; one line says where.
        TypeError: A part does not keep its contract.
    """
    from contextlib import ExitStack
    from dataclasses import replace

    from vlm_agent.confirm import Confirmation, mode_of
    from vlm_agent.session import Session

    if cfg.transport != "sim":
        return _build_remote(cfg, folder, watchers, world, ask, is_split)
    with ExitStack() as parts:
        robot_model = instantiate(cfg.robot.model)
        if world is None:
            if "world" not in cfg.env:
                raise UsageError("this env is a task for habilis play; choose a world: see habilis envs")
            world = instantiate(cfg.env.world, robot=robot_model)
            parts.callback(world.close)
        check_contract(world, "policies.world:World")
        seed = cfg.env.seed if seed is None else seed
        if not isinstance(seed, int):
            raise UsageError(f"env.seed must be an integer, got {seed!r}")
        episode = world.reset(seed, family or cfg.env.family)
        viewer = _viewer(cfg, world, episode, parts)
        everyone = [*watchers, *([viewer] if viewer else [])]
        trace, split = _trace(cfg, folder, episode, everyone, parts, is_split)
        robot, kinematics = safe_robot(cfg, episode.robot, robot_model, trace)
        parts.callback(robot.close)
        if viewer is not None:
            viewer.on_stop(robot.stop)
        confirmation = Confirmation(mode_of(cfg.skills.confirm, is_real=False), ask)
        agent, tools = _agent(cfg, robot, kinematics, episode, trace, parts, confirmation)
        given = replace(episode, robot=robot)  # the bare driver stays here
        return Session(agent, world, given, robot, tools, folder, viewer, parts.pop_all(), split)


def _build_remote(
    cfg: DictConfig, folder: Path | None, watchers: Sequence[Any], world: Any, ask: Any, is_split: bool
) -> Session:
    """Put the rooms together around a robot and cameras behind a bus."""
    from contextlib import ExitStack
    from dataclasses import replace

    from vlm_agent.confirm import Confirmation, mode_of
    from vlm_agent.session import Session

    cfg = cfg.copy()
    cfg.video.enabled = False  # there is no view of the scene but the robot's own cameras
    with ExitStack() as parts:
        if world is None:
            world = _rehearsed_world(cfg)
            parts.callback(world.close)
        remote, episode = world.remote, world.reset(0)
        trace, split = _trace(cfg, folder, episode, list(watchers), parts, is_split)
        trace.event("transport", **remote.facts(cfg.transport))
        parts.callback(
            remote.on_trouble(lambda mode, why: trace.event("safety", rule=mode, message=why, count=1))
        )
        robot, kinematics = safe_robot(cfg, episode.robot, instantiate(cfg.robot.model), trace)
        remote.guard.release_with(robot.reset_stop)
        remote.arm()
        is_real = may_be_real(remote.bus, interface_of(cfg))
        confirmation = Confirmation(mode_of(cfg.skills.confirm, is_real), ask)
        agent, tools = _agent(cfg, robot, kinematics, episode, trace, parts, confirmation)
        given = replace(episode, robot=robot)  # the bare driver stays here
        return Session(agent, world, given, robot, tools, folder, None, parts.pop_all(), split)


def _rehearsed_world(cfg: DictConfig) -> Any:
    """Find a robot on the network, after the planner has done once what takes long the first time."""
    from vlm_agent.rehearsal import rehearse
    from vlm_agent.skills.registry import load_skills

    load_skills()
    import_kinematics(cfg)
    ours = cfg.copy()
    ours.model = {"_target_": "vlm_agent.scripted.model.ScriptedModel"}  # no other is asked for a rehearsal
    rehearse(lambda camera: build_picture(ours, camera, None))
    return remote_world(cfg)


def build_picture(cfg: DictConfig, camera: Any, folder: Path | None, watchers: Sequence[Any] = ()) -> Any:
    """Put the planner before a picture: ``configs/ask.yaml``; there is no robot and there are no skills.

    Args:
        cfg: The configuration.
        camera: A `perception_tools.picture_camera.PictureCamera`.
        folder: Where the trace goes; None writes nothing.
        watchers: Who is told of the run.

    Returns:
        A `vlm_agent.session.PictureSession`.
    """
    from contextlib import ExitStack

    from perception_tools.artifacts import Workspace
    from perception_tools.tool import ToolContext
    from vlm_agent.agent import Agent
    from vlm_agent.executor import Executor
    from vlm_agent.session import PictureSession
    from vlm_agent.trace import NullTrace, TraceWriter
    from vlm_agent.watch import WatchedTrace

    check_contract(camera, "perception_tools.camera:Camera")
    model = instantiate(cfg.model)
    check_contract(model, "vlm_agent.model:ChatModel")
    with ExitStack() as parts:
        inner = NullTrace()
        if folder is not None:
            inner = TraceWriter(folder, config=instantiate(cfg.trace))
            parts.callback(inner.close)
        settings = instantiate(cfg.tools.settings)
        context = ToolContext(Workspace(), {camera.name: camera}, lambda: 0.0, settings)
        tools = _tools(cfg)
        trace = WatchedTrace(inner, watchers)
        executor = Executor(tools.values(), context, instantiate(cfg.executor), trace=trace)
        parts.callback(executor.close)
        agent = Agent(model, executor, instantiate(cfg.agent))
        return PictureSession(agent, camera.about_up, parts.pop_all())


def build_planner(cfg: DictConfig) -> Any:
    """Build the planner as a node of its own: ``configs/planner.yaml``.

    Returns:
        A `hardware.nodes.planner_node.ServedPlanner`.

    Raises:
        UsageError: The configuration does not fit together.
    """
    from contextlib import ExitStack

    from hardware.nodes.planner_node import Answer, Follow, PlannerNode, ServedPlanner
    from policies.runs import new_run_folder

    with ExitStack() as parts:
        world = _rehearsed_world(cfg)
        parts.callback(world.close)

        def plan(instruction: str, cancel: Any, tell: Callable[[str], None]) -> Answer:
            folder = new_run_folder(cfg.run_dir, instruction)
            with ExitStack() as run:
                if folder is not None:
                    run.enter_context(Follow(folder / "trace.jsonl", tell))
                result = run.enter_context(build(cfg, folder, world=world)).run(instruction, cancel)
            words = result.summary or result.message
            return Answer(instruction, result.outcome, result.ok, words, str(folder or ""))

        node = PlannerNode(world.remote.bus, plan)
        parts.callback(node.close)
        return ServedPlanner(world.remote.bus, node, parts.pop_all())


def _present(cfg: DictConfig) -> list[str]:
    """Return the tools of a configuration that can run here; `habilis tools` says what others need."""
    from perception_tools.registry import absent

    missing = absent(cfg.tools.names, cfg.tools.get("implementations"))
    return [name for name in cfg.tools.names if name not in missing]


def _tools(cfg: DictConfig) -> dict[str, Any]:
    """Return the tools that can run here by name, as the configuration implements them."""
    from perception_tools.registry import load_tools

    try:
        return load_tools(_present(cfg), cfg.tools.get("implementations"))
    except ValueError as error:
        raise UsageError(str(error)) from error


def _agent(
    cfg: DictConfig, robot: Any, kinematics: Any, episode: Any, trace: Any, parts: Any, confirmation: Any
) -> Any:
    """Bind the planner to tools and skills; return its loop, and the tools by name."""
    from vlm_agent.agent import Agent
    from vlm_agent.executor import Executor
    from vlm_agent.skills.context import SkillContext
    from vlm_agent.skills.registry import load_skills, permitted

    model = instantiate(cfg.model)
    check_contract(model, "vlm_agent.model:ChatModel")
    context = SkillContext.create(
        robot,
        kinematics,
        episode.cameras,
        config=instantiate(cfg.skills.config),
        settings=instantiate(cfg.tools.settings),
        senses=episode.senses,
        held_tool=episode.held_tool,
    )
    tools = {**_tools(cfg), **load_skills()}
    settings = instantiate(cfg.executor, allow=permitted(cfg.skills.allow, tools))
    executor = Executor(
        tools.values(), context, settings, trace=trace, stop=robot.stop, confirmation=confirmation
    )
    parts.callback(executor.close)
    return Agent(model, executor, instantiate(cfg.agent)), tools


def _trace(
    cfg: DictConfig, folder: Path | None, episode: Any, watchers: list[Any], parts: Any, is_split: bool
) -> tuple[Any, Any]:
    """Open the trace and the video of a run; without a folder nothing is written.

    Returns:
        The trace, and the `SplitTrace` in it, None if it is one whole.
    """
    from vlm_agent.split_trace import SplitTrace
    from vlm_agent.trace import NullTrace, TraceWriter
    from vlm_agent.watch import WatchedTrace

    clock, config = episode.robot.clock, instantiate(cfg.trace)
    split = SplitTrace(folder, clock, config) if is_split else None
    if folder is None:
        return WatchedTrace(split or NullTrace(), watchers), split
    trace = split or TraceWriter(folder, clock=clock, config=config)
    parts.callback(trace.close)
    video = None if is_split else _video(cfg, folder, episode, parts)
    if video is None:
        return WatchedTrace(trace, watchers), split
    return WatchedTrace(trace, [*watchers, video], lambda: video.time_s), split


def _video(cfg: DictConfig, folder: Path, episode: Any, parts: Any) -> Any:
    """Record the simulated robot's motion, if asked for."""
    from sim.video import VideoRecorder

    settings = instantiate(cfg.video)
    if not settings.enabled:
        return None
    scene, wrist = episode.cameras["scene"], episode.cameras["wrist"]
    video = VideoRecorder(folder / "video.mp4", scene.preview, lambda: wrist.preview(320), settings)
    parts.callback(video.close)
    video.use_clock(episode.robot.clock)
    parts.callback(episode.robot.add_listener(1 / settings.fps, lambda _: video.frame()))
    video.frame()
    return video


def _viewer(cfg: DictConfig, world: Any, episode: Any, parts: Any) -> Any:
    """Open the live view of the simulated scene, if asked for."""
    settings = instantiate(cfg.viewer)
    if not settings.enabled:
        return None
    from sim.viewer import Viewer

    viewer = Viewer(world.scene.model, settings)
    parts.callback(viewer.close)
    viewer.update(world.scene.data)
    parts.callback(episode.robot.add_listener(1 / settings.fps, lambda _: viewer.update(world.scene.data)))
    return viewer
