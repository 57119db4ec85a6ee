"""What MuJoCo Warp needs before it simulates a model: its device, its kernel cache, a supported model.

Nothing is approximated in silence: a model with a feature that Warp lacks, or that stepping in two
halves would change, is refused by the feature's name.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mujoco
import mujoco_warp as mjw
import numpy as np
import warp as wp

from sim.batch.physics import CapacityError, PhysicsConfig, UnsupportedFeatureError

_LOG = logging.getLogger(__name__)

ROWS = int(mjw.OverflowType.NEFC | mjw.OverflowType.NJMAX_NNZ)
CONTACTS = int(mjw.OverflowType.BROADPHASE | mjw.OverflowType.NARROWPHASE | mjw.OverflowType.CCD)
# Iterations that end early are no fault on the CPU either.
_UNCONVERGED = mjw.OverflowType.ITERATIONS | mjw.OverflowType.LS_ITERATIONS | mjw.OverflowType.EPA_HORIZON
FATAL = int(mjw.OverflowType.ALL & ~_UNCONVERGED)
_MAX_DENSE_NV = 60
_CONTACTS_PER_ENV, _CONTACTS_IN_ALL = 48, 512  # the room is shared: a few environments need more each


def start_warp(config: PhysicsConfig) -> wp.Device:
    """Set Warp up and return the device of a configuration.

    Raises:
        ValueError: If there is no such device; lists those there are.
    """
    wp.config.log_level = max(wp.config.log_level, wp.LOG_WARNING)  # it reports every kernel on stdout
    wp.init()
    if config.kernel_cache_dir:
        folder = Path(config.kernel_cache_dir).resolve() / wp.config.version
        folder.mkdir(parents=True, exist_ok=True)
        wp.config.kernel_cache_dir = str(folder)
    try:
        return wp.get_device(config.device)
    except ValueError:
        there = ", ".join(str(d) for d in wp.get_devices())
        hint = "; no NVIDIA driver was found" if config.device.startswith("cuda") else ""
        raise ValueError(f"sim=warp has no device {config.device!r} here, only {there}{hint}") from None


def with_storage(model: mujoco.MjModel) -> mujoco.MjModel:
    """Return the model, or a copy with sparse matrices if it asks for dense ones too large for Warp.

    The results are those of dense ones, up to rounding.
    """
    if model.nv <= _MAX_DENSE_NV or int(model.opt.jacobian) != int(mujoco.mjtJacobian.mjJAC_DENSE):
        return model
    sparse = copy.copy(model)
    sparse.opt.jacobian = int(mujoco.mjtJacobian.mjJAC_SPARSE)
    return sparse


def put_model(model: mujoco.MjModel) -> mjw.Model:
    """Return Warp's copy of a model, on the current device.

    Raises:
        UnsupportedFeatureError: If the model has a feature that Warp does not simulate; names it.
    """
    unsupported = list(_unsupported(model))
    if unsupported:
        raise UnsupportedFeatureError(f"sim=warp does not simulate {'; '.join(unsupported)}; use sim=cpu")
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        with refusals():
            warp_model = mjw.put_model(model)
    for warning in raised:
        text = _one_line(warning.message)
        if "CUDA" not in text:
            raise UnsupportedFeatureError(f"sim=warp: {text} Use sim=cpu")
        _LOG.warning("%s", text)
    warp_model.opt.warn_overflow = 0  # `faults` raises; Warp would print from its kernels
    return warp_model


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what Warp refuses by itself into an error that names it."""
    try:
        yield
    except (NotImplementedError, ValueError) as error:
        raise UnsupportedFeatureError(f"sim=warp: {_one_line(error)} Use sim=cpu") from error


def _unsupported(model: mujoco.MjModel) -> list[str]:
    """Return what `mjw.put_model` lets pass but does not simulate as MuJoCo does."""
    option, flags = model.opt, mujoco.mjtEnableBit
    user = (
        (model.sensor_type, mujoco.mjtSensor.mjSENS_USER, "sensors of type user"),
        (model.actuator_dyntype, mujoco.mjtDyn.mjDYN_USER, "actuators with dyntype user"),
        (model.actuator_gaintype, mujoco.mjtGain.mjGAIN_USER, "actuators with gaintype user"),
        (model.actuator_biastype, mujoco.mjtBias.mjBIAS_USER, "actuators with biastype user"),
    )
    found = [what for values, kind, what in user if (np.asarray(values) == int(kind)).any()]
    if int(option.integrator) == int(mujoco.mjtIntegrator.mjINT_RK4):
        found.append("integrator RK4 in two halves")
    if option.enableflags & int(flags.mjENBL_SLEEP):
        found.append("sleeping in two halves")
    disabled = [g for g in range(31) if option.disableactuator >> g & 1 and (model.actuator_group == g).any()]
    if disabled:
        found.append(f"disabled actuator groups ({', '.join(map(str, disabled))})")
    if model.nhistory:
        found.append("delays of sensors or actuators")
    return found


def room(model: mujoco.MjModel, num_envs: int, config: PhysicsConfig) -> dict[str, int]:
    """Return the room to make for contacts and constraints, per environment.

    Raises:
        ValueError: If a number is negative.
    """
    for name in ("nconmax", "njmax"):
        if getattr(config, name) < 0:
            raise ValueError(f"{name} is {getattr(config, name)}; use 0 for an estimate or a positive number")
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    limits = int(model.jnt_limited.sum() + model.tendon_limited.sum())
    most_rows = int(model.geom_condim.max(initial=1))
    if int(model.opt.cone) == int(mujoco.mjtCone.mjCONE_PYRAMIDAL):
        most_rows = max(1, 2 * (most_rows - 1))
    rows = data.ne + data.nf + limits + _CONTACTS_PER_ENV * most_rows
    contacts = max(_CONTACTS_PER_ENV, -(-_CONTACTS_IN_ALL // num_envs))
    return {"njmax": config.njmax or rows, "nconmax": config.nconmax or contacts}


def raise_overflow(data: mjw.Data, model: mujoco.MjModel) -> None:
    """Raise what overflowed since the last call, and forget it.

    Raises:
        CapacityError: If contacts or constraints did not fit; says which setting to use.
    """
    num_envs = data.nworld
    estimate = room(model, num_envs, PhysicsConfig())
    seen = mjw.OverflowType(int(np.bitwise_or.reduce(data.overflow.numpy())))
    data.overflow.zero_()
    if seen & ROWS:
        needed = max(int(data.nefc.numpy().max()), data.njmax + 1)
        raise CapacityError(
            f"Warp had room for {data.njmax} constraint rows per environment and needed at least {needed}: "
            f"use sim.njmax={max(2 * needed, estimate['njmax'])}"
        )
    if seen & CONTACTS:
        per_env = data.naconmax // num_envs
        total = max(int(data.nacon.numpy()[0]), int(data.ncollision.numpy()[0]), data.naconmax + 1)
        needed = -(-total // num_envs)
        raise CapacityError(
            f"Warp had room for {per_env} contacts per environment and needed at least {needed}: "
            f"use sim.nconmax={max(2 * needed, estimate['nconmax'])}"
        )
    rest = seen & mjw.OverflowType(FATAL)
    if rest:
        raise CapacityError(f"Warp ran out of room for {rest.name}; use fewer or simpler geoms, or sim=cpu")


def _one_line(message: object) -> str:
    text = " ".join(str(message).split())
    return text if text.endswith(".") else text + "."
