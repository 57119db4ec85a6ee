"""Dexterous hands from MuJoCo Menagerie, adapted to the names and frames of `HandModel`.

* `wonik_allegro`: the right hand. Its joints are those of `allegro.py` in the same order, with the same
  ranges; so are postures and the speed limit.

Kept: bodies, masses, meshes, joint ranges, damping, servo gains. Changed: joints and actuators have the
names of `allegro.py`, torques are limited as there (Menagerie has no limit), the root stands on the
wrist mount, sites are added, the tips' collision geoms have names.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import mujoco
import numpy as np

from sim.robots import menagerie
from sim.robots.allegro import ALLEGRO, JOINTS, MAX_TORQUE_N_M, PALM_LENGTH_M, TIPS, allegro_spec
from sim.robots.hand import GRASP_SITE, PALM_SITE, HandModel

_SHORT: Final = ("ff", "mf", "rf", "th")  # index, middle, ring, thumb


def load(name: str) -> HandModel:
    """Return a Menagerie hand by its name in the package, one of `HANDS`.

    Raises:
        ValueError: The package is missing, or the model is neither cached nor under
            `MENAGERIE_ROOT`; says what to do.
    """
    path = menagerie.find(name, "right_hand", instead="hand=allegro")
    return replace(ALLEGRO, name=name, make_spec=partial(HANDS[name], path))


def _wonik_allegro(path: str) -> mujoco.MjSpec:
    spec, own = mujoco.MjSpec.from_file(path), allegro_spec()
    for element in [*spec.keys, *spec.lights]:
        spec.delete(element)
    for name, short in zip(JOINTS, (f"{f}j{i}" for f in _SHORT for i in range(4)), strict=True):
        (servo,) = (a for a in spec.actuators if a.target == short)
        spec.joint(short).name = servo.name = servo.target = name
        servo.forcerange, servo.forcelimited = [-MAX_TORQUE_N_M, MAX_TORQUE_N_M], 1
    root = spec.worldbody.first_body()  # its frame is the maker's, at the upper end of the palm
    root.pos, root.quat = [0.0, 0.0, PALM_LENGTH_M], [1.0, 0.0, 0.0, 0.0]
    root.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT
    for site in (own.site(n) for n in ("mount", PALM_SITE, GRASP_SITE)):
        at = np.array(site.pos) - np.array([0.0, 0.0, PALM_LENGTH_M])
        added = root.add_site(name=site.name, pos=at, quat=site.quat, group=4)
        added.alt.type, added.alt.xyaxes = site.alt.type, site.alt.xyaxes
    for tip, short in zip(TIPS, _SHORT, strict=True):
        body = spec.body(f"{short}_tip")
        (geom,) = (g for g in body.geoms if g.contype or g.conaffinity)
        geom.name = tip
        body.add_site(name=tip, pos=own.site(tip).pos, group=4)
    return spec


HANDS: Final[Mapping[str, Callable[[str], mujoco.MjSpec]]] = {"wonik_allegro": _wonik_allegro}
"""Hands by their name in the package: what adapts the file at a path."""
