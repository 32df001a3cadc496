"""The contrastive losses: pure functions of tensors.

Losses over ranked candidates take cosine similarities and distances, both ``(B, C)``: one row per anchor, one column
per candidate. A boolean mask of the same shape excludes candidates (an anchor is not its own candidate). An anchor
without candidates has a loss of 0 and counts in the mean. All losses are computed in float32 or wider.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Real
from torch import Tensor

_FAR_BELOW = -1e30  # used instead of -inf in a log-sum-exp: it is finite, so that its gradient is 0 and not NaN


def cosine_similarities(anchor: Float[Tensor, "B E"], candidates: Float[Tensor, "B C E"]) -> Float[Tensor, "B C"]:
    """``(B, C)`` cosines of embeddings ``(B, E)`` with their own candidates ``(B, C, E)``."""
    with _full_precision(anchor):
        return torch.einsum("be,bce->bc", _unit(anchor), _unit(candidates))


def cross_similarities(z1: Float[Tensor, "A E"], z2: Float[Tensor, "B E"]) -> Float[Tensor, "A B"]:
    """``(A, B)`` cosines of each embedding in ``(A, E)`` with each embedding in ``(B, E)``."""
    with _full_precision(z1):
        return _unit(z1) @ _unit(z2).T


def relative_contrastive_loss(
    anchor: Float[Tensor, "B E"],
    candidates: Float[Tensor, "B C E"],
    distances: Real[Tensor, "B C"],
    temperature: float = 1.0,
    mask: Bool[Tensor, "B C"] | None = None,
) -> Float[Tensor, ""]:
    """RelCon's loss (paper Eq. 5-7) of embeddings ``(B, E)`` and candidates ``(B, C, E)`` at ``distances`` ``(B, C)``.

    See :func:`relative_contrastive`, which takes the similarities.

    Example:
        >>> anchor = torch.tensor([[1.0, 0.0]])
        >>> candidates = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])  # the first is like the anchor
        >>> agrees = relative_contrastive_loss(anchor, candidates, torch.tensor([[0.1, 0.9]]))
        >>> contradicts = relative_contrastive_loss(anchor, candidates, torch.tensor([[0.9, 0.1]]))
        >>> round(agrees.item(), 4), round(contradicts.item(), 4)
        (0.3133, 1.3133)
    """
    return relative_contrastive(cosine_similarities(anchor, candidates), distances, temperature, mask)


def relative_contrastive(
    similarities: Float[Tensor, "B C"],
    distances: Real[Tensor, "B C"],
    temperature: float = 1.0,
    mask: Bool[Tensor, "B C"] | None = None,
) -> Float[Tensor, ""]:
    """Each candidate is a positive; the candidates farther from the anchor are its negatives (Eq. 6-7).

    ``l_i = -s_i/tau + log(exp(s_i/tau) + sum_{j: d_j > d_i} exp(s_j/tau))``, summed over candidates, mean over anchors.
    Candidates at the same distance are not negatives of each other. After sorting by distance, the sums over farther
    candidates are one reverse cumulative log-sum-exp, which is read after the run of equal distances.

    Args:
        similarities: ``(B, C)`` cosines.
        distances: ``(B, C)``; only their order counts and no gradient flows to them.
        temperature: Temperature tau.
        mask: ``(B, C)``, True for candidates that count.

    Returns:
        A scalar.
    """
    return _relative_terms(similarities, distances, temperature, mask).mean()


def _relative_terms(
    similarities: Float[Tensor, "B C"],
    distances: Real[Tensor, "B C"],
    temperature: float,
    mask: Bool[Tensor, "B C"] | None,
) -> Float[Tensor, " B"]:
    """RelCon's loss of each anchor ``(B,)``: the sum over its candidates."""
    logits = _logits(similarities, temperature)
    distances = distances.detach()
    if mask is not None:  # excluded candidates are farthest and have no negatives: their loss is 0
        logits = logits.masked_fill(~mask, _FAR_BELOW)
        distances = distances.masked_fill(~mask, torch.inf)
    ordered, order = distances.sort(dim=-1)
    positives = logits.gather(-1, order)
    farther = F.pad(positives.flip(-1).logcumsumexp(-1).flip(-1), (0, 1), value=_FAR_BELOW)
    negatives = farther.gather(-1, torch.searchsorted(ordered, ordered, right=True))
    return (torch.logaddexp(positives, negatives) - positives).sum(-1)


def nearest_positive(
    similarities: Float[Tensor, "B C"],
    distances: Real[Tensor, "B C"],
    temperature: float = 1.0,
    mask: Bool[Tensor, "B C"] | None = None,
) -> Float[Tensor, ""]:
    """The nearest candidate is the only positive; all others are negatives (REBAR, Xu et al. 2024).

    Shapes are those of :func:`relative_contrastive`. If several candidates are equally near,
    the first is the positive.
    """
    logits = _logits(similarities, temperature)
    if mask is not None:  # if all candidates are excluded, the term is set to 0 below
        logits = logits.masked_fill(~mask, _FAR_BELOW)
        distances = distances.masked_fill(~mask, torch.inf)
    terms = F.cross_entropy(logits, distances.argmin(-1), reduction="none")
    return (terms if mask is None else terms.where(mask.any(-1), 0)).mean()


def nearest_and_relative(
    similarities: Float[Tensor, "B C"],
    distances: Real[Tensor, "B C"],
    temperature: float = 1.0,
    mask: Bool[Tensor, "B C"] | None = None,
    nearest: float = 0.5,
) -> Float[Tensor, ""]:
    """Weighted mean of :func:`nearest_positive` and of :func:`relative_contrastive` per candidate (not in the paper).

    The latter divides the sum over the candidates of each anchor by their number.

    With two views per window, the nearest candidate is the other view of the window, so that the first part is
    SimCLR's loss and the second part is RelCon's. Shapes are those of :func:`relative_contrastive`.

    Args:
        similarities: ``(B, C)`` cosines.
        distances: ``(B, C)``; only their order counts.
        temperature: Temperature tau.
        mask: ``(B, C)``, True for candidates that count.
        nearest: Weight of the first part, from 0 to 1.
    """
    relative = _relative_terms(similarities, distances, temperature, mask)
    counts = relative.new_full((), distances.shape[1]) if mask is None else mask.sum(1)
    per_candidate = (relative / counts.clamp_min(1)).mean()
    return nearest * nearest_positive(similarities, distances, temperature, mask) + (1 - nearest) * per_candidate


def log_ratio(
    similarities: Float[Tensor, "B C"],
    distances: Real[Tensor, "B C"],
    temperature: float = 1.0,
    mask: Bool[Tensor, "B C"] | None = None,
) -> Float[Tensor, ""]:
    """Log-ratio loss (Kim et al. 2019): ratios of embedding distances follow ratios of the given distances.

    The loss is the mean of ``(log(D_i / D_j) - log(d_i / d_j))^2`` over anchors and ordered pairs of candidates. D is
    the squared Euclidean distance of unit embeddings, ``2 - 2 s``. With ``u = log D - log d`` a term is
    ``(u_i - u_j)^2``, so the mean over pairs is twice the unbiased variance of u. Shapes are those of
    :func:`relative_contrastive`.

    Args:
        similarities: ``(B, C)`` cosines.
        distances: ``(B, C)``, positive.
        temperature: Not used. All losses over ranked candidates have the same signature.
        mask: ``(B, C)``, True for candidates that count.
    """
    wide = _widen(similarities)
    eps = 1e-6
    u = (2 - 2 * wide).clamp_min(eps).log() - distances.detach().to(wide.dtype).clamp_min(eps).log()
    keep = torch.ones_like(u, dtype=torch.bool) if mask is None else mask
    count = keep.sum(-1, keepdim=True).clamp_min(1)
    mean = u.where(keep, 0).sum(-1, keepdim=True) / count
    squares = (u - mean).square().where(keep, 0).sum(-1)
    return (2 * squares / (count.squeeze(-1) - 1).clamp_min(1)).mean()


def nt_xent_loss(z1: Float[Tensor, "B E"], z2: Float[Tensor, "B E"], temperature: float) -> Float[Tensor, ""]:
    """SimCLR's loss (Chen et al. 2020, Eq. 1) of two views ``(B, E)``, ``(B, E)``: mean over the 2B views.

    The positive of a view is the other view of the same window; its negatives are the other 2B - 2 views.

    Example:
        >>> views = torch.eye(4)
        >>> round(nt_xent_loss(views, views, temperature=1.0).item(), 4)  # log(e + 6) - 1
        1.1654
    """
    views = torch.cat([z1, z2])
    logits = (cross_similarities(views, views) / temperature).fill_diagonal_(-torch.inf)
    return F.cross_entropy(logits, torch.arange(len(views), device=views.device).roll(len(z1)))


def _widen(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _full_precision(x: Tensor) -> torch.autocast:
    """Turn autocast off: cosines in bfloat16 have only two digits, which is too few at a temperature of 0.01."""
    return torch.autocast(x.device.type, enabled=False)


def _unit(x: Tensor) -> Tensor:
    return F.normalize(_widen(x), dim=-1)


def _logits(similarities: Tensor, temperature: float) -> Tensor:
    return _widen(similarities) / temperature
