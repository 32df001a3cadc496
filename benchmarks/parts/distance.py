"""Distances of B anchors to c candidates each: one pair at a time, compared with chunks of pairs."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from torch import Tensor

from benchmarks.machine import Machine
from benchmarks.material import Size, trained_distance, windows
from benchmarks.timing import Row, Variant, compare, count_flops
from relcon_lightning.nets import MotifDistance

RELATIVE_ERROR = 1e-3  # float32 sums over 768 squares in another order
LEAST_AGREEMENT = {torch.float32: 0.9999, torch.bfloat16: 0.999}  # Spearman's rho with float64


def sorted_sparsemax(z: Tensor) -> Tensor:
    """Sparsemax by sorting every row (Martins & Astudillo 2016, Algorithm 1)."""
    ordered = z.sort(-1, descending=True).values
    excess = ordered.cumsum(-1) - 1
    rank = torch.arange(1, z.shape[-1] + 1)
    size = (rank * ordered > excess).sum(-1, keepdim=True)
    return (z - excess.gather(-1, size - 1) / size).clamp(min=0)


def softmax(z: Tensor) -> Tensor:
    """Dense weights, for the ablation."""
    return torch.softmax(z, -1)


class PlainDistance:
    """Eq. 1-4 for one anchor and one candidate ``(3, T)``, from the weights of a trained network."""

    def __init__(self, net: MotifDistance, weighting: Callable[[Tensor], Tensor] = sorted_sparsemax) -> None:
        self.weights, self.weighting = net.state_dict(), weighting
        self.blocks = len(net.query.blocks)

    def features(self, name: str, x: Tensor) -> Tensor:
        """Queries, keys or values ``(channels, T)``."""
        w = self.weights
        stem, size = w[f"{name}.stem.weight"], w[f"{name}.stem.weight"].shape[-1]
        inside = F.conv1d(
            torch.ones(1, 1, x.shape[-1], dtype=x.dtype), torch.ones(1, 1, size, dtype=x.dtype), padding="same"
        )
        x = F.conv1d(x[None], stem, padding="same") * (size / inside) + w[f"{name}.stem.bias"][:, None]
        x = self.normalised(F.gelu(x))
        for i in range(self.blocks):
            squeeze, dilated = f"{name}.blocks.{i}.squeeze", f"{name}.blocks.{i}.dilated"
            y = F.conv1d(x, w[f"{squeeze}.weight"], w[f"{squeeze}.bias"])
            y = F.conv1d(y, w[f"{dilated}.weight"], w[f"{dilated}.bias"], padding="same", dilation=2**i)
            x = self.normalised(F.gelu(x + y))
        return x[0]

    @staticmethod
    def normalised(x: Tensor) -> Tensor:
        """Normalise each channel with its mean and standard deviation over time."""
        mean, variance = x.mean(-1, keepdim=True), x.var(-1, correction=0, keepdim=True)
        return (x - mean) / (variance + 1e-5).sqrt()

    def __call__(self, anchor: Tensor, candidate: Tensor) -> Tensor:
        """Distance of one pair, a scalar."""
        w = self.weights
        scale, shift = w["scale"][:, None], w["shift"][:, None]
        mean, std = candidate.mean(-1, keepdim=True), (candidate.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
        normal_anchor, normal_candidate = ((x - mean) / std * scale + shift for x in (anchor, candidate))
        query = self.features("query", normal_anchor)
        key, value = self.features("key", normal_candidate), self.features("value", normal_candidate)
        mixed = self.weighting(query.T @ key / query.shape[0] ** 0.5) @ value.T
        rebuilt = ((mixed @ w["output.weight"].T + w["output.bias"]).T - shift) / scale * std + mean
        return (rebuilt - anchor).square().sum()

    def pairwise(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        """Distances ``(B, C)``, computed one after the other."""
        rows = zip(anchors, candidates, strict=True)
        return torch.stack([torch.stack([self(anchor, candidate) for candidate in own]) for anchor, own in rows])


def as_softmax(net: MotifDistance) -> MotifDistance:
    """A copy of the network with softmax instead of sparsemax."""
    dense = MotifDistance(attention="softmax").eval().requires_grad_(False)
    dense.load_state_dict(net.state_dict())
    return dense


def as_fused(net: MotifDistance) -> MotifDistance:
    """A copy of the network that uses compiled code."""
    fused = copy.deepcopy(net)
    fused.fused = True
    return fused


def agreement(distances: Tensor, exact: Tensor) -> float:
    """Spearman's rho with the exact distances, mean over anchors."""
    rows = zip(distances.double().numpy(), exact.numpy(), strict=True)
    return float(sum(spearmanr(own, true).statistic for own, true in rows) / len(exact))


def in_bfloat16(run: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Run in autocast, as Lightning's bf16-mixed does."""

    def mixed() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return run()

    return mixed


@torch.no_grad()
def rows(size: Size, machine: Machine) -> list[Row]:
    """Rows for the reference and ours, with sparsemax and then with softmax."""
    anchors = windows(size, size.batch)
    candidates = windows(size, size.batch * size.candidates, seed=1).unflatten(0, (size.batch, -1))
    sparse = trained_distance(size)
    found = []
    for name, net, weighting in (
        ("sparsemax", sparse, sorted_sparsemax),
        ("softmax", as_softmax(sparse), softmax),
    ):
        group = f"distances, {name}, {size.batch} x {size.candidates}"
        variants = _variants(net, weighting, anchors, candidates)
        found += compare(group, variants, machine, size.rounds, memory=True, unit="pairs/s")
    return found


def _variants(
    net: MotifDistance, weighting: Callable[[Tensor], Tensor], anchors: Tensor, candidates: Tensor
) -> list[Variant]:
    plain, fused = PlainDistance(net, weighting), as_fused(net)

    def looped() -> Tensor:
        return plain.pairwise(anchors, candidates)

    def eager() -> Tensor:
        return net.pairwise(anchors, candidates)

    def compiled() -> Tensor:
        return fused.pairwise(anchors, candidates)

    exact = copy.deepcopy(net).double().pairwise(anchors.double(), candidates.double())
    torch.testing.assert_close(looped().double(), exact, rtol=RELATIVE_ERROR, atol=0)
    work = {"looped": count_flops(looped), "ours": count_flops(eager)}

    def variant(name: str, run: Callable[[], Tensor], dtype: torch.dtype, flops: float) -> Variant:
        distances = run()
        if dtype == torch.float32:
            torch.testing.assert_close(distances.double(), exact, rtol=RELATIVE_ERROR, atol=0)
        rho = agreement(distances, exact)
        assert rho >= LEAST_AGREEMENT[dtype], f"{name}: Spearman's rho with float64 is {rho:.4f}"
        return Variant(name, run, flops, dtype, f"rho {rho:.5f}", distances.numel())

    return [
        variant("looped", looped, torch.float32, work["looped"]),
        variant("ours, eager", eager, torch.float32, work["ours"]),
        variant("ours, fused", compiled, torch.float32, work["ours"]),
        variant("ours, fused, bfloat16", in_bfloat16(compiled), torch.bfloat16, work["ours"]),
    ]
