"""What senses add to a scene: sites and sensors only, so the physics stays as it is."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import mujoco

from sim.senses.pads import Pad

CONTACT_WIDTH = 9
"""Numbers per contact of a tactile sensor: force (3), position (3), normal (3)."""

_FOUND = 1 << int(mujoco.mjtConDataField.mjCONDATA_FOUND)
_TACTILE = (
    1 << int(mujoco.mjtConDataField.mjCONDATA_FORCE)
    | 1 << int(mujoco.mjtConDataField.mjCONDATA_POS)
    | 1 << int(mujoco.mjtConDataField.mjCONDATA_NORMAL)
)
_STRONGEST = 2  # of mjSENS_CONTACT's ways to choose among contacts


def add_tactile_array(
    spec: mujoco.MjSpec,
    body: mujoco.MjsBody,
    name: str,
    rows: int,
    cols: int,
    size_m: tuple[float, float],
    *,
    pos: Sequence[float] = (0.0, 0.0, 0.0),
    quat: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
    max_contacts: int = 12,
) -> Pad:
    """Add a pad of taxels to a body; read it with `TactileArray`.

    Args:
        spec: The scene.
        body: The body with the pad; contacts of any of its geoms count where they lie on the pad.
        name: Name of the sensor and of the site that is the pad's frame.
        rows: Taxels along the pad's y.
        cols: Taxels along the pad's x.
        size_m: Extents along the pad's x and y [m].
        pos: Centre of the pad's surface in the body [m].
        quat: Rotation of the pad's frame in the body, wxyz; z points out of the surface.
        max_contacts: Contacts of the body that are read: the strongest.

    Raises:
        ValueError: If a number is not positive.
    """
    pad = Pad(rows, cols, size_m)
    if max_contacts < 1:
        raise ValueError(f"max_contacts is {max_contacts}; use at least 1")
    body.add_site(name=name, pos=list(pos), quat=list(quat), size=[0.001, 0.001, 0.001], group=5)
    sensor = spec.add_sensor(
        name=name,
        type=mujoco.mjtSensor.mjSENS_CONTACT,
        objtype=mujoco.mjtObj.mjOBJ_BODY,
        objname=body.name,
    )
    sensor.intprm = _parameters(sensor, _TACTILE, _STRONGEST, max_contacts)
    return pad


def add_force_torque(spec: mujoco.MjSpec, site: str) -> None:
    """Add a force and torque sensor where a site's body is fixed to its parent; see `ForceTorque`."""
    kinds = (("force", mujoco.mjtSensor.mjSENS_FORCE), ("torque", mujoco.mjtSensor.mjSENS_TORQUE))
    for what, kind in kinds:
        spec.add_sensor(name=f"{site}_{what}", type=kind, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=site)


def add_touching(spec: mujoco.MjSpec, bodies: Sequence[str]) -> None:
    """Add a sensor for each pair of bodies that says whether they touch; see `BodyTemperature`."""
    for first, second in combinations(bodies, 2):
        sensor = spec.add_sensor(
            name=touching_name(first, second),
            type=mujoco.mjtSensor.mjSENS_CONTACT,
            objtype=mujoco.mjtObj.mjOBJ_BODY,
            objname=first,
            reftype=mujoco.mjtObj.mjOBJ_BODY,
            refname=second,
        )
        sensor.intprm = _parameters(sensor, _FOUND, _STRONGEST, 1)


def touching_name(first: str, second: str) -> str:
    """Return the name of the sensor that says whether two bodies touch."""
    return f"touching_{first}_{second}"


def _parameters(sensor: mujoco.MjsSensor, *values: int) -> list[int]:
    return [*values, *[0] * (len(sensor.intprm) - len(values))]
