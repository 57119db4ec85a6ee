"""The contract of a batched physics backend, and its settings.

A backend steps `num_envs` copies of one compiled model. Everything that it hands out is a float32
tensor of shape (num_envs, ...) on its device; names are MuJoCo's. Tasks are written against this
contract and never see which backend runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from sim.batch.settings import check_types

if TYPE_CHECKING:
    import mujoco
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

BackendName = Literal["cpu", "warp"]

STATE_FIELDS = ("qpos", "qvel", "act", "ctrl", "qfrc_applied", "xfrc_applied", "mocap_pos", "mocap_quat")
"""Fields that `write` accepts: MuJoCo's state and inputs."""


@dataclass(frozen=True)
class PhysicsConfig:
    """How physics is run.

    Attributes:
        backend: `cpu`: MuJoCo on a thread pool; `warp`: MuJoCo Warp.
        device: Device of all tensors. `cpu` for the CPU backend; `cuda:0` or `cpu` for Warp.
        num_threads: Threads of the CPU backend, 0 for all cores.
        nconmax: Warp: contacts per environment to make room for, 0 for its own estimate.
        njmax: Warp: constraint rows per environment to make room for, 0 for its own estimate.
        kernel_cache_dir: Warp: folder for compiled kernels, "" for its default.
    """

    backend: BackendName = "cpu"
    device: str = "cpu"
    num_threads: int = 0
    nconmax: int = 0
    njmax: int = 0
    kernel_cache_dir: str = ""

    def __post_init__(self) -> None:
        """Refuse values of another type."""
        check_types(self)


class BareSteps(Protocol):
    """The bare simulator beside a `Physics`, with the same model, threads and bound fields."""

    def prepare(self) -> None:
        """Copy the state; not timed."""
        ...

    def step(self) -> None:
        """Step under the controls that the `Physics` was last given; timed."""
        ...


class UnsupportedFeatureError(ValueError):
    """The model uses something that a backend does not simulate; names it."""


class CapacityError(RuntimeError):
    """There was no room for contacts or constraints; names the number to raise."""


@runtime_checkable
class Physics(Protocol):
    """Many simulations of one model."""

    model: mujoco.MjModel
    num_envs: int
    device: torch.device

    def field(self, name: str) -> Tensor:
        """Return a live float32 tensor (num_envs, ...) over an MjData field.

        It is current after `step`, `reset`, `write` and `forward`: positions, velocities and their
        sensors describe the new state. The same tensor is returned for the same name. Treat it as
        read-only; `write` changes state.
        """
        ...

    def step(self, ctrl: Tensor, num_substeps: int) -> None:
        """Advance all by `num_substeps` physics steps under controls (num_envs, nu)."""
        ...

    def reset(self, ids: Tensor, state: Mapping[str, Tensor]) -> None:
        """Set the simulations `ids` (n,) int64 to the model's defaults, then to `state` (n, ...)."""
        ...

    def write(self, ids: Tensor | None, state: Mapping[str, Tensor], *, forward: bool = True) -> None:
        """Write state or inputs of `ids`, None for all; with `forward`, refresh what is derived from them."""
        ...

    def model_field(self, name: str) -> Tensor:
        """Return a copy of a model field's values per simulation, (num_envs, ...)."""
        ...

    def write_model(self, ids: Tensor, fields: Mapping[str, Tensor]) -> None:
        """Give `ids` their own values (n, ...) of model fields and recompute derived constants."""
        ...

    def faults(self) -> Tensor:
        """Return which simulations went bad since the last call, bool (num_envs,); clears it.

        Raises:
            CapacityError: If contacts or constraints did not fit; says which number to raise.
        """
        ...

    def save(self) -> dict[str, NDArray[Any]]:
        """Return the complete state; `load` of it continues exactly (CPU) as if not interrupted."""
        ...

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from what `save` returned.

        Raises:
            ValueError: If it is of another model or number of environments.
        """
        ...

    def mj_data(self, env: int) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """Return one simulation as MuJoCo's own structures, forwarded, for rendering or debugging."""
        ...

    def bare(self, ctrl: Callable[[], Tensor], num_substeps: int) -> BareSteps:
        """Return the simulator without this contract around it, for comparison in benchmarks."""
        ...

    def close(self) -> None:
        """Release threads and memory; idempotent."""
        ...


def make_physics(model: mujoco.MjModel, num_envs: int, config: PhysicsConfig) -> Physics:
    """Build the backend that `config` names.

    Raises:
        ValueError: If a number is out of range, the device does not suit the backend or Warp is not
            installed.
        UnsupportedFeatureError: If Warp cannot simulate the model; names the feature.
    """
    if num_envs < 1:
        raise ValueError(f"num_envs is {num_envs}; ask for at least 1")
    if config.backend == "cpu":
        from sim.batch.cpu import CpuPhysics

        return CpuPhysics(model, num_envs, config)
    if config.backend == "warp":
        try:
            from sim.batch.warp import WarpPhysics
        except ModuleNotFoundError as error:
            raise ValueError(f"sim=warp needs the package {error.name}: pip install habilis[train]") from None
        return WarpPhysics(model, num_envs, config)
    raise ValueError(f"unknown physics backend {config.backend!r}; use cpu or warp")


def check_shape(name: str, values: Tensor, expected: tuple[int, ...]) -> Tensor:
    """Return `values` if they have the expected shape.

    Raises:
        ValueError: States both shapes.
    """
    if tuple(values.shape) != tuple(expected):
        raise ValueError(f"{name} has shape {tuple(values.shape)}, expected {tuple(expected)}")
    return values


def check_saved(state: Mapping[str, Any], signature: Mapping[str, Any], path: Path | None = None) -> None:
    """Refuse a saved state whose model signature differs.

    Raises:
        ValueError: Names what differs.
    """
    where = f" in {path}" if path else ""
    for key, expected in signature.items():
        if key not in state:
            raise ValueError(f"no {key!r}{where}; this is not a saved state of a batch")
        if int(state[key]) != int(expected):
            raise ValueError(f"{key} is {int(state[key])}{where}, this batch has {int(expected)}")
