"""The relative loss with its gradient: one anchor and one positive at a time, compared with one sorted pass."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.machine import Machine
from benchmarks.material import Size
from benchmarks.timing import Row, Variant, compare
from relcon_lightning.losses import relative_contrastive

ERROR = 1e-4  # maximum relative error of the loss and its gradient in float32


def looped_loss(similarities: Tensor, distances: Tensor, temperature: float = 1.0) -> Tensor:
    """Direct implementation of Eq. 5-7 from cosines and distances ``(B, C)``."""
    total = similarities.new_zeros(())
    for s, d in zip(similarities / temperature, distances, strict=True):
        for i in range(len(s)):
            total = total - s[i] + torch.logsumexp(torch.cat([s[i : i + 1], s[d > d[i]]]), 0)
    return total / len(similarities)


def rows(size: Size, machine: Machine) -> list[Row]:
    """Rows with c candidates of the participant and the other anchors."""
    batch, count = size.loss_batch, size.candidates + size.loss_batch - 1
    generator = torch.Generator().manual_seed(0)
    similarities = (2 * torch.rand(batch, count, generator=generator) - 1).requires_grad_()
    distances = torch.rand(batch, count, generator=generator)

    def with_gradient(loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], tuple[Tensor, Tensor]]:
        def run() -> tuple[Tensor, Tensor]:
            value = loss(similarities, distances)
            return value.detach(), torch.autograd.grad(value, similarities)[0]

        return run

    looped, ours = with_gradient(looped_loss), with_gradient(relative_contrastive)
    torch.testing.assert_close(ours(), looped(), rtol=ERROR, atol=ERROR)
    variants = [Variant("looped", looped), Variant("ours", ours, agreement=f"value, gradient within {ERROR:g}")]
    return compare(f"relative loss, {batch} x {count}", variants, machine, size.rounds)
