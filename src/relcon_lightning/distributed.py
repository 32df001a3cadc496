"""What ranks exchange beside gradients."""

from __future__ import annotations

import torch
from torch import Tensor, distributed
from torch.autograd.function import FunctionCtx


def rank() -> int:
    """Of this process; 0 when there is one."""
    return distributed.get_rank() if _several() else 0


def gather(x: Tensor) -> Tensor:
    """``(R * B, ...)`` from ``(B, ...)`` of each of R ranks, in their order; x itself when there is one.

    Gradients flow back to the rank that a row came from, summed over the ranks that used it.
    """
    if not _several():
        return x
    gathered: Tensor = _Gather.apply(x)  # type: ignore[no-untyped-call]
    return gathered


class _Gather(torch.autograd.Function):
    """One collective each way."""

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
