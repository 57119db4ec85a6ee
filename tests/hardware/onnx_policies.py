"""Small policies as ONNX files, for tests."""

from __future__ import annotations

import numpy as np
import pytest

from policies.policy import ArraySpec, PolicySpec


def write_policy(path, joints, *, obs=None, step_dt=0.02, action_names=None, bias=None, about=None):
    """A linear policy that answers `bias` whatever it sees, with specs by joint names; returns the path."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")
    from policies.export import to_onnx
    from policies.networks import MlpNet

    obs = tuple(obs if obs is not None else (f"joint_pos.{name}" for name in joints))
    names = tuple(action_names or joints)
    action = ArraySpec((len(names),), names, low=-1, high=1)
    spec = PolicySpec({"observation": ArraySpec((len(obs),), obs)}, action, None, step_dt)
    net = MlpNet(("observation",), [len(obs), len(names)], squash="clip")
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        last = [p for p in net.parameters() if p.ndim == 1][-1]
        last.copy_(torch.as_tensor(np.zeros(len(names)) if bias is None else bias))
    path.write_bytes(to_onnx(net, spec, about or {}))
    return path
