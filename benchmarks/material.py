"""Inputs of the parts: synthetic recordings, their windows, and a distance trained on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks import stores
from relcon_lightning.augment import RandomAugmentations
from relcon_lightning.data import CohortInfo, CohortStore, Recording
from relcon_lightning.nets import MotifDistance, ResNet1d, resnet34_1d, small_resnet_1d

RATE = 100  # Hz


@dataclass(frozen=True)
class Size:
    """Sizes of the computations; the defaults are those of the table.

    Attributes:
        batch: Number of anchors, B.
        candidates: Number of candidates per anchor, c.
        time: Number of samples per window, T.
        loss_batch: Number of anchors when only the loss is measured, which is cheap.
        encoder_windows: Number of windows in a forward and backward pass of the encoder.
        participants: Number of participants of the cohort on disk.
        minutes: Length of each of its recordings in minutes.
        worn: Number of participants, and minutes per participant, for loading batches: as many windows as a waking day.
        embed_minutes: Length of the embedded recording in minutes; times in the table are scaled to a day.
        grouped: Numbers of anchors and participants of batches whose anchors are candidates of each other.
        training_steps: Number of training steps of the distance.
        rounds: Number of timed rounds.
        encoder: Encoder of the paper.
        small_encoder: Encoder of the configuration for CPUs.
    """

    batch: int = 16
    candidates: int = 20
    time: int = 256
    loss_batch: int = 64
    encoder_windows: int = 128
    participants: int = 16
    minutes: float = 10.0
    worn: tuple[int, float] = (4, 480.0)
    embed_minutes: float = 30.0
    grouped: tuple[tuple[int, int], ...] = ((32, 4), (84, 4))
    training_steps: int = 60
    rounds: int = 5
    encoder: Callable[[], ResNet1d] = resnet34_1d
    small_encoder: Callable[[], ResNet1d] = small_resnet_1d


def toy_encoder() -> ResNet1d:
    """A tiny encoder with the layout of the real ones."""
    return ResNet1d(widths=(8, 16), depths=(1, 1), kernel_sizes=(3, 4))


TOY = Size(
    batch=4,
    candidates=3,
    time=64,
    loss_batch=5,
    encoder_windows=6,
    participants=8,
    minutes=0.5,
    worn=(8, 0.5),
    embed_minutes=0.5,
    grouped=((8, 2),),
    training_steps=1,
    rounds=1,
    encoder=toy_encoder,
    small_encoder=toy_encoder,
)


@cache
def signals(participants: int, minutes: float) -> list[np.ndarray]:
    """One recording per participant, ``(samples, 3)`` float32 in g."""
    return list(stores.signals(stores.Size(participants=participants, samples=round(60 * RATE * minutes))))


def windows(size: Size, count: int, seed: int = 0) -> Tensor:
    """Windows ``(count, 3, T)`` at random positions in the recordings."""
    rng = np.random.default_rng([seed, count])
    recordings = signals(size.participants, size.minutes)
    owners = rng.integers(len(recordings), size=count)
    starts = rng.integers(len(recordings[0]) - size.time + 1, size=count)
    cut = [recordings[i][start : start + size.time].T for i, start in zip(owners, starts, strict=True)]
    return torch.from_numpy(np.stack(cut))


@cache
@torch.enable_grad()
def trained_distance(size: Size) -> MotifDistance:
    """A motif distance after a few training steps; the ranking of an untrained one is meaningless."""
    torch.manual_seed(0)
    net = MotifDistance()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    augment, generator = RandomAugmentations(), torch.Generator().manual_seed(0)
    for step in range(size.training_steps):
        anchors = windows(size, size.batch, seed=step)
        optimizer.zero_grad()
        net.distance(anchors, augment(anchors, generator)).mean().backward()
        optimizer.step()
    return net.eval().requires_grad_(False)


def cohort(folder: Path, size: Size) -> CohortStore:
    """Write the recordings as a cohort store."""
    info = CohortInfo("benchmark", float(RATE), "wrist", "a formula", "none", "none")
    named = enumerate(signals(size.participants, size.minutes))
    recordings = (Recording(f"r{i:03d}", f"p{i:03d}", signal, float(RATE)) for i, signal in named)
    return CohortStore.write(folder, recordings, info)
