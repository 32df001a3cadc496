"""Learned motif distance: the error of reconstructing one window from another (paper section 3.1, Eq. 1-4)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from relcon_lightning.errors import ConfigError
from relcon_lightning.nets.dilated_conv import DilatedConvNet
from relcon_lightning.nets.sparsemax import newton_sparsemax, sparsemax

log = logging.getLogger(__name__)

_WEIGHTING: dict[str, Callable[[Tensor], Tensor]] = {
    "sparsemax": lambda logits: sparsemax(logits, dim=-1),
    "softmax": lambda logits: torch.softmax(logits, dim=-1),
}
_EPS = 1e-5


def window_statistics(x: Float[Tensor, "*N 3 T"]) -> tuple[Float[Tensor, "*N 3 1"], Float[Tensor, "*N 3 1"]]:
    """Mean and biased standard deviation of ``(..., 3, T)`` over time, as two tensors ``(..., 3, 1)``."""
    variance, mean = torch.var_mean(x, dim=-1, correction=0, keepdim=True)
    return mean, (variance + _EPS).sqrt()


class MotifDistance(nn.Module):
    """Reconstruct an anchor from motifs of a candidate with sparse cross-attention; the error is the distance.

    ``d(anc, cand) = || rec(anc | cand) - anc ||^2`` (Eq. 1) is not symmetric. Anchor and candidate are both normalised
    with the *candidate's* statistics, which preserves differences in magnitude (Eq. 4). The reconstruction is
    denormalised with ``y * sigma + mu``, the inverse of the normalisation; Eq. 2 is printed as ``(y + mu) * sigma``.

    Args:
        channels: Number of channels of queries, keys and values.
        kernel_size: Kernel size of the dilated convolutions, in samples.
        blocks: Number of residual blocks of each network.
        dropout: Dropout rate of the attention weights, in training only.
        attention: ``sparsemax``, or ``softmax`` for the ablation of Table 5.
        statistics: ``candidate``, or ``own`` for the ablation "w/o RevIN" of Table 5: each window is then normalised
            with its own statistics, and the reconstruction is denormalised with those of the anchor.
        stem: First layer of the three networks. ``partial``: as in the paper's reference code. ``padded``: plain zero
            padding, without GELU and InstanceNorm, as in checkpoints of format 2 and before.
        chunk: Number of pairs that :meth:`pairwise` and :meth:`in_batch` compute at once; limits their memory.
        fused: In evaluation mode and without gradients, compute chunks of pairs with code from ``torch.compile``. The
            first call compiles for some seconds; the result is cached on disk. Several times faster on a CPU.
    """

    unit = "g²"  # of the distances

    def __init__(
        self,
        channels: int = 64,
        kernel_size: int = 15,
        blocks: int = 2,
        dropout: float = 0.1,
        attention: Literal["sparsemax", "softmax"] = "sparsemax",
        statistics: Literal["candidate", "own"] = "candidate",
        chunk: int = 32,
        fused: bool = False,
        stem: Literal["partial", "padded"] = "partial",
    ) -> None:
        super().__init__()
        if attention not in _WEIGHTING or statistics not in ("candidate", "own"):
            raise ConfigError(
                f"attention={attention!r}, statistics={statistics!r}: expected attention sparsemax or softmax, and "
                "statistics candidate or own."
            )
        if stem not in ("partial", "padded"):
            raise ConfigError(f"stem={stem!r} of the motif distance: expected partial or padded.")
        self.query, self.key, self.value = (
            DilatedConvNet(3, channels, kernel_size=kernel_size, blocks=blocks, stem=stem) for _ in range(3)
        )
        self.output = nn.Linear(channels, 3)
        self.scale = nn.Parameter(torch.ones(3))
        self.shift = nn.Parameter(torch.zeros(3))
        self.dropout = dropout
        self.weighting = _WEIGHTING[attention]
        self.own_statistics = statistics == "own"
        self.chunk, self.fused = chunk, fused
        self.sparse = attention == "sparsemax"

    def forward(self, anchor: Float[Tensor, "B 3 T"], candidate: Float[Tensor, "B 3 T"]) -> Float[Tensor, "B 3 T"]:
        """Reconstruction ``(B, 3, T)`` of anchors ``(B, 3, T)`` from candidates ``(B, 3, T)`` (Eq. 2)."""
        return self._reconstruct(anchor, window_statistics(candidate), *self._keys_values(candidate))

    def distance(self, anchor: Float[Tensor, "B 3 T"], candidate: Float[Tensor, "B 3 T"]) -> Float[Tensor, " B"]:
        """Squared reconstruction errors ``(B,)``, summed over axes and time, in g^2 (Eq. 1)."""
        return _squared_error(self(anchor, candidate), anchor)

    def attention(self, anchor: Float[Tensor, "B 3 T"], candidate: Float[Tensor, "B 3 T"]) -> Float[Tensor, "B T T"]:
        """Attention weights ``(B, T, T)`` of anchor time steps over candidate time (last axis, Eq. 3), no dropout."""
        key, _ = self._keys_values(candidate)
        queries = self._queries(anchor, self._anchor_statistics(anchor, window_statistics(candidate)))
        return self.weighting(self._logits(queries, key))

    def pairwise(self, anchors: Float[Tensor, "B 3 T"], candidates: Float[Tensor, "B C 3 T"]) -> Float[Tensor, "B C"]:
        """Distances ``(B, C)`` of anchors ``(B, 3, T)`` to their own candidates ``(B, C, 3, T)``."""
        n_candidates = candidates.shape[1]
        rows = torch.arange(len(anchors), device=anchors.device).repeat_interleave(n_candidates)
        chunks = zip(torch.split(rows, self.chunk), torch.split(candidates.flatten(0, 1), self.chunk), strict=True)
        distances = [
            self._errors(anchors[row], *window_statistics(candidate), *self._keys_values(candidate))
            for row, candidate in chunks
        ]
        return torch.cat(distances).view(-1, n_candidates)

    def in_batch(self, anchors: Float[Tensor, "B 3 T"]) -> Float[Tensor, "B B"]:
        """Distances ``(B, B)`` between windows ``(B, 3, T)``: one row per anchor, one column per candidate.

        Keys, values and statistics are computed once per window and shared by all rows.
        """
        return self.between(anchors, anchors)

    def between(self, anchors: Float[Tensor, "A 3 T"], candidates: Float[Tensor, "N 3 T"]) -> Float[Tensor, "A N"]:
        """Distances ``(A, N)`` of each anchor ``(A, 3, T)`` to each candidate ``(N, 3, T)``, shared by all anchors."""
        everyone = torch.arange(len(candidates), device=anchors.device).expand(len(anchors), -1)
        return self.to_some(anchors, candidates, everyone)

    def to_some(
        self, anchors: Float[Tensor, "A 3 T"], candidates: Float[Tensor, "N 3 T"], columns: Int[Tensor, "A K"]
    ) -> Float[Tensor, "A K"]:
        """Distances ``(A, K)`` of each anchor to the candidates that its row of ``columns`` ``(A, K)`` selects."""
        mean, std = window_statistics(candidates)
        key, value = self._keys_values(candidates)
        rows = torch.arange(len(anchors), device=anchors.device).repeat_interleave(columns.shape[1])
        pairs = zip(torch.split(rows, self.chunk), torch.split(columns.flatten(), self.chunk), strict=True)
        distances = [
            self._errors(anchors[row], mean[column], std[column], key[column], value[column]) for row, column in pairs
        ]
        return torch.cat(distances).view(columns.shape)

    def _anchor_statistics(self, anchor: Tensor, candidate_statistics: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return window_statistics(anchor) if self.own_statistics else candidate_statistics

    def _normalise(self, x: Tensor, statistics: tuple[Tensor, Tensor]) -> Tensor:
        mean, std = statistics
        return (x - mean) / std * self.scale[:, None] + self.shift[:, None]

    def _keys_values(self, candidate: Tensor) -> tuple[Tensor, Tensor]:
        x = self._normalise(candidate, window_statistics(candidate))
        return self.key(x), self.value(x)

    def _queries(self, anchor: Tensor, statistics: tuple[Tensor, Tensor]) -> Tensor:
        queries: Tensor = self.query(self._normalise(anchor, statistics))
        return queries

    @staticmethod
    def _logits(query: Tensor, key: Tensor) -> Tensor:
        logits: Tensor = (query / query.shape[1] ** 0.5).mT @ key
        return logits

    def _reconstruct(
        self, anchor: Tensor, candidate_statistics: tuple[Tensor, Tensor], key: Tensor, value: Tensor
    ) -> Tensor:
        mean, std = self._anchor_statistics(anchor, candidate_statistics)
        weights = self.weighting(self._logits(self._queries(anchor, (mean, std)), key))
        weights = F.dropout(weights, self.dropout, self.training)
        return self._restore(weights @ value.mT, mean, std)

    def _restore(self, mixed: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """Map values after attention ``(B, T, channels)`` to windows ``(B, 3, T)`` in g: the inverse of Eq. 4."""
        restored: Tensor = (self.output(mixed).mT - self.shift[:, None]) / self.scale[:, None] * std + mean
        return restored

    def _errors(self, anchor: Tensor, mean: Tensor, std: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Distances ``(P,)`` of pairs, from anchors and the statistics, keys and values of their candidates."""
        if self.fused and not (self.training or torch.is_grad_enabled()):
            errors = _fused(self, anchor, mean, std, key, value)
            if errors is not None:
                return errors
        return _squared_error(self._reconstruct(anchor, (mean, std), key, value), anchor)


def _squared_error(rebuilt: Tensor, anchor: Tensor) -> Tensor:
    return (rebuilt - anchor).square().sum((-2, -1))


def _fused(net: MotifDistance, *pairs: Tensor) -> Tensor | None:
    """:meth:`MotifDistance._errors` with compiled code; None if compilation failed or the result was not exact."""
    n = len(pairs[0])
    row = torch.arange(net.chunk, device=pairs[0].device).clamp(max=n - 1)  # repeat the last pair: one shape to compile
    padded = pairs if n == net.chunk else [x[row] for x in pairs]
    try:
        with torch.inference_mode(False), torch.no_grad():  # tensors of inference mode would compile again
            errors, settled = _compiled()(net, *(x.clone() if x.is_inference() else x for x in padded))
    except (RuntimeError, ImportError) as error:  # no compiler, or none that torch can use
        net.fused = False
        reason = str(error).strip().split("\n")[0]
        log.warning(
            "torch.compile does not work here (%s). Distances take several times longer. It needs a C++ compiler and "
            "Python's headers (Debian, Ubuntu: g++ and python3-dev).",
            reason,
        )
        return None
    return errors[:n] if settled else None


@cache
def _compiled() -> Callable[..., tuple[Tensor, Tensor]]:
    return torch.compile(_pair_errors, dynamic=False)


def _pair_errors(
    net: MotifDistance, anchor: Tensor, mean: Tensor, std: Tensor, key: Tensor, value: Tensor
) -> tuple[Tensor, Tensor]:
    """Errors ``(P,)``, and True if all attention weights are exact. A function: networks share its compiled code."""
    own = net._anchor_statistics(anchor, (mean, std))
    logits = net._logits(net._queries(anchor, own), key)
    weights, settled = newton_sparsemax(logits) if net.sparse else (torch.softmax(logits, dim=-1), logits.new_ones(()))
    return _squared_error(net._restore(weights @ value.mT, *own), anchor), settled
