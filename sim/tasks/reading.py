"""Poses as they are sensed, and where that puts what moves with them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sim.batch.task import Task


@dataclass(frozen=True)
class PoseReading:
    """A pose as it is sensed, besides what it is.

    Attributes:
        pos: Reading of the position [m], (num_envs, 3).
        mat: Reading of the rotation, (num_envs, 3, 3).
        true_pos: The position [m]; `pos` itself where there is no noise.
        true_mat: The rotation; `mat` itself where there is no noise.
    """

    pos: Tensor
    mat: Tensor
    true_pos: Tensor
    true_mat: Tensor

    @property
    def is_exact(self) -> bool:
        """Whether there is no noise."""
        return self.pos is self.true_pos and self.mat is self.true_mat

    def point(self, pos: Tensor) -> Tensor:
        """Return where the reading puts a point (num_envs, 3) [m] that moves with the pose."""
        return pos if self.is_exact else self.pos + self.vector(pos - self.true_pos)

    def vector(self, vector: Tensor) -> Tensor:
        """Return how the reading turns a vector (num_envs, 3) that turns with the pose."""
        return vector if self.is_exact else (self.mat @ (self.true_mat.mT @ vector[..., None]))[..., 0]


def read_pose(task: Task, name: str, pos: Tensor, mat: Tensor) -> PoseReading:
    """Return the reading of a pose: of the quantities `<name>_pos` and `<name>_axes`."""
    return PoseReading(task.sense(f"{name}_pos", pos), task.sense_mat(f"{name}_axes", mat), pos, mat)
