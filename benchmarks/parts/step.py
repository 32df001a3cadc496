"""A whole step of RelCon as in the paper: distances, embeddings, loss, gradient and update."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from benchmarks.machine import Machine
from benchmarks.material import Size, trained_distance, windows
from benchmarks.parts.distance import PlainDistance, as_fused
from benchmarks.parts.encoder import PlainEncoder
from benchmarks.parts.loss import looped_loss
from benchmarks.timing import Row, Variant, compare, count_flops
from relcon_lightning.batch import CandidateBatch
from relcon_lightning.losses import relative_contrastive
from relcon_lightning.methods import RelCon
from relcon_lightning.nets import MotifDistance, ResNet1d

# Maximum relative error of the loss before the first step. Distances in bfloat16 swap candidates at similar distances.
LOSS_ERROR = {torch.float32: 1e-3, torch.bfloat16: 2e-2}

LossOf = Callable[[CandidateBatch], Tensor]


class PlainRelCon:
    """The same loss with loops over anchors and candidates, and one pass of the encoder, whose BN sees all windows."""

    def __init__(self, method: RelCon) -> None:
        assert isinstance(method.encoder, ResNet1d)
        assert isinstance(method.distance, MotifDistance)
        self.encoder, self.distance = PlainEncoder(method.encoder), PlainDistance(method.distance)

    def __call__(self, batch: CandidateBatch) -> Tensor:
        """Loss of a batch, a scalar."""
        anchors, candidates = batch.anchor, batch.candidates
        z = self.encoder(torch.cat([anchors, candidates.flatten(0, 1)]))
        own = z[len(anchors) :].unflatten(0, candidates.shape[:2])
        similarities, distances = [], []
        for i, anchor in enumerate(anchors):
            others = [j for j in range(len(anchors)) if j != i]
            all_z = torch.cat([own[i], z[others]])
            similarities.append(torch.cosine_similarity(z[i], all_z, dim=-1))
            with torch.no_grad():
                found = [self.distance(anchor, candidate) for candidate in [*candidates[i], *anchors[others]]]
            distances.append(torch.stack(found))
        return looped_loss(torch.stack(similarities), torch.stack(distances))


def make_batch(size: Size) -> CandidateBatch:
    """A batch like those of the datamodule, with one participant per anchor."""
    return CandidateBatch.of(
        windows(size, size.batch),
        windows(size, size.batch * size.candidates, seed=1).unflatten(0, (size.batch, -1)),
        torch.arange(size.batch),
    )


def loss_of(method: RelCon, dtype: torch.dtype) -> LossOf:
    """Loss in float32, or as in Lightning's bf16-mixed: forward pass with autocast, backward pass without it."""

    def run(batch: CandidateBatch) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            return method.loss(batch, torch.Generator(), "train")

    return run


def train_step(method: RelCon, loss: LossOf, batch: Callable[[], CandidateBatch]) -> Callable[[], Tensor]:
    """Function that makes a training step and returns the loss before it."""
    optimizer = torch.optim.Adam(p for p in method.parameters() if p.requires_grad)

    def run() -> Tensor:
        value = loss(batch())
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value.detach()

    return run


def make_method(size: Size, encoder: nn.Module, fused: bool = True) -> RelCon:
    """RelCon with a trained distance and a copy of the encoder."""
    distance = as_fused(trained_distance(size)) if fused else copy.deepcopy(trained_distance(size))
    return RelCon(copy.deepcopy(encoder), distance)


def rows(size: Size, machine: Machine) -> list[Row]:
    """Rows for our step compared with the plain one, then for the parts of ours."""
    torch.manual_seed(0)
    encoder, batch = size.encoder(), make_batch(size)
    eager = make_method(size, encoder, fused=False)
    work = {
        "plain": count_flops(lambda: PlainRelCon(eager)(batch).backward()),
        "ours": count_flops(lambda: loss_of(eager, torch.float32)(batch).backward()),
    }
    expected = float(PlainRelCon(make_method(size, encoder))(batch))
    plain = make_method(size, encoder)
    looped = train_step(plain, PlainRelCon(plain), lambda: batch)
    variants = [Variant("looped", looped, work["plain"], items=size.batch)]
    for dtype, compiled in ((torch.float32, False), (torch.bfloat16, False), (torch.bfloat16, True)):
        method = make_method(size, encoder)
        if compiled:
            method.encoder.compile(dynamic=False)
        run = train_step(method, loss_of(method, dtype), lambda: batch)
        error = abs(float(run()) / expected - 1)
        assert error <= LOSS_ERROR[dtype], f"ours, {dtype}: the loss is {error:.2g} of itself away from {expected}"
        name = f"ours, {str(dtype).removeprefix('torch.')}" + (", encoder compiled" if compiled else "")
        variants.append(Variant(name, run, work["ours"], dtype, f"loss off by {error:.0e}", size.batch))
    group = f"RelCon step, {size.batch} x {size.candidates}"
    found = compare(group, variants, machine, size.rounds, memory=True, unit="anchors/s")
    return [*found, *_shares(size, machine, encoder, batch, found[1].seconds)]


def _shares(size: Size, machine: Machine, encoder: nn.Module, batch: CandidateBatch, step: float) -> Sequence[Row]:
    """Rows for the parts of our float32 step, as fractions of it."""
    method = make_method(size, encoder)
    ranked = method.rank(batch, torch.Generator())
    similarities = ranked.similarities.detach().requires_grad_()
    signal = batch.pool

    @torch.no_grad()
    def distances() -> None:
        method.distance.pairwise(batch.anchor, batch.candidates)
        method.distance.in_batch(batch.anchor)

    parts = [
        Variant("distances", distances),
        Variant("encoder, forward and backward", lambda: method.encoder(signal).sum().backward()),
        Variant("loss", lambda: relative_contrastive(similarities, ranked.distances, 1.0, ranked.mask).backward()),
    ]
    optimizer = torch.optim.Adam(method.encoder.parameters())
    method.encoder(signal).sum().backward()
    parts.append(Variant("optimizer", optimizer.step))
    found = compare(f"of our float32 step, {size.batch} x {size.candidates}", parts, machine, size.rounds)
    return [replace(row, faster=None, agreement=f"{row.seconds / step:.1%} of the step") for row in found]
