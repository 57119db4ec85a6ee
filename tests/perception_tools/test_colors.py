"""Colour names: reference values, common colours, shading, tint, and honest doubt."""

import numpy as np
import pytest

from perception_tools.colors import COLOR_NAMES, REFERENCES, ColorConfig, name_color, name_rgb, rgb_to_lab
from perception_tools.queries import COLORS


def test_lab_of_known_colours():
    # CIE D65 values of the sRGB primaries and of mid grey, from the definition of sRGB and CIELAB.
    lab = rgb_to_lab([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [119, 119, 119]])
    expected = [
        [53.24, 80.09, 67.20],
        [87.74, -86.18, 83.18],
        [32.30, 79.19, -107.86],
        [100, 0, 0],
        [0, 0, 0],
        [50.03, 0, 0],
    ]
    np.testing.assert_allclose(lab, expected, atol=0.15)


def test_names_are_the_eleven_basic_terms():
    assert set(COLOR_NAMES) == set(COLORS)
    for name, codes in REFERENCES.items():
        for code in codes:
            found = name_rgb([int(code[i : i + 2], 16) for i in (0, 2, 4)])
            assert found.name == name, f"{code} is listed as {name} but named {found.name}"


@pytest.mark.parametrize(
    ("name", "rgb"),
    [
        ("red", (204, 18, 15)),
        ("red", (165, 20, 30)),
        ("orange", (242, 115, 10)),
        ("orange", (255, 150, 30)),
        ("yellow", (242, 209, 20)),
        ("yellow", (250, 230, 60)),
        ("green", (26, 140, 36)),
        ("green", (60, 179, 113)),
        ("blue", (18, 51, 191)),
        ("blue", (70, 120, 200)),
        ("purple", (107, 31, 158)),
        ("purple", (120, 60, 170)),
        ("pink", (242, 115, 166)),
        ("pink", (255, 170, 190)),
        ("brown", (97, 51, 23)),
        ("brown", (120, 72, 40)),
        ("white", (237, 237, 232)),
        ("gray", (120, 120, 122)),
        ("black", (13, 13, 14)),
        ("black", (35, 33, 38)),
    ],
)
def test_common_colours(name, rgb):
    found = name_rgb(rgb)
    assert found.name == name
    assert found.confidence == max(found.scores.values())
    assert sum(found.scores.values()) == pytest.approx(1)


def test_a_colour_between_two_names_is_told_as_such():
    between = name_rgb((175, 85, 12))  # half way from brown to orange
    assert {"brown", "orange"} == set(sorted(between.scores, key=lambda k: between.scores[k])[-2:])
    assert between.confidence < 0.9 < name_rgb((242, 115, 10)).confidence


def test_shading_of_upright_faces_is_taken_out():
    # A white cylinder seen from the side: all of it is upright, lit at 0.66.
    rng = np.random.default_rng(0)
    side = 0.66 * 230 + rng.normal(0, 2, (500, 1)) * np.ones(3)
    assert name_color(side).name == "gray"
    assert name_color(side, normal_z=np.zeros(500)).name == "white"
    # The same brightness facing up is grey.
    assert name_color(side, normal_z=np.ones(500)).name == "gray"


def test_shadow_and_highlight_do_not_rename():
    rng = np.random.default_rng(0)
    lit = np.tile([204.0, 18, 15], (600, 1))
    shaded = 0.5 * np.tile([204.0, 18, 15], (500, 1))
    highlight = np.tile([255.0, 200, 198], (60, 1))
    pixels = np.concatenate([lit, shaded, highlight]) + rng.normal(0, 2, (1160, 1))
    found = name_color(pixels)
    assert found.name == "red"
    np.testing.assert_allclose(found.rgb, [204, 18, 15], atol=6)
    shuffled = name_color(rng.permutation(pixels))
    assert (shuffled.name, shuffled.rgb) == (found.name, found.rgb)


def test_tinted_light_is_balanced_by_what_white_looks_like():
    warm = ColorConfig(white_rgb=(255, 215, 150))
    white_in_warm_light = (240, 202, 140)
    assert name_rgb(white_in_warm_light).name != "white"
    assert name_rgb(white_in_warm_light, warm).name == "white"


@pytest.mark.parametrize("tint", [(1.03, 1, 0.97), (0.97, 1, 1.03)])
@pytest.mark.parametrize("gain", [0.9, 1.08])
def test_light_tint_and_exposure_do_not_rename(tint, gain):
    colors = {"red": (204, 18, 15), "brown": (97, 51, 23), "white": (237, 237, 232), "gray": (120, 120, 122)}
    for name, rgb in colors.items():
        assert name_rgb(np.minimum(np.array(rgb) * tint * gain, 255)).name == name


def test_no_pixels_is_an_error():
    with pytest.raises(ValueError, match="at least one pixel"):
        name_color(np.zeros((0, 3)))
