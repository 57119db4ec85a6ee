"""Temperatures of bodies: each is one lump of heat, cooled by the air and by what it touches.

    C_i dT_i/dt = q_i - h_i (T_i - T_ambient) - sum_j g_ij (T_i - T_j)

Newton's law of cooling and conduction through contacts; linear, so a step under constant contacts
and heating is exact for any length (the symmetric form C^-1/2 L C^-1/2 is diagonalised). A lump is a
good model while conduction inside a body is fast: Biot number below 0.1 (Incropera and DeWitt,
Fundamentals of Heat and Mass Transfer, chapter 5).
"""

from __future__ import annotations

from typing import Any


def conducted(
    xp: Any,
    temperature: Any,
    capacity: Any,
    convection: Any,
    ambient: Any,
    conductance: Any,
    heat_w: Any,
    dt_s: float,
) -> Any:
    """Return temperatures after a time.

    Args:
        xp: `numpy` or `torch`.
        temperature: Now [degC], (..., n).
        capacity: Heat capacities [J/K], (..., n), positive.
        convection: Heat transfer to the air [W/K], (..., n).
        ambient: Temperature of the air [degC], broadcast to (..., n).
        conductance: Heat transfer between touching bodies [W/K], symmetric, zero diagonal, (..., n, n).
        heat_w: Heating [W], broadcast to (..., n).
        dt_s: Time [s].

    Returns:
        Temperatures [degC], (..., n).
    """
    root = xp.sqrt(capacity)
    eye = xp.eye(temperature.shape[-1], dtype=temperature.dtype)
    eye = eye.to(temperature.device) if hasattr(eye, "to") else eye
    losses = (convection + conductance.sum(-1))[..., None] * eye - conductance
    rate, axes = xp.linalg.eigh(losses / root[..., :, None] / root[..., None, :])
    rate = rate.clip(0.0) * dt_s
    turned = axes.swapaxes(-1, -2)
    now = (turned * (root * (temperature - ambient))[..., None, :]).sum(-1)
    driven = (turned * ((heat_w + 0.0 * temperature) / root)[..., None, :]).sum(-1)
    small = rate < 1e-6
    share = xp.where(small, 1.0 - 0.5 * rate, -xp.expm1(-rate) / xp.where(small, 1.0, rate))
    then = xp.exp(-rate) * now + share * dt_s * driven
    return ambient + (axes * then[..., None, :]).sum(-1) / root
