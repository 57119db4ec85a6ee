"""Sound of contacts: the energy that bodies lose in impacts.

Carnot's theorem (L. Carnot, 1803; in Routh's Dynamics of a System of Rigid Bodies): the kinetic energy
lost in an inelastic impact is the kinetic energy of the velocities lost. With Newton's restitution e it
is (1 - e) / (1 + e) times that of the velocity jump, which impulse and effective mass
decide: E = (1 - e) / (1 + e) J^2 / (2 m_eff). A ball dropped from h gives m g h (1 - e^2). It needs
no velocity of what was hit, so it is the same for a hammer and an anvil, and no contact force, so
it sees impacts that begin and end within a control step. What is hit is taken to be much heavier;
where both bodies are listed each reads its own share.

Of this energy a small share is radiated as sound (Richards, Westcott and Jeyapalan, 1979, "On the
prediction of impact noise, I", J. Sound and Vibration 62(4)); `radiated_share` scales by it. These works
are cited from memory; the tests derive the numbers from mechanics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SoundConfig:
    """Settings of the impact model.

    Attributes:
        restitution: Newton's coefficient of the contacts, in [0, 1]; MuJoCo's default ones have 0.13.
        quiet_m_s2: A body that contacts accelerate less than this is carried or pushed, not hit [m/s^2].
        hold_s: An impact goes on until the body was quiet for this long [s].
        radiated_share: Share of the energy lost that is reported.
    """

    restitution: float = 0.13
    quiet_m_s2: float = 20.0
    hold_s: float = 0.03
    radiated_share: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        for name in ("restitution", "radiated_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}; use a number in [0, 1]")
        for name in ("quiet_m_s2", "hold_s"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} is {getattr(self, name)}; use a positive number")


class Impacts:
    """Follows the velocities of bodies and reports what impacts took from them.

    Args:
        xp: `numpy` or `torch`.
        mass: Masses [kg], (..., n).
        inertia: Inertia tensors about the centres of mass in body axes [kg m^2], (..., n, 3, 3).
        gravity: Acceleration of each body in free fall [m/s^2], (..., n, 3).
        config: Settings.

    The leading dimensions (environments, or none) are those of `mass`.
    """

    def __init__(self, xp: Any, mass: Any, inertia: Any, gravity: Any, config: SoundConfig) -> None:
        """See the class."""
        self._xp, self._config = xp, config
        self.mass, self.inertia, self.gravity = mass, inertia, gravity
        e = config.restitution
        self._scale = 0.5 * config.radiated_share * (1.0 - e) / (1.0 + e)
        self._vel, self._before = (xp.concat((0.0 * gravity, 0.0 * gravity), -1) for _ in range(2))
        self._peak, self._open_s = xp.zeros_like(mass), xp.zeros_like(mass)

    def memory(self) -> dict[str, Any]:
        """Return what is remembered between updates, by name; live arrays."""
        return {"vel": self._vel, "before": self._before, "peak": self._peak, "open_s": self._open_s}

    def forget(self, rows: Any, vel: Any) -> None:
        """Begin anew where bodies were put somewhere: velocities (k, n, 6) of the environments `rows`."""
        self._vel[rows] = vel
        self._before[rows] = vel
        self._peak[rows] = 0.0
        self._open_s[rows] = 0.0

    def update(self, vel: Any, dt_s: float) -> Any:
        """Return the energy that impacts took since the last call [J], (..., n).

        Args:
            vel: Velocity of the centre of mass in world [m/s] and angular velocity in body axes
                [rad/s], (..., n, 6).
            dt_s: Time since the last call [s].
        """
        xp, config = self._xp, self._config
        pushed = (vel - self._vel)[..., :3] / dt_s - self.gravity
        is_loud = (pushed * pushed).sum(-1) > config.quiet_m_s2**2
        begins = is_loud & (self._open_s <= 0.0)
        self._before[...] = xp.where(begins[..., None], self._vel, self._before)
        self._peak[...] = xp.where(begins, 0.0, self._peak)
        self._open_s[...] = xp.where(is_loud, config.hold_s, self._open_s - dt_s).clip(0.0)
        lost = vel - self._before
        linear, angular = lost[..., :3], lost[..., 3:]
        turned = (self.inertia * angular[..., None, :]).sum(-1)
        energy = self._scale * (self.mass * (linear * linear).sum(-1) + (angular * turned).sum(-1))
        gain = xp.where(self._open_s > 0.0, (energy - self._peak).clip(0.0), 0.0)
        self._peak += gain
        self._vel[...] = vel
        return gain
