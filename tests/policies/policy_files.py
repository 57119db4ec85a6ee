"""A small policy for tests, and ways to change its files."""

import json

import torch
from safetensors.torch import load_file, save_file

from policies.artifact import digest
from policies.networks import MlpNet, RnnNet
from policies.onnx_policy import DIGEST_KEY
from policies.policy import ArraySpec, PolicySpec

JOINTS = ("elbow", "shoulder", "wrist")
SPEC = PolicySpec(
    obs={
        "observation": ArraySpec((3,), JOINTS, "rad"),
        "achieved_goal": ArraySpec((2,), ("x", "y"), "m"),
        "desired_goal": ArraySpec((2,), ("x", "y"), "m"),
        "privileged": ArraySpec((5,)),
    },
    action=ArraySpec((2,), ("elbow", "wrist"), low=-1.0, high=1.0),
    goal=ArraySpec((2,), ("x", "y"), "m"),
    step_dt=0.04,
)
READS = ("observation", "desired_goal")
ABOUT = {
    "task": "reach",
    "experiment": "reach_small",
    "seed": 3,
    "env_steps": 1234,
    "git": {"commit": "abc123", "changed": True},
    "evaluation": {"score": 0.9, "n": 50, "ci95": [0.79, 0.96]},
}


def random_net(kind="mlp", seed=0, **settings):
    """A network with random weights and a normaliser that is not the identity."""
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    if kind == "mlp":
        net = MlpNet(READS, [5, 16, 2], **settings)
    else:
        net = RnnNet(READS, [5, 8, 6, 2], rnn=kind, layers=2, **settings)
    net.mean.normal_()
    net.std.uniform_(0.1, 3.0)
    torch.set_rng_state(state)
    return net


def header(path):
    data = path.read_bytes()
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]


def rewrite(path, change, reseal=True):
    """Write a safetensors file again after `change(texts, tensors)`, with a digest that fits if `reseal`."""
    texts, tensors = header(path), load_file(path)
    change(texts, tensors)
    if reseal and DIGEST_KEY in texts:
        texts[DIGEST_KEY] = digest(texts, tensors)
    save_file(tensors, path, texts)
