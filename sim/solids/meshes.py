"""Generated non-convex shapes, and their convex pieces.

Every mesh is watertight, its extents are centred on the origin and the largest is 1. Scaling keeps pieces
convex, so each shape is decomposed once in a process, whatever its size: CoACD (Wei et al., 2022,
arXiv 2205.02961) with a fixed seed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from perception_tools.geometry import FloatArray

if TYPE_CHECKING:
    import trimesh

Faces = NDArray[np.int32]
Mesh = tuple[FloatArray, Faces]

_CONCAVITY = 0.04
_MAX_PIECES = 16
_MAX_PIECE_VERTICES = 32


def unit_mesh(kind: str) -> trimesh.Trimesh:
    """Return the mesh of a shape, largest extent 1, centred.

    Raises:
        ValueError: Unknown shape; lists the valid ones.
    """
    if kind not in MESHES:
        raise ValueError(f"unknown mesh {kind!r}; meshes: {', '.join(MESHES)}")
    return _unit_mesh(kind).copy()


def convex_pieces(kind: str) -> tuple[Mesh, ...]:
    """Return the convex pieces of `unit_mesh(kind)`: vertices (N, 3) and faces (M, 3) of each.

    Raises:
        ValueError: Unknown shape; lists the valid ones.
        ModuleNotFoundError: The decomposer is not installed; says what to install.
    """
    if kind not in MESHES:
        raise ValueError(f"unknown mesh {kind!r}; meshes: {', '.join(MESHES)}")
    return _decompose(kind)


@cache
def _unit_mesh(kind: str) -> trimesh.Trimesh:
    import trimesh

    vertices, faces = MESHES[kind]()
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    mesh.update_faces(mesh.nondegenerate_faces())
    mesh.remove_unreferenced_vertices()
    low, high = np.asarray(mesh.bounds)
    mesh.apply_translation(-(low + high) / 2)
    mesh.apply_scale(1 / float((high - low).max()))
    if not mesh.is_watertight or mesh.volume <= 0:
        raise RuntimeError(f"mesh {kind!r} is not a closed surface that faces outwards")
    return mesh


@cache
def _decompose(kind: str) -> tuple[Mesh, ...]:
    try:
        import coacd
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"the solid {kind!r} is decomposed by coacd: pip install coacd") from error

    mesh = _unit_mesh(kind)
    coacd.set_log_level("error")
    pieces = coacd.run_coacd(
        coacd.Mesh(mesh.vertices, mesh.faces),
        threshold=_CONCAVITY,
        max_convex_hull=_MAX_PIECES,
        preprocess_mode="off",
        decimate=True,
        max_ch_vertex=_MAX_PIECE_VERTICES,
        seed=0,
    )
    return tuple((np.asarray(v, dtype=float), np.asarray(f, dtype=np.int32)) for v, f in pieces)


# ---- shapes -------------------------------------------------------------------------------------


def _l_bracket() -> Mesh:
    """Two legs of 1 and 0.75, a quarter thick, 0.45 deep."""
    t = 0.25
    outline = np.array([(0, 0), (1, 0), (1, t), (t, t), (t, 0.75), (0, 0.75)], dtype=float)
    return _prism(outline, np.array([t / 2, t / 2]), 0.45)


def _star() -> Mesh:
    """A five-pointed star, 0.3 high."""
    angle = np.arange(10) * np.pi / 5
    radius = np.where(np.arange(10) % 2 == 0, 0.5, 0.26)
    return _prism(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), np.zeros(2), 0.3)


def _cross() -> Mesh:
    """A plus sign, a third wide and high."""
    a, b = 0.5, 1 / 6
    outline = [(a, -b), (a, b), (b, b), (b, a), (-b, a), (-b, b), (-a, b), (-a, -b), (-b, -b), (-b, -a)]
    return _prism(np.array([*outline, (b, -a), (b, -b)], dtype=float), np.zeros(2), 2 * b)


def _torus_segment() -> Mesh:
    """Two thirds of a ring, as thick as a quarter of its width."""
    arc = np.linspace(-2 * np.pi / 3, 2 * np.pi / 3, 25)
    around = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    out = np.stack([np.cos(arc), np.sin(arc), np.zeros_like(arc)], axis=1)
    rings = (0.375 + 0.125 * np.cos(around))[None, :, None] * out[:, None, :]
    rings[:, :, 2] += 0.125 * np.sin(around)
    return _tube(rings[:, ::-1])


def _twisted_bar() -> Mesh:
    """A square bar, 0.3 wide, turned by a quarter turn along its length."""
    z = np.linspace(-0.5, 0.5, 17)
    side = np.array([(1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1)]) * 0.15
    turn = z * np.pi / 2
    c, s = np.cos(turn)[:, None], np.sin(turn)[:, None]
    x, y = c * side[:, 0] - s * side[:, 1], s * side[:, 0] + c * side[:, 1]
    return _tube(np.stack([x, y, np.broadcast_to(z[:, None], x.shape)], axis=2))


def _cup() -> Mesh:
    """A hollow cup, open at the top, 0.85 wide and 1 high, its wall a tenth thick."""
    profile = [(0, -0.5), (0.32, -0.5), (0.425, 0.5), (0.325, 0.5), (0.225, -0.38), (0, -0.38)]
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle), np.zeros(24)], axis=1)
    rings = np.array([r * circle + [0, 0, z] for r, z in profile])
    return _tube(rings, with_ends=False)


def _prism(outline: FloatArray, kernel: FloatArray, height: float) -> Mesh:
    """Extrude a counter-clockwise outline that is star-shaped about `kernel`."""
    n, k = len(outline), np.arange(len(outline))
    step = np.roll(k, -1)
    flat = np.vstack([outline, kernel])
    bottom, top = (np.column_stack([flat, np.full(n + 1, z)]) for z in (-height / 2, height / 2))
    faces = [
        np.stack([np.full(n, n), step, k], 1),
        np.stack([np.full(n, 2 * n + 1), k + n + 1, step + n + 1], 1),
        np.stack([k, step, step + n + 1], 1),
        np.stack([k, step + n + 1, k + n + 1], 1),
    ]
    return np.vstack([bottom, top]), np.concatenate(faces).astype(np.int32)


def _tube(rings: FloatArray, with_ends: bool = True) -> Mesh:
    """Join rings of shape (N, K, 3), counter-clockwise as seen from ahead, and cap the ends."""
    n, k = rings.shape[:2]
    here, faces = np.arange(k), []
    step = np.roll(here, -1)
    for a, b in pairwise(range(n)):
        faces += [np.stack([a * k + here, a * k + step, b * k + step], 1)]
        faces += [np.stack([a * k + here, b * k + step, b * k + here], 1)]
    vertices = [rings.reshape(-1, 3)]
    if with_ends:
        vertices += [rings[0].mean(0, keepdims=True), rings[-1].mean(0, keepdims=True)]
        faces += [np.stack([np.full(k, n * k), step, here], 1)]
        faces += [np.stack([np.full(k, n * k + 1), (n - 1) * k + here, (n - 1) * k + step], 1)]
    return np.concatenate(vertices), np.concatenate(faces).astype(np.int32)


MESHES: Final[dict[str, Callable[[], Mesh]]] = {
    "l_bracket": _l_bracket,
    "star": _star,
    "cross": _cross,
    "torus_segment": _torus_segment,
    "twisted_bar": _twisted_bar,
    "cup": _cup,
}
