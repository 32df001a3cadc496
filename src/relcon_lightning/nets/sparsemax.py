"""Sparsemax: Euclidean projection onto the probability simplex (Martins & Astudillo 2016)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_NEWTON_STEPS = 8  # each step is a pass over memory; the few rows that need more steps are sorted
_COMPILED_STEPS = 11  # steps in one compiled kernel are cheap; all rows are computed again if one has not converged


def sparsemax(logits: Tensor, dim: int = -1) -> Tensor:
    """Project ``logits`` onto the probability simplex along ``dim``.

    ``p = max(z - tau, 0)``, where ``tau`` is chosen such that ``p`` sums to 1 (Martins & Astudillo 2016, Eq. 2-4).
    Unlike softmax, the result contains exact zeros.

    Args:
        logits: Tensor of any shape and floating type.
        dim: Dimension to project along.

    Returns:
        A tensor of the shape and type of ``logits``: non-negative, summing to 1 along ``dim``.
    """
    projected: Tensor = _Sparsemax.apply(logits, dim)  # type: ignore[no-untyped-call]
    return projected


def newton_sparsemax(logits: Tensor) -> tuple[Tensor, Tensor]:
    """:func:`sparsemax` along the last dimension with Newton steps only; it has no branch on data and can be compiled.

    Args:
        logits: ``(..., n)``.

    Returns:
        The projection in the type of ``logits``, and a boolean that is True if all rows have converged. If it is False,
        call :func:`sparsemax`.
    """
    z = logits.to(torch.promote_types(logits.dtype, torch.float32))
    z = z - z.amax(-1, keepdim=True)
    tau, settled = _newton(z, _COMPILED_STEPS)
    return (z - tau).clamp(min=0).to(logits.dtype), settled.all()


def _newton(z: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Threshold tau of each row of ``z``, whose largest entry is 0, and True where it is exact; both ``(..., 1)``.

    ``f(tau) = sum(max(z - tau, 0)) - 1`` is convex, decreasing and piecewise linear, and ``f(-1) >= 0``. Newton steps
    from -1 therefore increase monotonically, and reach the exact root when the support no longer changes. A few steps
    are enough.
    """
    tau = torch.full_like(z[..., :1], -1.0)
    support = torch.ones_like(tau)
    for _ in range(steps):
        above = z > tau
        previous, support = support, above.sum(-1, keepdim=True, dtype=z.dtype)
        tau = (torch.where(above, z, 0).sum(-1, keepdim=True) - 1) / support
    return tau, support == previous


def _threshold(z: Tensor) -> Tensor:
    """Exact threshold tau of each row; rows that need more than a few Newton steps are solved by sorting."""
    tau, settled = _newton(z, _NEWTON_STEPS)
    if not settled.all():
        late = ~settled.squeeze(-1)
        tau[late] = _threshold_by_sorting(z[late])
    return tau


def _threshold_by_sorting(z: Tensor) -> Tensor:
    """Threshold tau of each row of ``z`` from the sorted cumulative sum (Martins & Astudillo 2016, Algorithm 1)."""
    ordered = z.sort(dim=-1, descending=True).values
    rank = torch.arange(1, z.shape[-1] + 1, device=z.device, dtype=z.dtype)
    excess = ordered.cumsum(-1) - 1
    size = (rank * ordered > excess).sum(-1, keepdim=True)
    return excess.gather(-1, size - 1) / size


class _Sparsemax(torch.autograd.Function):
    """Forward pass with :func:`_threshold`; backward pass with the Jacobian-vector product on the support."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, dim: int) -> Tensor:
        z = logits.movedim(dim, -1)
        z = z.to(torch.promote_types(z.dtype, torch.float32))
        z = z - z.amax(-1, keepdim=True)
        p = (z - _threshold(z)).clamp_(min=0).movedim(-1, dim).to(logits.dtype)
        ctx.dim = dim
        ctx.save_for_backward(p)
        return p

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (p,) = ctx.saved_tensors
        (grad,) = grads
        support = p > 0
        inside = torch.where(support, grad, 0)
        mean = inside.sum(ctx.dim, keepdim=True) / support.sum(ctx.dim, keepdim=True)
        return torch.where(support, grad - mean, 0), None
