"""Embeddings of windows in memory."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn


@torch.inference_mode()
def embed_windows(
    encoder: nn.Module, signal: np.ndarray, batch_size: int = 256, device: str = "cpu", description: str | None = None
) -> np.ndarray:
    """Embed windows ``(N, 3, T)`` in evaluation mode; returns embeddings ``(N, dim)``, float32.

    Args:
        encoder: Network from ``(B, 3, T)`` to ``(B, dim)``. The training mode of its modules is restored.
        signal: Windows ``(N, 3, T)`` in g.
        batch_size: Number of windows per batch.
        device: Device to compute on.
        description: Text of the progress bar; None: no bar.
    """
    batches = torch.split(torch.from_numpy(signal), batch_size)
    steps: Iterable[Tensor] = batches
    if description is not None and sys.stdout.isatty():
        steps = track(batches, description, transient=True)
    with _training(encoder, False):
        encoder.to(device)
        return np.concatenate([encoder(batch.to(device)).float().cpu().numpy() for batch in steps])


@torch.no_grad()
def estimate_normalisation(encoder: nn.Module, signal: np.ndarray, batch_size: int = 256) -> None:
    """Set the running statistics of an encoder's batch normalisation to those of windows ``(N, 3, T)``."""
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    order = np.random.default_rng(0).permutation(len(signal))  # batches of one recording are not typical
    with _training(encoder, True):
        for rows in np.array_split(order, -(-len(order) // batch_size)):
            encoder(torch.from_numpy(signal[rows]))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


@contextmanager
def _training(net: nn.Module, mode: bool) -> Iterator[None]:
    """Set the training mode of all modules, and restore it at the end."""
    before = {module: module.training for module in net.modules()}
    net.train(mode)
    try:
        yield
    finally:
        for module, flag in before.items():
            module.training = flag
