"""Assembly of robots: a driver behind its safety filter, over a bus, served, deployed or calibrated.

What is built is checked against its contract; a bare driver of a robot never leaves it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from habilis_config import UsageError, check_contract, compose, instantiate
from habilis_training import build_env

if TYPE_CHECKING:
    from omegaconf import DictConfig


def remote_world(cfg: DictConfig) -> Any:
    """Find the robot and its cameras on the network."""
    from hardware.client.opening import reaches_reality
    from hardware.client.remote import RemoteWorld, connect
    from hardware.commands.calibrate import require_checked

    if cfg.robot.model is None or cfg.robot.kinematics is None:
        raise UsageError(f"robot {cfg.robot.name!r} has no model to plan motions with; see docs/robots.md")
    interface, cfg = interface_of(cfg), cfg.copy()
    bus = open_bus(cfg)
    cfg.bus.use_sim_time = bus.config.use_sim_time
    cfg.bus.node_name = f"{cfg.bus.node_name}_eyes"
    share = float(cfg.robot.safety.velocity_scale)
    remote = connect(bus, open_bus(cfg), interface, instantiate(cfg.remote), share)
    if reaches_reality(bus, interface):
        try:
            require_checked(interface, Path(cfg.calibration_dir))
        except ValueError:
            remote.close()
            raise
    return RemoteWorld(remote)


def may_be_real(bus: Any, interface: Any) -> bool:
    """Whether a real robot may be behind a bus."""
    from hardware.client.opening import reaches_reality

    return reaches_reality(bus, interface)


def interface_of(cfg: DictConfig) -> Any:
    """Return a robot's names and topics in ROS."""
    if cfg.robot.get("interface") is None:
        raise UsageError(
            f"robot {cfg.robot.name!r} has no `interface`, its topics in ROS; see docs/robots.md"
        )
    return instantiate(cfg.robot.interface)


def open_bus(cfg: DictConfig) -> Any:
    """Join the network as the configuration's `transport` and `bus` say; `use_sim_time: null` looks first.

    Raises:
        UsageError: No such transport.
    """
    from hardware.client.remote import has_clock
    from hardware.transports import open_bus as open_transport

    if cfg.transport not in ("auto", "dds", "ros"):
        raise UsageError(f"no transport {cfg.transport!r}; there are: sim, dds, ros, auto")
    cfg = cfg.copy()
    if cfg.bus.use_sim_time is None:
        cfg.bus.use_sim_time = False
        cfg.bus.use_sim_time = has_clock(cfg.transport, instantiate(cfg.bus))
    bus = open_transport(cfg.transport, instantiate(cfg.bus))
    check_contract(bus, "hardware.bus:Bus")
    return bus


def build_robot(cfg: DictConfig) -> Any:
    """Build what ``configs/robot_server.yaml`` describes: a simulated robot behind a real one's topics.

    Returns:
        A `hardware.commands.robot.ServedRobot`.

    Raises:
        UsageError: The configuration does not fit together.
    """
    from contextlib import ExitStack

    from hardware.commands.robot import ServedRobot
    from hardware.server.cameras import CameraServer, warm_up
    from hardware.server.robot_server import RobotServer
    from policies.real_time import settle
    from vlm_agent.trace import NullTrace

    cfg, config = cfg.copy(), instantiate(cfg.server)
    cfg.bus.use_sim_time = False  # it makes the clock and follows none
    with ExitStack() as parts:
        interface = interface_of(cfg)
        robot_model, driver, cameras, frames, truth, task = _served(cfg, interface, parts)
        robot, _ = safe_robot(cfg, driver, robot_model, NullTrace())
        parts.callback(robot.close)
        for camera in cameras.values():
            warm_up(camera)
        settle()
        bus = open_bus(cfg)
        parts.callback(bus.close)
        server = RobotServer(bus, robot, interface, config, frames)
        parts.callback(server.close)
        served = [CameraServer(bus, c, server.stamp_ns, instantiate(cfg.camera)) for c in cameras.values()]
        for camera in served:
            parts.callback(camera.close)
        parts.callback(bus.close)  # callbacks end before what they use
        return ServedRobot(bus, server, served, task, truth, parts.pop_all())


def _served(cfg: DictConfig, interface: Any, parts: Any) -> tuple[Any, Any, Any, Any, Any, str]:
    """Return model, driver, cameras, frames, truth and task of what is served: simulated, or ideal joints."""
    from hardware.server.ideal_robot import IdealRobot
    from sim.robots.frames import link_frames

    if "world" not in cfg.env:
        raise UsageError("this env is a task for habilis play; choose a world: see habilis envs")
    model = _simulated(cfg)
    if model is None:
        driver = IdealRobot(interface, cfg.robot.safety.control_period_s)
        return None, driver, {}, lambda: (), lambda: {"reason": "ideal joints; there is no scene"}, ""
    world = instantiate(cfg.env.world, robot=model)
    parts.callback(world.close)
    check_contract(world, "policies.world:World")
    episode, scene = world.reset(cfg.env.seed, cfg.env.family), world.scene
    base = getattr(model, "base_body", None) or model.root_body
    frames = link_frames(scene.model, scene.data, scene.lock, base)
    return model, episode.robot, episode.cameras, frames, lambda: vars(world.judge()), episode.instruction


def build_deployment(cfg: DictConfig, confirmed: bool) -> Any:
    """Put a policy on the robot that ``configs/deploy.yaml`` describes; it stays disarmed.

    Args:
        cfg: The configuration.
        confirmed: Whether a person has confirmed that the robot may move.

    Returns:
        A `hardware.commands.deploy.Deployed`.

    Raises:
        UsageError: Policy, robot and settings do not fit together.
    """
    from contextlib import ExitStack

    from hardware.client.opening import open_robot, reaches_reality, watch_cameras
    from hardware.commands.calibrate import require_checked
    from hardware.commands.deploy import Deployed
    from hardware.nodes.lifecycle import Lifecycle
    from hardware.recording.trial import Trial
    from hardware.runner.observer import Observer
    from hardware.runner.policy_runner import PolicyRunner, check_fit
    from policies.actions import Decoder
    from policies.onnx_policy import OnnxPolicy
    from policies.real_time import settle
    from policies.runs import new_run_folder
    from vlm_agent.trace import NullTrace

    cfg, policy = cfg.copy(), OnnxPolicy(Path(cfg.policy))
    interface, period_s = instantiate(cfg.robot.interface), cfg.robot.safety.control_period_s
    if abs(period_s * interface.rate_hz - 1) > 1e-6:
        raise UsageError(
            f"robot.safety.control_period_s is {period_s:g} s, but {cfg.robot.name} is commanded at "
            f"{interface.rate_hz:g} Hz (rate_hz of its channels); make them agree"
        )
    deployment = _deployment(cfg, policy, interface)
    observe, runner = instantiate(cfg.observe), instantiate(cfg.runner)
    if observe.joint_names:
        deployment = deployment.renamed(observe.joint_names)
    deployment = deployment.scaled(float(cfg.action.scale))
    with ExitStack() as parts:
        robot_model = instantiate(cfg.robot.model) if cfg.robot.kinematics is not None else None
        has_forward, found = cfg.robot.kinematics is not None, []
        forward = (lambda joint_pos: found[0].forward(joint_pos)) if has_forward else None
        decoder = Decoder(deployment, forward)
        check_fit(policy.spec, decoder, period_s)  # before anything is reached
        import_kinematics(cfg)
        settle()
        bus = open_bus(cfg)
        parts.callback(bus.close)
        observer = Observer(
            bus, policy.spec, interface.joint_names, deployment, decoder, forward,
            interface.gripper is not None, observe,
        )  # fmt: skip
        is_real = reaches_reality(bus, interface)
        dry_run = is_real and not confirmed if cfg.dry_run is None else bool(cfg.dry_run)
        client = open_robot(
            bus, interface, dry_run=dry_run, confirmed=confirmed,
            velocity_share=float(cfg.robot.safety.velocity_scale),
        )  # fmt: skip
        parts.callback(client.close)
        if is_real and not dry_run:
            require_checked(interface, Path(cfg.calibration_dir))
        watch_cameras(bus, client.guard, cfg.watch_cameras, interface.watchdog)
        robot, kinematics = safe_robot(cfg, client.driver, robot_model, NullTrace())
        client.guard.release_with(robot.reset_stop)
        found.append(kinematics)
        if runner.arm is None:
            runner = replace(runner, arm=dry_run or not is_real)
        trial = None
        if (folder := new_run_folder(cfg.run_dir, cfg.robot.name)) is not None:
            trial = Trial(bus, folder / "bag", interface)
            parts.callback(trial.close)
            client.driver.on_sent(trial.sent)
            client.driver.on_fault(lambda fault: trial.said(str(fault)))
        loop = PolicyRunner(bus, robot, client.guard, policy, observer, decoder, period_s, runner, trial)
        managed = Lifecycle(
            bus,
            is_active=lambda: client.guard.may_move,
            activate=client.guard.arm,
            deactivate=client.guard.disarm,
            shutdown=loop.stop,
        )
        parts.callback(managed.close)
        return Deployed(bus, client.guard, loop, dry_run, parts.pop_all())


def build_calibration(cfg: DictConfig) -> Any:
    """Reach a robot as ``configs/calibrate.yaml`` says, and build the simulated one; nothing moves.

    Returns:
        A `hardware.commands.calibrate.CalibratedRobot`.

    Raises:
        UsageError: The configuration does not fit together, or another robot was confirmed.
    """
    from contextlib import ExitStack

    from hardware.client.opening import open_robot
    from hardware.commands.calibrate import CalibratedRobot
    from vlm_agent.trace import NullTrace

    if cfg.confirm not in ("", cfg.robot.name):
        raise UsageError(f"confirm is {cfg.confirm!r}; to let the robot move say confirm={cfg.robot.name}")
    interface = instantiate(cfg.robot.interface)
    with ExitStack() as parts:
        model = instantiate(cfg.robot.model) if cfg.robot.kinematics is not None else None
        bus = open_bus(cfg)
        parts.callback(bus.close)
        share = float(cfg.robot.safety.velocity_scale)
        client = open_robot(bus, interface, confirmed=cfg.confirm == cfg.robot.name, velocity_share=share)
        parts.callback(client.close)
        robot, kinematics = safe_robot(cfg, client.driver, model, NullTrace())
        client.guard.release_with(robot.reset_stop)
        twin = _twin(cfg, robot.state().joint_pos, parts)
        forward = kinematics.forward if kinematics is not None else None
        return CalibratedRobot(bus, client.guard, robot, twin, interface, forward, parts.pop_all())


def _twin(cfg: DictConfig, joint_pos: Any, parts: Any) -> Any:
    """Build the simulated robot at a pose, behind its own filter; None where there is no model of it."""
    from sim.stand import StandWorld
    from vlm_agent.trace import NullTrace

    model = _simulated(cfg)
    if model is None:
        return None
    world = StandWorld(robot=model)
    parts.callback(world.close)
    driver: Any = world.reset(0).robot
    driver.reset(joint_pos)
    return safe_robot(cfg, driver, model, NullTrace())[0]


def _deployment(cfg: DictConfig, policy: Any, interface: Any) -> Any:
    """Return what a policy's actions mean: by its own word, the configuration's, or that of its task."""
    from policies.actions import Deployment, JointTerm

    if "deployment" in policy.about:
        return Deployment.from_json(policy.about["deployment"])
    if cfg.action.kind is not None:
        if cfg.action.kind not in ("targets", "steps"):
            raise UsageError(f"action.kind is {cfg.action.kind!r}; use targets or steps")
        names, joints = policy.spec.action.names, interface.joints
        k = joints.columns(names)
        low, high = (tuple(float(v) for v in row[k]) for row in (joints.limits.lower, joints.limits.upper))
        step = float(cfg.action.step) if cfg.action.kind == "steps" else None
        order = tuple(cfg.observe.joint_names) or interface.joint_names
        return Deployment((JointTerm(names, low, high, step),), order)
    found = deployment_of(policy.about)
    if found is None:
        raise UsageError(f"{cfg.policy} does not say what its actions mean; say action.kind=targets or steps")
    return Deployment.from_json(found)


def deployment_of(about: Any) -> Any:
    """Return what the actions of a policy mean on a robot, as JSON; None if it has no task to ask.

    Args:
        about: Where the policy comes from; its `env` is the configuration of its task.

    Raises:
        ValueError: The task has an action that no robot is driven by.
    """
    if "env" not in about:
        return None
    from omegaconf import OmegaConf

    from sim.deployment import deployment_of as ask

    physics = {"_target_": "sim.batch.physics.PhysicsConfig", "num_threads": 1}
    env = build_env(OmegaConf.create({"env": about["env"], "sim": physics, "seed": 0}))
    try:
        return ask(env).to_json()
    finally:
        env.close()


def _simulated(cfg: DictConfig) -> Any:
    """Return the model of a robot, None if there is none here."""
    from sim.robots.registry import hand_names, load_hand

    if cfg.robot.model is not None:
        return instantiate(cfg.robot.model)
    if "env" in cfg and cfg.env.family != "stand":
        raise UsageError(f"{cfg.robot.name!r} cannot work at a table here; serve it by itself: env=stand")
    return load_hand(cfg.robot.name) if cfg.robot.name in hand_names() else None


def driver_of(robot: str) -> Any:
    """Return how a robot's vendor starts its ROS 2 driver, a `hardware.interface.driver.Driver`.

    Raises:
        UsageError: The robot has no driver in its YAML.
    """
    cfg = compose("run", [f"robot={robot}"])
    if cfg.robot.get("driver") is None:
        raise UsageError(f"robot {robot} has no driver; start one yourself, or use_mock_hardware:=true")
    return instantiate(cfg.robot.driver)


def import_kinematics(cfg: DictConfig) -> None:
    """Import what plans motions: half a second, which must not pass while a robot is listened to."""
    from hydra.utils import get_object

    if cfg.robot.kinematics is not None:
        get_object(cfg.robot.kinematics["_target_"])


def safe_robot(cfg: DictConfig, driver: Any, robot_model: Any, trace: Any) -> tuple[Any, Any]:
    """Wrap the driver in its safety filter; return it with the kinematics that plan under its limits."""
    from policies.safe_robot import SafeRobot
    from policies.safety import SafetyFilter, scaled_limits

    check_contract(driver, "policies.robot:Robot")
    config = instantiate(cfg.robot.safety)
    limits = scaled_limits(driver.limits, config)
    if cfg.robot.kinematics is None:  # no model: limits of the joints alone
        safety = SafetyFilter(driver.limits, config, gripper_width_m=driver.gripper_width_m)
        return SafeRobot(driver, safety, lambda kind, fields: trace.event(kind, **fields)), None
    kinematics = instantiate(cfg.robot.kinematics, robot=robot_model, limits=limits)
    check_contract(kinematics, "policies.motion:Kinematics")
    arm = [limits.joint_names.index(n) for n in kinematics.limits.joint_names]  # fingers are not among them
    safety = SafetyFilter(
        driver.limits,
        config,
        gripper_width_m=driver.gripper_width_m,
        forward=lambda joint_pos: kinematics.forward(joint_pos[arm]),
        lowest_point=lambda joint_pos, width_m: kinematics.lowest_point(joint_pos[arm], width_m),
    )
    return SafeRobot(driver, safety, lambda kind, fields: trace.event(kind, **fields)), kinematics
