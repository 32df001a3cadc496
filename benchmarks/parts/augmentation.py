"""Two of the eight augmentations per window: one window at a time in NumPy, or groups of windows in torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from scipy.special import ndtri
from torch import Tensor

from benchmarks.machine import Machine
from benchmarks.material import Size, windows
from benchmarks.timing import Row, Variant, compare
from relcon_lightning.augment import RandomAugmentations

ERROR = 1e-3  # g, maximum error of float32 from float64 with the same random numbers

Window = np.ndarray  # (3, T) in g
Draws = np.ndarray  # uniform in [0, 1)


def noise(x: Window, u: Draws) -> Window:
    """Gaussian noise with a standard deviation of 0.1 g."""
    return x + 0.1 * ndtri(u.clip(1e-7 / 2, 1 - 1e-7 / 2)).reshape(x.shape)


def scale(x: Window, u: Draws) -> Window:
    """Multiply each axis by N(1, 0.25^2)."""
    return x * (1 + 0.25 * ndtri(u))[:, None]


def rotation(x: Window, u: Draws) -> Window:
    """Rotate each sample about a random direction with Rodrigues' formula."""
    axis = ndtri(u[:3])
    axis /= np.linalg.norm(axis)
    angle = np.pi * (2 * u[3] - 1)
    along = np.outer(axis, axis @ x)
    return along + np.cos(angle) * (x - along) + np.sin(angle) * np.cross(axis, x.T).T


def negate(x: Window, u: Draws) -> Window:
    """Change the sign of all axes."""
    return -x


def time_flip(x: Window, u: Draws) -> Window:
    """Reverse time."""
    return x[:, ::-1]


def axis_shuffle(x: Window, u: Draws) -> Window:
    """Permute the axes in one of five orders."""
    return x[[(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)][int(5 * u[0])],]


def segment_permutation(x: Window, u: Draws) -> Window:
    """Cut at five points and reorder the pieces, which have at least one sample."""
    cuts = np.sort((u[:5] * np.float32(x.shape[1] - 5)).astype(int)) + np.arange(1, 6)
    pieces = np.split(x, cuts, axis=1)
    return np.concatenate([pieces[i] for i in np.argsort(np.argsort(u[5:]))], axis=1)


def time_warp(x: Window, u: Draws) -> Window:
    """Warp each axis with its own smooth speed: a spline through six knots N(1, 0.2^2), at least 0.05."""
    return np.stack([_warped(axis, own) for axis, own in zip(x, np.split(u, 3), strict=True)])


def _warped(axis: np.ndarray, u: Draws) -> np.ndarray:
    time = np.arange(len(axis))
    speed = CubicSpline(np.linspace(0, time[-1], 6), 1 + 0.2 * ndtri(u))(time).clip(0.05)
    elapsed = np.concatenate([[0], np.cumsum((speed[1:] + speed[:-1]) / 2)])
    return np.interp(elapsed / elapsed[-1] * time[-1], time, axis)


def plain(x: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Apply to each window ``(3, T)`` the two augmentations that its numbers select, with our layout of the numbers."""
    time = x.shape[-1]
    kinds: list[tuple[Callable[[Window, Draws], Window], int]] = [
        *((noise, 3 * time), (scale, 3), (rotation, 4), (negate, 0), (time_flip, 0), (axis_shuffle, 1)),
        *((segment_permutation, 11), (time_warp, 18)),
    ]
    out = []
    for window, numbers in zip(x, uniform, strict=True):
        for kind, own in zip(np.argsort(numbers[:8])[:2], np.split(numbers[8:], 2), strict=True):
            augment, draws = kinds[kind]
            window = augment(window, own[:draws])
        out.append(window)
    return np.stack(out)


def rows(size: Size, machine: Machine) -> list[Row]:
    """Rows for the anchors of a batch, and for all windows of the paper's batch."""
    counts = (size.loss_batch, size.batch * (1 + size.candidates))
    return [row for count in counts for row in _of_count(count, size, machine)]


def _of_count(count: int, size: Size, machine: Machine) -> list[Row]:
    x, ours, generator = windows(size, count), RandomAugmentations(), torch.Generator().manual_seed(0)

    def draw() -> Tensor:
        return torch.rand(count, ours.draws(size.time), generator=generator)

    def looped() -> np.ndarray:
        return plain(x.numpy(), draw().numpy())

    uniform = draw()
    found, expected = ours.apply(x, uniform).numpy(), plain(x.numpy(), uniform.numpy())
    np.testing.assert_allclose(found, expected, rtol=0, atol=ERROR)
    error = np.abs(found - expected).max()
    variants = [
        Variant("looped, numpy", looped, items=count),
        Variant("ours", lambda: ours(x, generator), agreement=f"within {error:.0e} g", items=count),
    ]
    return compare(f"two augmentations, {count} windows", variants, machine, size.rounds, unit="windows/s")
