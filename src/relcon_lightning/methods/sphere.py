"""Distribution of embeddings on the unit sphere: measures of collapse that need no labels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def diversity(z: Float[Tensor, "N E"]) -> Float[Tensor, ""]:
    """Distance of embeddings ``(N, E)`` from collapse: 0 if all have the same direction, about 1 if evenly spread.

    The standard deviation of unit vectors over the batch, times ``sqrt(E)`` (Chen & He 2021, section 4.1).
    """
    spread: Tensor = _unit(z).std(0, correction=0).mean() * z.shape[1] ** 0.5
    return spread


def alignment(z: Float[Tensor, "N E"], positive: Float[Tensor, "N E"]) -> Float[Tensor, ""]:
    """Mean squared distance between unit vectors ``(N, E)`` and the unit vectors of their positives; 0 is best.

    Wang & Isola (2020), Eq. 5 with alpha = 2; between 0 and 4.
    """
    return (_unit(z) - _unit(positive)).square().sum(1).mean()


def uniformity(z: Float[Tensor, "N E"]) -> Float[Tensor, ""]:
    """Logarithm of the mean Gaussian potential ``exp(-2 d^2)`` over pairs of ``(N, E)``, N >= 2; lower is better.

    Wang & Isola (2020), Eq. 6 with t = 2. A collapse gives 0; an even spread over many dimensions approaches -4.
    """
    squared = torch.pdist(_unit(z)).square()
    return squared.mul(-2).exp().mean().log()


def _unit(z: Tensor) -> Tensor:
    return F.normalize(z.detach().float(), dim=1)
