"""Embed a day of one participant: float32 in 1D, compared with bfloat16 and compiled code."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from benchmarks.machine import Machine
from benchmarks.material import RATE, Size, signals
from benchmarks.parts.encoder import PlainEncoder
from benchmarks.timing import Row, Variant, compare, count_flops
from relcon_lightning.embed.embedder import MixedPrecision
from relcon_lightning.embed.windows import embed_windows, estimate_normalisation

BATCH = 256
DAY_MINUTES = 24 * 60
# Minimum cosine between the embeddings of a window in this precision and in float32 in 1D. The mean embedding of the
# recording is subtracted first; otherwise the embeddings of any two windows have a cosine near 1.
LEAST_COSINE = {torch.float32: 0.9999, torch.bfloat16: 0.9}


def centred_cosines(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Cosines ``(N,)`` of embeddings ``(N, dim)`` after subtracting the mean of the expected ones."""
    mean = expected.mean(0)
    a, b = (torch.from_numpy(z - mean) for z in (found, expected))
    cosines: np.ndarray = torch.cosine_similarity(a, b, dim=1).numpy()
    return cosines


def rows(size: Size, machine: Machine) -> list[Row]:
    """Rows for consecutive windows. Some minutes are measured; times and GFLOP are scaled to a day."""
    recording = signals(1, size.embed_minutes)[0]
    count = len(recording) // size.time // min(BATCH, len(recording) // size.time)
    count *= min(BATCH, len(recording) // size.time)  # full batches only, so that code is compiled once
    signal = np.ascontiguousarray(recording[: count * size.time].reshape(count, size.time, 3).transpose(0, 2, 1))
    torch.manual_seed(0)
    encoder = size.encoder()
    estimate_normalisation(encoder, signal, BATCH)
    ways: list[tuple[str, nn.Module, torch.dtype]] = [
        ("in 1D", PlainEncoder(encoder), torch.float32),
        ("ours", encoder, torch.float32),
        ("ours, compiled", _compiled(encoder), torch.float32),
        ("in 1D, bfloat16", MixedPrecision(PlainEncoder(encoder)), torch.bfloat16),
        ("ours, bfloat16", MixedPrecision(encoder), torch.bfloat16),
        ("ours, compiled, bfloat16", MixedPrecision(_compiled(encoder)), torch.bfloat16),
    ]
    variants = _variants(ways, signal)
    factor = DAY_MINUTES * 60 * RATE / (count * size.time)
    return [_scaled(row, factor) for row in compare("embedding 24 h", variants, machine, min(size.rounds, 3))]


def _compiled(net: nn.Module) -> nn.Module:
    compiled = copy.deepcopy(net)
    compiled.compile(dynamic=False)
    return compiled


def _variants(ways: list[tuple[str, nn.Module, torch.dtype]], signal: np.ndarray) -> list[Variant]:
    def embed(net: nn.Module) -> Callable[[], np.ndarray]:
        return lambda: embed_windows(net, signal, BATCH)

    expected = embed(ways[0][1])()
    with torch.no_grad():
        flops = count_flops(lambda: ways[0][1].eval()(torch.from_numpy(signal[:1]))) * len(signal)
    variants = []
    for name, net, dtype in ways:
        cosines = centred_cosines(embed(net)(), expected)
        least = float(cosines.min())
        assert least >= LEAST_COSINE[dtype], f"{name}: a window's embedding has a cosine of {least:.4f} with float32"
        variants.append(Variant(name, embed(net), flops, dtype, f"cosine {least:.4f} or more"))
    return variants


def _scaled(row: Row, factor: float) -> Row:
    assert row.gflop is not None
    return replace(row, seconds=factor * row.seconds, gflop=factor * row.gflop)
