"""Policies from ONNX files: their specs travel with them, and what does not fit is refused."""

from dataclasses import replace

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra `train`)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra `train`)")

from policies.onnx_policy import (  # noqa: E402
    ABOUT_KEY,
    DIGEST_KEY,
    FORMAT_KEY,
    NETWORK_KEY,
    NO_DIGEST,
    SPEC_KEY,
    OnnxPolicy,
    seal_onnx,
    spec_from_json,
    spec_to_json,
)
from policies.policy import ArraySpec, Policy, PolicySpec  # noqa: E402

SPEC = PolicySpec(
    obs={"observation": ArraySpec((3,), ("x", "y", "z"), "m")},
    action=ArraySpec((2,), ("a", "b"), low=-1.0, high=1.0),
    goal=ArraySpec((1,), ("height",), "m", low=0.0),
    step_dt=0.04,
)


def write(path, *, spec=SPEC, name="observation", texts=None, seal=False):
    """A policy that returns the sum and the first entry of its observation."""
    weight = np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 0.0]], np.float32)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", [name, "w"], ["action"])],
        "policy",
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 3])],
        [onnx.helper.make_tensor_value_info("action", onnx.TensorProto.FLOAT, ["n", 2])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=10)
    if spec is not None:
        onnx.helper.set_model_props(model, {SPEC_KEY: spec_to_json(spec), **(texts or {})})
    data = model.SerializeToString()
    path.write_bytes(seal_onnx(data) if seal else data)
    return path


def test_specs_survive_the_way_through_json():
    assert spec_from_json(spec_to_json(SPEC)) == SPEC


def test_acts_on_one_and_on_many(tmp_path):
    policy = OnnxPolicy(write(tmp_path / "p.onnx"))
    assert isinstance(policy, Policy) and policy.spec == SPEC
    assert policy.act({"observation": np.array([1.0, 2.0, 3.0])}).tolist() == [6.0, 1.0]
    assert policy.act({"observation": np.eye(3)}).tolist() == [[1.0, 1.0], [1.0, 0.0], [1.0, 0.0]]


def test_what_does_not_fit_is_one_line(tmp_path):
    (tmp_path / "text.onnx").write_text("no model")
    cases = {
        "no policy at": tmp_path / "none.onnx",
        "not an ONNX model": tmp_path / "text.onnx",
        "no habilis.policy_spec": write(tmp_path / "bare.onnx", spec=None),
        "reads 'other'": write(tmp_path / "other.onnx", name="other"),
    }
    for words, path in cases.items():
        with pytest.raises(ValueError, match=words):
            OnnxPolicy(path)


@pytest.mark.parametrize(
    "obs, words",
    [
        ({"image": np.zeros(3)}, "reads 'observation'; it was given image"),
        ({"observation": np.zeros(4)}, r"observation of shape \(3,\), it was given \(4,\)"),
        ({"observation": np.zeros((2, 2))}, r"it was given \(2, 2\)"),
        ({"observation": np.zeros((2, 1, 3))}, r"it was given \(2, 1, 3\)"),
    ],
)
def test_observations_that_do_not_fit_are_refused(obs, words, tmp_path):
    policy = OnnxPolicy(write(tmp_path / "p.onnx"))
    with pytest.raises(ValueError, match=words):
        policy.act(obs)


def test_a_sealed_file_is_read_and_a_changed_one_is_not(tmp_path):
    texts = {FORMAT_KEY: "1", DIGEST_KEY: NO_DIGEST}
    path = write(tmp_path / "p.onnx", texts=texts, seal=True)
    assert OnnxPolicy(path).act({"observation": np.ones(3)}).tolist() == [3.0, 1.0]
    one = np.float32(1.0).tobytes()
    path.write_bytes(path.read_bytes().replace(one, np.float32(2.0).tobytes(), 1))
    with pytest.raises(ValueError, match="was changed after it was made"):
        OnnxPolicy(path)


@pytest.mark.parametrize(
    "texts, words",
    [
        ({FORMAT_KEY: "2", DIGEST_KEY: NO_DIGEST}, "made by a newer version of habilis .format 2"),
        ({FORMAT_KEY: "1"}, "was changed"),
        ({DIGEST_KEY: NO_DIGEST}, "no habilis.format"),
        ({FORMAT_KEY: "1", DIGEST_KEY: "0" * 63}, "was changed"),
        ({ABOUT_KEY: "{}"}, "no habilis.format"),
        ({NETWORK_KEY: "{}"}, "no habilis.format"),
    ],
)
def test_an_unknown_or_unsealed_layout_is_refused(texts, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        OnnxPolicy(write(tmp_path / "p.onnx", texts=texts))


def test_inputs_of_another_shape_than_the_specs_are_refused(tmp_path):
    spec = replace(SPEC, obs={"observation": ArraySpec((4,))})
    with pytest.raises(ValueError, match=r"reads observation of \(3,\), in its specs \(4,\)"):
        OnnxPolicy(write(tmp_path / "p.onnx", spec=spec))


@pytest.mark.parametrize("text", ["{}", "[]", "nonsense", '{"version": 2}'])
def test_specs_of_another_kind_are_refused(text):
    with pytest.raises(ValueError, match="spec"):
        spec_from_json(text)
