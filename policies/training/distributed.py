"""Training with several processes (`torchrun`): who this one is, and what all must agree in.

Each process has environments of its own; gradients are averaged, so all keep the same weights.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Ranks:
    """Place of this process among those that `torchrun` started.

    Attributes:
        rank: Number of this process, in [0, world_size).
        local_rank: The same on its machine; its GPU.
        world_size: Number of processes.
    """

    rank: int = 0
    local_rank: int = 0
    world_size: int = 1

    @classmethod
    def from_environ(cls) -> Ranks:
        """Return what `torchrun` said; a single process without it.

        Raises:
            ValueError: If the numbers make no sense.
        """
        names = ("RANK", "LOCAL_RANK", "WORLD_SIZE")
        rank, local, size = (int(os.environ.get(n, d)) for n, d in zip(names, ("0", "0", "1"), strict=True))
        if not (0 <= rank < size and 0 <= local < size):
            raise ValueError(f"RANK={rank}, LOCAL_RANK={local}, WORLD_SIZE={size} make no sense")
        return cls(rank, local, size)

    @property
    def is_first(self) -> bool:
        """Whether this process evaluates, reports and writes the run folder."""
        return self.rank == 0

    @property
    def is_many(self) -> bool:
        """Whether there are others."""
        return self.world_size > 1

    def for_rsl_rl(self) -> dict[str, int] | None:
        """Return rsl_rl's `multi_gpu_cfg`."""
        if not self.is_many:
            return None
        return {"global_rank": self.rank, "local_rank": self.local_rank, "world_size": self.world_size}


def join(ranks: Ranks, device: str) -> None:
    """Meet the other processes: NCCL on GPUs, gloo on CPUs; once per process, nothing if there are none.

    Raises:
        ValueError: If a GPU is not the one of this process.
    """
    if not ranks.is_many or torch.distributed.is_initialized():
        return
    is_cuda = device.startswith("cuda")
    if is_cuda:
        expected = f"cuda:{ranks.local_rank}"
        if device != expected:
            raise ValueError(f"process {ranks.rank} trains on {device}; it must be {expected}")
        torch.cuda.set_device(device)
    backend = "nccl" if is_cuda else "gloo"
    torch.distributed.init_process_group(backend, rank=ranks.rank, world_size=ranks.world_size)


def leave() -> None:
    """Part from the other processes; nothing if there are none."""
    if has_joined():
        torch.distributed.destroy_process_group()


def has_joined() -> bool:
    """Return whether this process trains together with others."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def agree(code: int) -> int:
    """Return the largest of all processes' numbers, so that all stop together; with one, its own."""
    if not has_joined():
        return code
    largest = torch.tensor(code, device=_device())
    torch.distributed.all_reduce(largest, op=torch.distributed.ReduceOp.MAX)
    return int(largest)


def share(text: str) -> str:
    """Return the first process's text in all of them; with one, its own."""
    if not has_joined():
        return text
    data = text.encode()
    size = torch.tensor(len(data), device=_device())
    torch.distributed.broadcast(size, src=0)
    letters = torch.zeros(int(size), dtype=torch.uint8, device=_device())
    if torch.distributed.get_rank() == 0:
        letters.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
    torch.distributed.broadcast(letters, src=0)
    return bytes(letters.tolist()).decode()


def _device() -> str:
    return "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
