"""ONNX files act like the networks they come from, alone: no other file, no torch."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")
onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra `train`)")
pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra `train`)")

from policies import export  # noqa: E402
from policies.export import TOLERANCE, check_parity, to_onnx  # noqa: E402
from policies.networks import MlpNet, RnnNet  # noqa: E402
from policies.onnx_policy import OnnxPolicy  # noqa: E402
from tests.policies.policy_files import READS, SPEC, random_net  # noqa: E402

pytestmark = pytest.mark.long
ROOT = Path(__file__).resolve().parents[2]


def gap_net():
    torch.manual_seed(5)
    net = MlpNet(("observation", "achieved_goal", "desired_goal"), [9, 16, 2], goal_gap=True)
    net.mean.normal_()
    return net


NETS = {
    "elu": lambda: random_net(),
    "relu": lambda: random_net(name="relu", squash="clip", layer_norm=True),
    "gelu": lambda: random_net(name="gelu"),
    "silu": lambda: random_net(name="silu"),
    "goal_gap": gap_net,
    "gru": lambda: random_net("gru"),
    "lstm": lambda: random_net("lstm", squash="tanh", layer_norm=True),
}


@cache
def file_of(name):
    """One of these networks as ONNX; each is exported once, as that takes seconds."""
    return to_onnx(NETS[name](), SPEC)


def written(name, folder):
    path = folder / "policy.onnx"
    path.write_bytes(file_of(name))
    return path


def inputs(net):
    """Observations of any size that a sensor may report, and more."""
    random = np.random.default_rng(2)
    for spread in (0.0, 1e-30, 1.0, 1e3, 1e10, 1e30):
        for batch in (1, 7):
            yield {k: random.normal(0, 1, (batch, *SPEC.obs[k].shape)) * spread for k in net.keys}
    for extreme in (np.inf, -np.inf, 3.4e38):
        yield {k: np.full((2, *SPEC.obs[k].shape), extreme) for k in READS} | {
            "achieved_goal": np.zeros((2, 2))
        }


@pytest.mark.parametrize("name", NETS)
def test_torch_and_onnxruntime_agree(name, tmp_path):
    net = NETS[name]().eval()
    policy = OnnxPolicy(written(name, tmp_path))
    checked = 0
    for obs in inputs(net):
        policy.reset()
        net.reset()
        for _ in range(3):  # the second and third act with what is remembered of the first
            expected = net.act({k: torch.from_numpy(v).float() for k, v in obs.items()}).numpy()
            action = policy.act(obs)
            assert np.isfinite(expected).all()
            np.testing.assert_allclose(action, expected, rtol=0, atol=TOLERANCE)
            assert np.abs(action).max() <= 1.0
            checked += action.size
    assert checked > 200


def test_one_file_holds_all_and_tells_nothing_of_this_machine(tmp_path):
    path = written("gru", tmp_path)
    assert list(tmp_path.iterdir()) == [path]
    assert str(ROOT).encode() not in path.read_bytes() and b"stack_trace" not in path.read_bytes()
    model = onnx.load(str(path), load_external_data=False)
    assert not any(t.data_location == onnx.TensorProto.EXTERNAL for t in model.graph.initializer)
    assert [i.name for i in model.graph.input] == ["observation", "desired_goal", "hidden"]
    assert [o.name for o in model.graph.output] == ["action", "next_hidden"]
    assert all(i.type.tensor_type.shape.dim[0].dim_param for i in model.graph.input)


def test_memory_is_kept_between_acts_and_cleared_by_reset(tmp_path):
    policy = OnnxPolicy(written("lstm", tmp_path))
    obs = {k: np.ones((3, *SPEC.obs[k].shape)) for k in READS}
    first, second = policy.act(obs), policy.act(obs)
    assert np.abs(first - second).max() > 1e-3
    with pytest.raises(ValueError, match="remembers 3 episodes, not 2; reset it first"):
        policy.act({k: v[:2] for k, v in obs.items()})
    policy.reset()
    np.testing.assert_array_equal(policy.act(obs), first)


def test_a_file_that_acts_differently_is_refused():
    net, data = NETS["elu"](), file_of("elu")
    assert check_parity(net, SPEC, data) <= TOLERANCE
    with torch.no_grad():
        net.net[2].bias += 1e-3
    with pytest.raises(ValueError, match=r"acts differently from torch, by 0\.00\d+; nothing was written"):
        check_parity(net, SPEC, data)


def test_large_weights_may_differ_by_what_rounding_costs_torch_itself():
    net = random_net(squash="clip")
    with torch.no_grad():
        for layer in (net.net[0], net.net[2]):
            layer.weight *= 1e4
    data = to_onnx(net, SPEC)
    assert check_parity(net, SPEC, data) < 1e-1


def test_a_missing_package_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ValueError, match=r"export needs onnxscript; pip install 'habilis\[train\]'"):
        export.to_onnx(random_net(), SPEC)


NO_TORCH = """
import sys
import numpy as np
for name in ("torch", "onnx", "onnxscript", "safetensors", "mujoco"):
    sys.modules[name] = None  # an import of these fails
from policies.onnx_policy import OnnxPolicy
policy = OnnxPolicy(sys.argv[1])
obs = {k: np.ones(a.shape) for k, a in policy.spec.obs.items()}
policy.act(obs)
print(*policy.act(obs))
"""


def test_a_robot_needs_no_torch(tmp_path):
    net, path = NETS["gru"](), written("gru", tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", NO_TORCH, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    ones = {k: torch.ones(1, *SPEC.obs[k].shape) for k in READS}
    net.act(ones)
    np.testing.assert_allclose([float(x) for x in done.stdout.split()], net.act(ones)[0], atol=TOLERANCE)


def test_every_network_that_can_be_described_is_tried_here():
    assert {type(make()) for make in NETS.values()} == {MlpNet, RnnNet}
    from policies.networks import NETS as KINDS

    assert set(KINDS.values()) == {MlpNet, RnnNet}, "add the new network to NETS above"
