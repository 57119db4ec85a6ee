"""A policy as files: weights, specs and origin in one safetensors file, the same as ONNX, and a card."""

from __future__ import annotations

import copy
import hashlib
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import torch
from torch import Tensor

from perception_tools.geometry import FloatArray
from policies.card import card
from policies.networks import PolicyNet, make_net
from policies.onnx_policy import (
    ABOUT_KEY,
    DIGEST_KEY,
    FORMAT,
    FORMAT_KEY,
    NETWORK_KEY,
    SPEC_KEY,
    OnnxPolicy,
    check_format,
    is_safetensors,
    read_policy_file,
    spec_from_json,
    spec_to_json,
)
from policies.policy import Policy, PolicySpec
from policies.runs import write_files

WEIGHTS, ONNX, CARD = "policy.safetensors", "policy.onnx", "card.md"

KINDS: Final[dict[str, str]] = {
    WEIGHTS: "policies.artifact:load_weights",
    ONNX: "policies.artifact:load_onnx",
    "levels.json": "policies.hierarchy_files:load_hierarchy",
}
"""File that makes a folder a policy, to the function that loads it from the file's path; first found wins."""

IN_RUN: Final = "policy"
"""Folder of the best policy in a training run's."""


@runtime_checkable
class BatchPolicy(Policy, Protocol):
    """A policy that also acts on tensors.

    Attributes:
        about: Where it comes from, see `save_policy`; may be empty.
    """

    about: Mapping[str, Any]

    def act_batch(self, obs: Mapping[str, Tensor]) -> Tensor:
        """Return actions (num_envs, num_actions) of observations (num_envs, ...), on their device."""
        ...


class TorchPolicy:
    """A network with its specs.

    Args:
        net: The network; it is moved to `device`.
        spec: What it reads and writes.
        about: Where it comes from.
        device: Torch device that it acts on.
    """

    def __init__(
        self, net: PolicyNet, spec: PolicySpec, about: Mapping[str, Any], device: str = "cpu"
    ) -> None:
        """See the class."""
        self.net, self._spec, self.about = net.to(device).eval(), spec, dict(about)
        self._device = device

    @property
    def spec(self) -> PolicySpec:
        """See `Policy.spec`."""
        return self._spec

    def reset(self) -> None:
        """See `Policy.reset`."""
        self.net.reset()

    def act(self, obs: Mapping[str, FloatArray]) -> FloatArray:
        """See `Policy.act`."""
        read = {k: torch.as_tensor(obs[k], dtype=torch.float32) for k in self.net.keys}
        single = all(v.ndim == len(self._spec.obs[k].shape) for k, v in read.items())
        action = self.act_batch({k: v[None] for k, v in read.items()} if single else read)
        action = action.cpu().double().numpy()
        return action[0] if single else action

    def save(self, folder: Path) -> list[Path]:
        """Write it as `save_policy` does."""
        return save_policy(folder, self.net, self._spec, self.about)

    def act_batch(self, obs: Mapping[str, Tensor]) -> Tensor:
        """See `BatchPolicy.act_batch`."""
        first = obs[self.net.keys[0]]
        return self.net.act({k: obs[k].to(self._device) for k in self.net.keys}).to(first.device)


@dataclass(frozen=True)
class Actor:
    """What acts in a batch of environments, be it a policy or not.

    Attributes:
        act: Observations (num_envs, ...) to actions (num_envs, num_actions).
        reset: Forgets what it remembers; call it where all episodes begin.
        about: Where a policy comes from, see `save_policy`.
    """

    act: Callable[[Mapping[str, Tensor]], Tensor]
    reset: Callable[[], None] = lambda: None
    about: Mapping[str, Any] = field(default_factory=dict)


def batch_act(policy: Policy) -> Callable[[Mapping[str, Tensor]], Tensor]:
    """Return how any policy acts on tensors, those without torch by way of arrays."""
    if isinstance(policy, BatchPolicy):
        return policy.act_batch

    def act(obs: Mapping[str, Tensor]) -> Tensor:
        first = next(iter(obs.values()))
        action = policy.act({k: obs[k].cpu().numpy() for k in policy.spec.obs})
        return torch.as_tensor(action, dtype=torch.float32, device=first.device)

    return act


def task_of(about: Mapping[str, Any]) -> str | None:
    """Return the task that a policy was made for, None if that is not known.

    It is `about["task"]`, or the module of the task's class in `about["env"]`, as in `configs/env/`.
    """
    if "task" in about:
        return str(about["task"])
    target = about.get("env", {}).get("task", {}).get("_target_")
    return None if target is None else str(target).split(".")[-2]


# ---- writing ------------------------------------------------------------------------------------


def save_policy(folder: Path, net: PolicyNet, spec: PolicySpec, about: Mapping[str, Any]) -> list[Path]:
    """Write `policy.safetensors`, `policy.onnx` and `card.md`; older ones are kept if that fails.

    Args:
        folder: Where; it is made.
        net: What acts.
        spec: Specs of the environment; of its observations only those that `net` reads are stored.
        about: Where the policy comes from, JSON values. Known keys: `task`, `experiment`, `env` (as
            configured), `algo`, `seed`, `env_steps`, `git` (`commit`, `changed`), `evaluation` (`score`,
            `n`, `ci95` ...), `limits`, `deployment` (`policies.actions.Deployment`: what its actions
            mean on a robot, which needs no simulator then); `date` is added.

    Returns:
        The files.

    Raises:
        ValueError: If the network does not fit the specs, holds numbers that are not finite, or its ONNX
            file acts differently.
        OSError: If it can't be written.
    """
    from policies.export import to_onnx

    net = copy.deepcopy(net).cpu().eval()
    missing = [k for k in net.keys if k not in spec.obs]
    if missing:
        raise ValueError(f"the network reads {missing[0]!r}, the environment has {', '.join(spec.obs)}")
    spec = PolicySpec({k: spec.obs[k] for k in net.keys}, spec.action, spec.goal, spec.step_dt)
    tensors = {k: v.detach().contiguous().clone() for k, v in net.state_dict().items()}
    about = {"date": datetime.now().astimezone().isoformat(timespec="seconds"), **about}
    texts = {
        FORMAT_KEY: str(FORMAT),
        SPEC_KEY: spec_to_json(spec),
        NETWORK_KEY: json.dumps(net.describe()),
        ABOUT_KEY: json.dumps(about, allow_nan=False),
    }
    _check_net("the network", net, spec, tensors)
    from safetensors.torch import save

    files = {
        ONNX: to_onnx(net, spec, texts),
        CARD: card(about, spec, task_of(about), net.describe()).encode(),
        WEIGHTS: save(tensors, {**texts, DIGEST_KEY: digest(texts, tensors)}),
    }
    return write_files(folder, files)


def digest(texts: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of metadata (but itself) and tensors: names, types, shapes and bytes."""
    found = hashlib.sha256()
    for key in sorted(texts.keys() - {DIGEST_KEY}):
        found.update(f"{key}={len(texts[key])}:{texts[key]}\n".encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        found.update(f"{name}:{tensor.dtype}:{list(tensor.shape)}\n".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


# ---- reading ------------------------------------------------------------------------------------


def load_policy(path: str | Path, device: str = "cpu") -> Policy:
    """Load a policy from its file, its folder, or the folder of the training run that made it.

    Args:
        path: A .safetensors or .onnx file, or a folder.
        device: Torch device to act on, for policies that run in torch.

    Raises:
        ValueError: If there is none, it is damaged, changed, of another version, or could run code.
    """
    file = find_policy(Path(path))
    target = KINDS.get(file.name) or KINDS[ONNX if file.suffix == ".onnx" else WEIGHTS]
    module, _, function = target.partition(":")
    return getattr(importlib.import_module(module), function)(file, device)


def find_policy(path: Path) -> Path:
    """Return the file that a policy is loaded from.

    Raises:
        ValueError: If there is none at `path`.
    """
    if path.is_file():
        return path
    for folder in (path, path / IN_RUN):
        for name in KINDS:
            if (folder / name).is_file():
                return folder / name
    raise ValueError(_why_none(path))


def _why_none(path: Path) -> str:
    if not path.is_dir():
        return f"no policy at {path}; give a .safetensors or .onnx file, or a folder with one"
    if (path / "tree.json").is_file():
        run = path.parent.parent
        return f"{path} is a checkpoint, to resume training from; the run's best policy is {run / IN_RUN}"
    if (path / "metrics.jsonl").is_file():
        return f"{path} has no policy yet: training was not evaluated so far"
    return f"{path} holds no policy: none of {', '.join(KINDS)}"


def load_onnx(path: Path, device: str = "cpu") -> OnnxPolicy:
    """Load an ONNX file; it runs on the CPU whatever `device` is.

    Raises:
        ValueError: See `OnnxPolicy`.
    """
    return OnnxPolicy(path)


def load_weights(path: Path, device: str = "cpu") -> TorchPolicy:
    """Load a safetensors file that `save_policy` wrote.

    Raises:
        ValueError: See `load_policy`.
    """
    texts, tensors = _read_safetensors(path)
    check_format(path, texts.get(FORMAT_KEY))
    for key in (SPEC_KEY, NETWORK_KEY, ABOUT_KEY, DIGEST_KEY):
        if key not in texts:
            raise ValueError(f"{path} has no {key} in its metadata; export it again")
    if digest(texts, tensors) != texts[DIGEST_KEY]:
        raise ValueError(f"{path} was changed after it was made (its sha256 does not fit); export it again")
    spec = spec_from_json(texts[SPEC_KEY])
    try:
        net = make_net(json.loads(texts[NETWORK_KEY]))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} describes a network that this version can't build: {error}") from error
    _check_net(str(path), net, spec, tensors)
    return TorchPolicy(net, spec, json.loads(texts[ABOUT_KEY]), device)


def _read_safetensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return metadata and tensors."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    data = read_policy_file(path)
    if not is_safetensors(data):
        raise ValueError(f"{path} is no safetensors file, or was cut short; give one that habilis wrote")
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return header.get("__metadata__", {}), tensors


def _check_net(name: str, net: PolicyNet, spec: PolicySpec, tensors: Mapping[str, Tensor]) -> None:
    """Put weights into a network and try it once.

    Raises:
        ValueError: If any are missing, too many, of another shape or not finite; or it does not fit `spec`.
    """
    own = net.state_dict()
    buffers = {k for k, _ in net.named_buffers()}
    for key, tensor in own.items():
        what = f"the normaliser's {key}" if key in buffers else f"the weights {key}"
        if key not in tensors:
            raise ValueError(f"{name} lacks {what}; export it again")
        if tensors[key].shape != tensor.shape:
            shapes = f"{list(tensors[key].shape)}, its network takes {list(tensor.shape)}"
            raise ValueError(f"{name} has {what} of shape {shapes}")
        if not bool(tensors[key].isfinite().all()):
            raise ValueError(f"{name} holds numbers that are not finite, in {what}")
    unknown = sorted(tensors.keys() - own.keys())
    if unknown:
        raise ValueError(f"{name} holds {unknown[0]}, which its network does not have")
    net.load_state_dict(dict(tensors))
    net.reset()
    zeros = {k: torch.zeros(1, *spec.obs[k].shape) for k in net.keys if k in spec.obs}
    try:
        action = net.act(zeros)
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"{name} does not fit its own specs: {error}") from error
    net.reset()
    if tuple(action.shape[1:]) != spec.action.shape:
        raise ValueError(f"{name} returns {tuple(action.shape[1:])}, its action is {spec.action.shape}")
