"""Time of one inference of an exported policy, on one core: 16 joints, an MLP of 256-256-128.

python tests/bench/bench_onnx_policy.py [CALLS]

Exports such a policy, then times it in a process that has no torch, as on a robot's computer.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

RUNNER = """
import json, os, sys, time
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
sys.modules["torch"] = None
import numpy as np
from policies.onnx_policy import OnnxPolicy
policy, calls = OnnxPolicy(sys.argv[1]), int(sys.argv[2])
random = np.random.default_rng(0)
obs = {k: random.normal(size=(64, *a.shape)) for k, a in policy.spec.obs.items()}
steps = [{k: v[i] for k, v in obs.items()} for i in range(64)]
for step in steps:
    policy.act(step)
times = np.empty(calls)
for i in range(calls):
    began = time.perf_counter()
    policy.act(steps[i % 64])
    times[i] = time.perf_counter() - began
p50, p90, p99, top = np.percentile(times * 1e3, [50, 90, 99, 100])
print(json.dumps({"p50_ms": p50, "p90_ms": p90, "p99_ms": p99, "max_ms": top, "calls": calls}))
"""


def main(calls: int) -> None:
    """Export, time, print."""
    import torch

    from policies.export import to_onnx
    from policies.networks import MlpNet
    from policies.policy import ArraySpec, PolicySpec

    torch.set_num_threads(1)
    joints = tuple(f"joint.{i}" for i in range(16))
    sizes = {"observation": 48, "desired_goal": 16}
    spec = PolicySpec(
        {k: ArraySpec((n,)) for k, n in sizes.items()}, ArraySpec((16,), joints, low=-1, high=1), None, 0.02
    )
    net = MlpNet(tuple(sizes), [sum(sizes.values()), 256, 256, 128, 16])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.onnx"
        path.write_bytes(to_onnx(net, spec))
        done = subprocess.run(
            [sys.executable, "-c", RUNNER, str(path), str(calls)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    found = json.loads(done.stdout)
    print(", ".join(f"{k} {v:.4g}" for k, v in found.items()))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20000)
