"""Random numbers that belong to an environment and an episode, not to a call order.

A counter-based generator: number k of stream s in episode e of the environment with seed r is a hash
of (r, e, s, k). So a partial reset cannot change what another environment draws, and both physics
backends and all devices draw the same numbers. The hash is the finaliser of SplitMix64 (Steele, Lea
and Flood, 2014), run in wrapping int64 arithmetic; on the CPU by numpy, whose calls on a few numbers
cost a quarter of torch's.
"""

from __future__ import annotations

import math
import zlib
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

_GAMMA = -7046029254386353131  # 0x9E3779B97F4A7C15 as int64
_MIX_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX_2 = -7723592293110705685  # 0x94D049BB133111EB


def _shift(x: Any, bits: int) -> Any:
    """Logical right shift of int64."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Any) -> Any:
    x = x + _GAMMA
    x ^= _shift(x, 30)
    x *= _MIX_1
    x ^= _shift(x, 27)
    x *= _MIX_2
    x ^= _shift(x, 31)
    return x


def mix(x: Tensor) -> Tensor:
    """Hash int64 numbers (n, ...), elementwise; a bijection."""
    return torch.from_numpy(_mix(x.numpy())) if x.device.type == "cpu" else _mix(x)


@lru_cache(maxsize=1024)
def _numbers(stream: str, size: int, device: torch.device) -> Any:
    """Return what tells the numbers of a stream apart, (size,)."""
    salt = zlib.crc32(stream.encode())
    numbers = torch.arange(size, device=device, dtype=torch.int64) + (salt << 20)
    return numbers.numpy() if device.type == "cpu" else numbers


class EnvRandom:
    """Random draws for some environments in their current episode.

    Args:
        key: One int64 key per environment, (n,); see `episode_keys`.
    """

    def __init__(self, key: Tensor) -> None:
        """See the class."""
        self._key = key
        mixed = mix(key)[:, None]
        self._mixed: Any = mixed.numpy() if key.device.type == "cpu" else mixed

    @property
    def num(self) -> int:
        """Number of environments drawn for."""
        return self._key.shape[0]

    @property
    def device(self) -> torch.device:
        """Device of the draws."""
        return self._key.device

    def bits(self, stream: str, size: int) -> Tensor:
        """Return hashed int64 numbers, (n, size); equal arguments give equal numbers."""
        bits = self._bits(stream, size)
        return torch.from_numpy(bits) if isinstance(bits, np.ndarray) else bits

    def _bits(self, stream: str, size: int) -> Any:
        return _mix(self._mixed + _numbers(stream, size, self.device))

    def uniform(
        self, stream: str, low: float | Tensor = 0.0, high: float | Tensor = 1.0, size: int = 1
    ) -> Tensor:
        """Draw from [low, high), float32, (n, size); bounds broadcast to (size,) or (n, size)."""
        bits = _shift(self._bits(stream, size), 40)
        if isinstance(bits, np.ndarray):
            u = torch.from_numpy(bits.astype(np.float32))
        else:
            u = bits.to(torch.float32)
        u *= 2.0**-24
        return low + (high - low) * u

    def normal(self, stream: str, std: float | Tensor = 1.0, size: int = 1) -> Tensor:
        """Draw from a normal distribution around 0, (n, size)."""
        u = self.uniform(stream, size=2 * size)
        radius = torch.sqrt(-2.0 * torch.log(1.0 - u[:, :size]))
        return std * radius * torch.cos(2.0 * math.pi * u[:, size:])

    def integers(self, stream: str, high: int, size: int = 1) -> Tensor:
        """Draw from 0 .. high - 1, int64, (n, size)."""
        return torch.clamp((self.uniform(stream, size=size) * high).to(torch.int64), max=high - 1)

    def log_uniform(self, stream: str, low: float, high: float, size: int = 1) -> Tensor:
        """Draw so that the logarithm is uniform, (n, size); for scale factors."""
        return torch.exp(self.uniform(stream, math.log(low), math.log(high), size))

    def quaternion(self, stream: str) -> Tensor:
        """Draw rotations uniformly, wxyz, (n, 4) (Shoemake, 1992)."""
        u = self.uniform(stream, size=3)
        a, b = torch.sqrt(1.0 - u[:, 0]), torch.sqrt(u[:, 0])
        s, t = 2.0 * math.pi * u[:, 1], 2.0 * math.pi * u[:, 2]
        return torch.stack((b * torch.cos(t), a * torch.sin(s), a * torch.cos(s), b * torch.sin(t)), -1)


def episode_keys(seeds: Tensor, episodes: Tensor) -> Tensor:
    """Return the keys of environments with these seeds (n,) in these episodes (n,), int64."""
    return mix(mix(seeds) ^ episodes)
