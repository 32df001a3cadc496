"""Communication between ranks, other than that of gradients."""

from __future__ import annotations

import torch
from torch import Tensor, distributed
from torch.autograd.function import FunctionCtx


def rank() -> int:
    """Rank of this process; 0 if there is only one process."""
    return distributed.get_rank() if _several() else 0


def gather(x: Tensor) -> Tensor:
    """Concatenate ``(B, ...)`` of all R ranks to ``(R * B, ...)``, in rank order; x itself if there is only one rank.

    Gradients flow back to the rank that a row came from, summed over all ranks.
    """
    if not _several():
        return x
    gathered: Tensor = _Gather.apply(x)  # type: ignore[no-untyped-call]
    return gathered


class _Gather(torch.autograd.Function):
    """One collective operation forward and one backward."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total.chunk(distributed.get_world_size())[distributed.get_rank()]


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
