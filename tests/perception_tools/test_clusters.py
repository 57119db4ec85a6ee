"""Pixels to regions: what is connected, where colour splits it, and where its outline runs."""

import numpy as np

from perception_tools.clusters import connected_in_3d, joined_alike
from perception_tools.color_split import ColorSplitConfig, chromaticity, split_by_brightness, split_by_color
from perception_tools.outlines import core_of, outline_cracks, refine_outline, without_holes


def points_of(depth: np.ndarray) -> np.ndarray:
    """Lift a depth image with pixels 2 mm apart."""
    v, u = np.indices(depth.shape)
    return np.stack([u * 0.002, v * 0.002, depth], axis=-1).astype(np.float32)


def test_a_step_in_depth_separates():
    depth = np.full((20, 40), 1.0)
    depth[:, 20:] = 1.05
    labels = connected_in_3d(points_of(depth), np.ones((20, 40), bool), 0.012)
    assert len(np.unique(labels)) == 2 and labels.min() == 1
    assert len(np.unique(labels[:, :20])) == 1


def test_a_column_without_depth_does_not_separate():
    wanted = np.ones((20, 40), bool)
    wanted[:, 18:20] = False
    labels = connected_in_3d(points_of(np.full((20, 40), 1.0)), wanted, 0.012)
    assert set(np.unique(labels)) == {0, 1}
    wanted[:, 15:25] = False
    labels = connected_in_3d(points_of(np.full((20, 40), 1.0)), wanted, 0.012)
    assert set(np.unique(labels)) == {0, 1, 2}


def test_chromaticity_has_no_shading():
    red = np.array([[200, 20, 20], [100, 10, 10]])
    np.testing.assert_allclose(chromaticity(red), [[200 / 240, 20 / 240]] * 2)


def image(*blocks) -> np.ndarray:
    """Vertical stripes of 20 columns, 30 rows, with a little noise."""
    rng = np.random.default_rng(0)
    rgb = np.concatenate([np.tile(np.array(b, float), (30, 20, 1)) for b in blocks], axis=1)
    return np.clip(rgb + rng.normal(0, 1.5, rgb.shape[:2])[..., None], 0, 255).astype(np.uint8)


def count_parts(*blocks) -> int:
    rgb = image(*blocks)
    parts = split_by_color(rgb, np.ones(rgb.shape[:2], bool))
    assert np.sum(parts, axis=0).max() == 1, "parts overlap"
    assert np.sum(parts, axis=0).min() == 1, "pixels were lost"
    return len(parts)


def test_different_colours_split_and_shades_do_not():
    assert count_parts((200, 20, 20), (20, 60, 190)) == 2
    assert count_parts((200, 20, 20), (110, 11, 11)) == 1
    assert count_parts((240, 110, 10), (97, 51, 23)) == 2  # orange and brown
    assert count_parts((230, 230, 228), (160, 160, 158)) == 1  # white, lit and upright
    assert count_parts((230, 230, 228), (20, 20, 21)) == 2  # white and black
    assert count_parts((20, 20, 21), (45, 45, 50)) == 1  # black, lit and shaded
    assert count_parts((26, 140, 36), (52, 152, 60)) == 1  # green with a highlight
    assert count_parts((200, 20, 20), (20, 60, 190), (200, 20, 20)) == 3


def test_grey_and_white_only_split_on_request():
    rgb = image((232, 232, 230), (122, 122, 124))
    everything = np.ones(rgb.shape[:2], bool)
    assert len(split_by_color(rgb, everything)) == 1
    parts = split_by_brightness(rgb, everything, 1.5, ColorSplitConfig())
    assert sorted(int(p.sum()) for p in parts) == [600, 600]
    assert len(split_by_brightness(image((200, 20, 20)), everything[:, :20], 1.5, ColorSplitConfig())) == 1


def test_touching_parts_of_one_colour_name_are_one():
    yellow, washed, red = (255, 230, 23), (255, 247, 95), (200, 20, 20)  # yellow, and its blurred rim
    rgb = image(yellow, washed, red, yellow)
    stripes = [np.zeros(rgb.shape[:2], bool) for _ in range(4)]
    for k, stripe in enumerate(stripes):
        stripe[:, 20 * k : 20 * k + 20] = True
    joined = joined_alike(rgb, stripes)
    assert sorted(int(part.sum()) for part in joined) == [600, 600, 1200]  # the far yellow stays apart
    np.testing.assert_array_equal(np.sum(joined, axis=0), 1)
    assert joined_alike(rgb, stripes[:1]) == stripes[:1]


def test_cracks_of_a_rectangle():
    mask = np.zeros((20, 30), bool)
    mask[5:9, 10:16] = True  # 4 rows, 6 columns: 2 * (4 + 6) = 20 cracks
    cracks, share = outline_cracks(mask, np.zeros_like(mask), np.zeros_like(mask))
    assert len(cracks) == 20 and share == 1
    assert cracks.min(axis=0).tolist() == [9.5, 4.5] and cracks.max(axis=0).tolist() == [15.5, 8.5]
    hidden = np.zeros_like(mask)
    hidden[:, 16:] = True  # something in front on the right: its 4 cracks do not count
    cracks, share = outline_cracks(mask, hidden, hidden)
    assert len(cracks) == 16 and share == 0.8
    assert cracks[:, 0].max() < 15.5


def test_the_border_of_the_image_is_no_outline():
    mask = np.zeros((10, 10), bool)
    mask[0:4, 3:7] = True  # 4x4 at the top: 4 of 16 cracks are at the border
    cracks, share = outline_cracks(mask, np.zeros_like(mask), np.zeros_like(mask))
    assert len(cracks) == 12 and share == 0.75


def test_core_and_holes():
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    assert core_of(mask).sum() == 64
    thin = np.zeros((20, 20), bool)
    thin[5:7, 2:18] = True
    assert core_of(thin).sum() == 32, "a thin mask stays whole"
    mask[8:12, 8:12] = False
    assert without_holes(mask).sum() == 100


def test_outline_follows_colour_where_depth_is_missing():
    rgb = np.full((60, 60, 3), (170, 160, 150), np.uint8)
    truth = np.zeros((60, 60), bool)
    truth[20:40, 20:40] = True
    rgb[truth] = (200, 30, 30)
    seen = np.zeros((60, 60), bool)
    seen[21:37, 22:40] = True  # depth lost two columns on the left, three rows at the foot
    none = np.zeros((60, 60), bool)
    refined = refine_outline(rgb, seen, others=none, certain=none, possible=~seen, band_px=4)
    assert (refined == truth).all()
    # a neighbour's pixels are left alone
    others = np.zeros((60, 60), bool)
    others[20:40, 20:22] = True
    refined = refine_outline(rgb, seen, others=others, certain=none, possible=~seen, band_px=4)
    assert (refined & ~others == truth & ~others).all()
