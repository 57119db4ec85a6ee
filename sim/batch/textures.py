"""Surface textures of scenes: made from formulas, in the model once, chosen for each environment.

They are grey and bright, because a renderer multiplies them with a surface's own colour: what is red
stays red. They repeat without a seam.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from typing import Final

import mujoco
import numpy as np
from numpy.typing import NDArray

PREFIX: Final = "surface/"
"""What names of textures begin with that may be drawn."""

_SIZE_PX: Final = 64
_DARKEST: Final = 0.55


def add_textures(spec: mujoco.MjSpec) -> None:
    """Add the textures to a scene; nothing shows them until an environment draws one."""
    for name, grey in _patterns().items():
        pixels = np.repeat((255.0 * grey).round().astype(np.uint8)[..., None], 3, -1)
        texture = spec.add_texture(
            name=PREFIX + name,
            type=mujoco.mjtTexture.mjTEXTURE_2D,
            width=_SIZE_PX,
            height=_SIZE_PX,
            nchannel=3,
        )
        texture.data = pixels.tobytes()


def texture_ids(model: mujoco.MjModel) -> list[int]:
    """Return the ids of the textures that may be drawn."""
    return [k for k in range(model.ntex) if model.texture(k).name.startswith(PREFIX)]


def plain_materials(model: mujoco.MjModel) -> NDArray[np.bool_]:
    """Return which materials have no texture of their own, (nmat,)."""
    return (model.mat_texid < 0).all(-1)


def _patterns() -> dict[str, NDArray[np.float64]]:
    """Return brightness in [0.55, 1] by name, (64, 64)."""
    k = np.arange(_SIZE_PX)
    cells = (k[:, None] // 16 + k // 16) % 2
    weave = np.sin(2 * np.pi * k / 8)[:, None] * np.sin(2 * np.pi * k / 8)
    fx, fy = (_SIZE_PX * np.fft.fftfreq(_SIZE_PX)[None, :], _SIZE_PX * np.fft.fftfreq(_SIZE_PX)[:, None])
    size = np.hypot(fx, fy)
    clouds = np.divide(1.0, size**1.6, out=np.zeros_like(size), where=size > 0)
    grain = np.exp(-(((fx - 3.0) / 4.0) ** 2) - (fy / 0.8) ** 2) * (size > 0)
    specks = np.exp(-(((size - 14.0) / 6.0) ** 2))
    patterns = {"clouds": _noise(clouds, 1), "grain": _noise(grain, 2), "specks": _noise(specks, 3)}
    patterns |= {"checker": cells.astype(float), "weave": 0.5 + 0.5 * weave}
    return {name: _DARKEST + (1.0 - _DARKEST) * value for name, value in patterns.items()}


def _noise(spectrum: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Return periodic noise of a spectrum, in [0, 1]; a few extremes are cut."""
    white = np.fft.fft2(np.random.default_rng(seed).standard_normal(spectrum.shape))
    value = np.fft.ifft2(white * spectrum).real
    low, high = np.quantile(value, (0.02, 0.98))
    return np.clip((value - low) / (high - low), 0.0, 1.0)
