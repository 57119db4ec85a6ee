"""Solids: masses and inertias by hand, decomposition, rest on a plane, both backends."""

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.robots.fr3 import set_physics_options
from sim.solids import meshes
from sim.solids.solid import KINDS, PRIMITIVES, SIZES_FOR_TWEEZERS_M, SolidConfig, add_solid, sample_solid

pytest.importorskip("coacd", reason="coacd, which decomposes meshes, is not installed: pip install coacd")

SIZE = {
    "box": (0.05, 0.035, 0.03),
    "sphere": 0.04,
    "cylinder": (0.03, 0.03, 0.05),
    "capsule": (0.03, 0.03, 0.06),
    "ellipsoid": (0.06, 0.045, 0.03),
}


def compiled(config, height_m=0.0, floor=False):
    spec = mujoco.MjSpec()
    set_physics_options(spec)
    if floor:
        spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1, 1, 0.1])
    handle = add_solid(spec, "s", config, (0, 0, height_m))
    model = spec.compile()
    return model, mujoco.MjData(model), handle


@pytest.mark.parametrize(
    ("kind", "volume_m3"),
    [
        ("box", 0.05 * 0.035 * 0.03),
        ("sphere", 4 / 3 * np.pi * 0.02**3),
        ("cylinder", np.pi * 0.015**2 * 0.05),
        ("capsule", np.pi * 0.015**2 * 0.03 + 4 / 3 * np.pi * 0.015**3),
        ("ellipsoid", 4 / 3 * np.pi * 0.03 * 0.0225 * 0.015),
        # Unit meshes by hand: L = (1 + 0.75 - 0.25) * 0.25 * 0.45; plus = 5 squares of 1/9 times 1/3.
        ("l_bracket", 0.06**3 * 1.5 * 0.25 * 0.45),
        ("cross", 0.06**3 * 5 / 27),
    ],
)
def test_mass_is_density_times_volume(kind, volume_m3):
    config = SolidConfig(kind, SIZE.get(kind, 0.06), density_kg_m3=500.0)
    model, _, _ = compiled(config)
    assert config.mass_kg == pytest.approx(500 * volume_m3)
    assert model.body("s").mass[0] == pytest.approx(500 * volume_m3, rel=1e-6)


def test_inertia_of_a_mesh_by_hand():
    """A plus of two crossed bars less the square they share; a, b = 0.5, 1/6, per unit height and density.

    Of a bar 2a x 2b about z: (2a)(2b)((2a)^2 + (2b)^2) / 12 = (1/3)(1 + 1/9) / 12 = 10/324; of the square
    (1/9)(2/9) / 12 = 2/972; in all 2 * 10/324 - 2/972 = 58/972, times the height 1/3.
    """
    config = SolidConfig("cross", 0.09, density_kg_m3=1000.0)
    model, _, _ = compiled(config)
    expected = 1000 * 0.09**5 * 58 / 972 / 3
    assert model.body("s").inertia.max() == pytest.approx(expected, rel=1e-5)
    assert model.body("s").ipos == pytest.approx([0, 0, 0], abs=1e-9)


@pytest.mark.parametrize("kind", meshes.MESHES)
def test_pieces_are_convex_few_and_fill_the_mesh(kind):
    """Their hulls have nearly the volume of the mesh, and points of its surface are near one of them."""
    trimesh = pytest.importorskip("trimesh")
    whole = meshes.unit_mesh(kind)
    assert whole.is_watertight
    assert whole.extents.max() == pytest.approx(1)
    assert whole.bounds.sum(axis=0) == pytest.approx([0, 0, 0], abs=1e-12)
    pieces = [trimesh.Trimesh(v, f, process=False).convex_hull for v, f in meshes.convex_pieces(kind)]
    assert 2 <= len(pieces) <= 16
    assert all(len(p.vertices) <= 32 for p in pieces)
    assert 0.93 < sum(p.volume for p in pieces) / whole.volume < 1.15
    points, _ = trimesh.sample.sample_surface(whole, 300, seed=0)
    # Signed distance to a convex piece: the largest over its planes.
    gaps = [
        ((points @ p.face_normals.T) - np.einsum("ij,ij->i", p.triangles[:, 0], p.face_normals)).max(axis=1)
        for p in pieces
    ]
    assert np.min(gaps, axis=0).max() < 0.03


def test_decomposition_is_done_once_and_repeats():
    first = meshes.convex_pieces("star")
    assert meshes.convex_pieces("star") is first
    meshes._decompose.cache_clear()
    for (v, f), (w, g) in zip(first, meshes.convex_pieces("star"), strict=True):
        np.testing.assert_array_equal(v, w)
        np.testing.assert_array_equal(f, g)


@pytest.mark.parametrize("kind", meshes.MESHES)
@pytest.mark.parametrize("size_m", [0.006, 0.06])
def test_meshes_have_the_extents_they_state(kind, size_m):
    config = SolidConfig(kind, size_m)
    model, data, handle = compiled(config)
    mujoco.mj_forward(model, data)
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for geom in range(model.ngeom):
        mesh = model.geom_dataid[geom]
        start, n = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
        points = model.mesh_vert[start : start + n] @ data.geom_xmat[geom].reshape(3, 3).T
        points += data.geom_xpos[geom]
        low, high = np.minimum(low, points.min(0)), np.maximum(high, points.max(0))
    np.testing.assert_allclose(high - low, config.extents_m, rtol=0.02)
    assert max(config.extents_m) == pytest.approx(size_m)
    assert len(handle.geoms) == len(meshes.convex_pieces(kind))
    # In a box that is too flat, the whole shape shrinks until it fits.
    flat = SolidConfig(kind, (size_m, size_m, size_m / 4))
    assert np.all(np.array(flat.extents_m) <= np.array(flat.box_m) + 1e-12)


def energy(model, data):
    mujoco.mj_energyPos(model, data)
    mujoco.mj_energyVel(model, data)
    return float(data.energy.sum())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [0.15, 1.0])
def test_falls_and_rests_without_sinking_in_or_gaining_energy(kind, scale):
    """Dropped from its own size above the plane; sizes of 5-9 mm and of 30-60 mm.

    Semi-implicit Euler gains up to m g dt v / 2 in free fall, v = sqrt(2 g h), see `test_tools`.
    """
    size = SIZE.get(kind, 0.06)
    size = scale * size if isinstance(size, float) else tuple(scale * v for v in size)
    config = SolidConfig(kind, size)
    height = 1.5 * max(config.extents_m)
    model, data, _ = compiled(config, height, floor=True)
    mujoco.mj_forward(model, data)
    start = energy(model, data)
    offset = config.mass_kg * 9.81 * 0.002 * np.sqrt(2 * 9.81 * height) / 2
    for step in range(1500):
        mujoco.mj_step(model, data)
        assert energy(model, data) <= start + offset + 1e-9
        if step == 1250:
            resting = energy(model, data)
    assert energy(model, data) <= resting + 1e-8
    assert data.ncon > 0
    assert min(c.dist for c in data.contact) > -1e-3
    assert np.abs(data.qvel[:3]).max() < 0.01


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), low=st.floats(0.004, 0.02))
def test_samples_lie_in_the_range(seed, low):
    config = sample_solid(np.random.default_rng(seed), (low, 0.12))
    assert all(low - 1e-9 <= v <= 0.12 + 1e-9 for v in config.extents_m)
    if config.kind in PRIMITIVES:
        assert max(config.extents_m) <= 3.0001 * min(config.extents_m)
    assert config == sample_solid(np.random.default_rng(seed), (low, 0.12))


@pytest.mark.parametrize("kinds", [KINDS[:6], KINDS[6:]])
def test_samples_of_all_kinds_step_in_a_batch_and_load_in_warp(kinds):
    batch_module = pytest.importorskip("mujoco.batch")
    spec = mujoco.MjSpec()
    set_physics_options(spec)
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1, 1, 0.1])
    for k, kind in enumerate(kinds):
        config = sample_solid(np.random.default_rng(k), SIZES_FOR_TWEEZERS_M, [kind])
        assert config.kind == kind
        add_solid(spec, kind, config, (0.1 * k, 0, 0.05))
    model = spec.compile()
    data = mujoco.MjData(model)
    batch = batch_module.Batch(model, 10, nthread=1)
    qpos = batch.bind("qpos")
    batch.step(nstep=100)
    mujoco.mj_step(model, data, 100)
    assert all(np.array_equal(row, data.qpos) for row in np.asarray(qpos))
    mjw = pytest.importorskip("mujoco_warp")
    assert mjw.put_model(model).ngeom == model.ngeom


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"kind": "teapot"}, "solids: box, sphere"),
        ({"size_m": 0.0}, "between 0.001 and 1"),
        ({"size_m": float("nan")}, "between 0.001 and 1"),
        ({"size_m": (0.01, 0.01, 3.0)}, "between 0.001 and 1"),
        ({"kind": "sphere", "size_m": (0.01, 0.02, 0.01)}, "use an ellipsoid"),
        ({"kind": "cylinder", "size_m": (0.01, 0.02, 0.01)}, "equal extents along x and y"),
        ({"kind": "capsule", "size_m": (0.02, 0.02, 0.01)}, "use a cylinder"),
        ({"density_kg_m3": -1.0}, "density_kg_m3"),
        ({"friction": float("inf")}, "friction"),
    ],
)
def test_impossible_solids_are_refused_in_one_line(fields, says):
    with pytest.raises(ValueError, match=says) as error:
        SolidConfig(**fields)
    assert "\n" not in str(error.value)


def test_impossible_samples_and_names_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="low <= high"):
        sample_solid(rng, (0.02, 0.01))
    with pytest.raises(ValueError, match="teapot"):
        sample_solid(rng, kinds=["teapot"])
    with pytest.raises(ValueError, match="widen size_range_m"):
        sample_solid(rng, (0.02, 0.03), ["twisted_bar", "torus_segment"])
    with pytest.raises(ValueError, match="meshes: l_bracket"):
        meshes.unit_mesh("teapot")
    spec = mujoco.MjSpec()
    add_solid(spec, "a")
    with pytest.raises(ValueError, match="choose another name"):
        add_solid(spec, "a")
