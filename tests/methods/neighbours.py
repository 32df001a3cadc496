"""RelCon and REBAR with ``model.neighbours=true``, and batches for them."""

from __future__ import annotations

from dataclasses import replace

import torch

from relcon_lightning.batch import CandidateBatch
from relcon_lightning.methods import RelCon
from relcon_lightning.nets import ResNet1d, SpectralDistance

T, TAU = 64, 0.3


def made(kind=RelCon, distance=SpectralDistance, **options):
    torch.manual_seed(0)
    options = {"temperature": TAU, "neighbours": True, **options}
    return kind(ResNet1d((8, 16), (1, 1), (3, 3)), distance(), **options).double().eval()


def batch(people, starts=None, recordings=None, drawn=1):
    """Anchors of ``people`` with ``drawn`` candidates; ``starts`` and ``recordings`` say where all of them lie."""
    g = torch.Generator().manual_seed(len(people))
    draw = {"generator": g, "dtype": torch.float64}
    n = len(people)
    content = CandidateBatch.of(torch.randn(n, 3, T, **draw), torch.randn(n, drawn, 3, T, **draw), torch.tensor(people))
    if starts is None:
        return content
    return replace(content, start=torch.tensor(starts), recording=torch.tensor(recordings))


def loss(method, content, seed=0):
    return method.loss(content, torch.Generator().manual_seed(seed), "train")
