"""Perceptual colour naming in CIELAB: the eleven basic colour terms (Berlin and Kay, 1969).

Every term is represented by several reference colours (named CSS colours and darker and paler
shades of them); a colour gets the name of the references it is nearest to, lightness counting less
than hue and chroma because shading changes it. An object's colour is that of its well-lit part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perception_tools.geometry import FloatArray

# IEC 61966-2-1: linear sRGB to XYZ; the rows sum to the D65 white point.
_XYZ_OF_RGB = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
# sRGB references per name: CSS names where there are any, in the order dark to light.
REFERENCES: Mapping[str, tuple[str, ...]] = {
    "red": ("8b0000", "b22222", "dc143c", "cc1210", "ff0000", "e03030"),
    "orange": ("d96a0a", "e67314", "ff7f50", "ff8c00", "ffa500"),
    "yellow": ("b8a000", "d4b80f", "f2d114", "ffd700", "ffff00", "f0e68c"),
    "green": (
        "006400",
        "228b22",
        "2e8b57",
        "198c24",
        "6b8e23",
        "32cd32",
        "00ff7f",
        "90ee90",
        "9acd32",
        "008080",
    ),
    "blue": ("000080", "191970", "1233bf", "0000ff", "4682b4", "4169e1", "1e90ff", "87ceeb", "00ced1"),
    "purple": ("4b0082", "330f4d", "6b1f9e", "663399", "800080", "8a2be2", "9370db", "9932cc"),
    "pink": ("c71585", "db7093", "ff1493", "ff69b4", "f273a6", "ffb6c1", "ffc0cb", "ff00ff"),
    "brown": ("3d1f0a", "4a2511", "613317", "654321", "8b4513", "7a4a2a", "a0522d"),
    "white": ("c3c3c3", "e0e0e0", "edede8", "f5f5f5", "ffffff", "fffff0"),
    "gray": ("505050", "696969", "787878", "808080", "969696", "708090"),
    "black": ("000000", "0d0d0e", "1a1a1a", "262626", "1c1c24"),
}


@dataclass(frozen=True)
class ColorConfig:
    """How colours are named.

    Attributes:
        lightness_weight: How much a difference in lightness counts against one in hue or chroma.
        softness: Distance in CIELAB that lowers the odds of a name by a factor e.
        lit_range: Quantiles of brightness between which pixels count as well lit: below is
            shading, above are highlights.
        side_light: Brightness of an upright surface relative to one that faces up: light mostly comes
            from above, so upright surfaces look darker than they are.
        white_rgb: What the camera shows of a white sheet under the light at hand (0..255).
    """

    lightness_weight: float = 0.7
    softness: float = 4.0
    lit_range: tuple[float, float] = (0.5, 0.9)
    side_light: float = 0.66
    white_rgb: tuple[float, float, float] = (255.0, 255.0, 255.0)


@dataclass(frozen=True)
class ColorName:
    """A named colour.

    Attributes:
        name: One of the eleven names.
        confidence: Probability of the name, in [0, 1].
        scores: Probability of every name; they sum to 1.
        rgb: The colour that was named, 0..255.
        lightness: CIELAB L of it, 0..100.
    """

    name: str
    confidence: float
    scores: Mapping[str, float]
    rgb: tuple[int, int, int]
    lightness: float


def rgb_to_lab(rgb: ArrayLike) -> FloatArray:
    """Convert sRGB in 0..255, shape (N, 3), to CIELAB (D65), shape (N, 3)."""
    value = np.asarray(rgb, dtype=np.float64).reshape(-1, 3) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _XYZ_OF_RGB.T / _XYZ_OF_RGB.sum(axis=1)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def _references() -> tuple[tuple[str, ...], FloatArray, NDArray[np.intp]]:
    names = tuple(REFERENCES)
    codes = [(k, code) for k, name in enumerate(names) for code in REFERENCES[name]]
    rgb = np.array([[int(code[i : i + 2], 16) for i in (0, 2, 4)] for _, code in codes])
    return names, rgb_to_lab(rgb), np.array([k for k, _ in codes])


COLOR_NAMES, _REFERENCE_LAB, _REFERENCE_OWNER = _references()


def name_rgb(rgb: ArrayLike, config: ColorConfig | None = None) -> ColorName:
    """Name one colour, sRGB 0..255, shape (3,)."""
    config = config or ColorConfig()
    value = np.clip(np.asarray(rgb, dtype=np.float64) * (255 / np.asarray(config.white_rgb)), 0, 255)
    lab = rgb_to_lab(value)[0]
    delta = (_REFERENCE_LAB - lab) * [config.lightness_weight, 1, 1]
    distance = np.linalg.norm(delta, axis=1)
    nearest = np.array([distance[_REFERENCE_OWNER == k].min() for k in range(len(COLOR_NAMES))])
    odds = np.exp(-(nearest - nearest.min()) / config.softness)
    odds /= odds.sum()
    best = int(np.argmax(odds))
    r, g, b = (round(float(c)) for c in value)
    scores = {name: float(p) for name, p in zip(COLOR_NAMES, odds, strict=True)}
    return ColorName(COLOR_NAMES[best], float(odds[best]), scores, (r, g, b), float(lab[0]))


def name_color(
    pixels: ArrayLike, normal_z: ArrayLike | None = None, config: ColorConfig | None = None
) -> ColorName:
    """Name the colour of an object.

    Args:
        pixels: Its pixels, sRGB 0..255, shape (N, 3), N >= 1.
        normal_z: Vertical component of the surface normal at every pixel, shape (N,), to take out
            the shading by light from above; None: unknown.
        config: Settings.

    Raises:
        ValueError: If there are no pixels.
    """
    config = config or ColorConfig()
    rgb = np.asarray(pixels, dtype=np.float64).reshape(-1, 3)
    if len(rgb) == 0:
        raise ValueError("name_color needs at least one pixel")
    if normal_z is not None:
        up = np.clip(np.asarray(normal_z, dtype=np.float64), 0, 1)
        rgb = rgb / (config.side_light + (1 - config.side_light) * up)[:, None]
    brightness = rgb @ [0.299, 0.587, 0.114]
    low, high = np.quantile(brightness, config.lit_range)
    lit = (brightness >= low) & (brightness <= high)
    return name_rgb(np.median(rgb[lit], axis=0), config)
