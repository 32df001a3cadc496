"""Eight accelerometer augmentations (Um et al. 2017; Tang et al. 2020) for batches, and their random composition.

The random numbers of a window are one row of uniform numbers, and ``apply`` is a pure function of windows and rows.
Windows are therefore independent of each other, the seed of a generator determines the result, and dividing a batch
does not change it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from math import pi, sqrt

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import CubicSpline
from torch import Tensor

from relcon_lightning.errors import ConfigError


class Augmentation(ABC):
    """A random change of windows ``(B, 3, T)`` in g, with separate random parameters for each window."""

    @abstractmethod
    def draws(self, time: int) -> int:
        """Number of uniform numbers that a window of ``time`` samples needs."""

    @abstractmethod
    def apply(self, x: Tensor, uniform: Tensor) -> Tensor:
        """Return changed copies of windows ``x`` ``(B, 3, T)``, given uniform numbers ``(B, draws(T))`` in [0, 1)."""

    def __call__(self, x: Float[Tensor, "B 3 T"], generator: torch.Generator) -> Float[Tensor, "B 3 T"]:
        """Augment ``x`` ``(B, 3, T)`` with random numbers from ``generator``, which must be on the device of ``x``.

        The computation keeps the precision of ``x`` even with autocast, because bfloat16 is coarser than a sensor.

        Example:
            >>> still = torch.zeros(2, 3, 256)
            >>> still[:, 2] = 1.0  # gravity on the third axis, in g
            >>> turned = Rotation()(still, torch.Generator().manual_seed(0))
            >>> bool((turned.norm(dim=1) - 1).abs().max() < 1e-5), torch.equal(turned, still)
            (True, False)
        """
        uniform = torch.rand(len(x), self.draws(x.shape[-1]), generator=generator, device=x.device)
        with torch.autocast(x.device.type, enabled=False):
            return self.apply(x, uniform.to(x.dtype))


class Noise(Augmentation):
    """Add Gaussian noise of standard deviation ``sigma`` (g) to every sample."""

    def __init__(self, sigma: float = 0.1) -> None:
        self.sigma = sigma

    def draws(self, time: int) -> int:
        """One number per sample and axis."""
        return 3 * time

    def apply(self, x: Tensor, uniform: Tensor) -> Tensor:
        """See :class:`Augmentation`."""
        return x + self.sigma * _normal(uniform).view_as(x)


class Scale(Augmentation):
    """Multiply each axis by its own factor N(1, sigma^2)."""

    def __init__(self, sigma: float = 0.25) -> None:
        self.sigma = sigma

    def draws(self, time: int) -> int:
        """One number per axis."""
        return 3

    def apply(self, x: Tensor, uniform: Tensor) -> Tensor:
        """See :class:`Augmentation`."""
        return x * (1 + self.sigma * _normal(uniform))[:, :, None]


class Rotation(Augmentation):
    """Rotate the sensor about a random direction, uniform on the sphere, by an angle uniform in (-pi, pi)."""

    def draws(self, time: int) -> int:
        """Three numbers for the direction and one for the angle."""
        return 4

    def apply(self, x: Tensor, uniform: Tensor) -> Tensor:
        """See :class:`Augmentation`. Rodrigues' formula ``R = I + sin(a) K + (1 - cos(a)) K^2``."""
        direction = torch.nn.functional.normalize(_normal(uniform[:, :3]), dim=-1)
        angle = (uniform[:, 3] * 2 - 1)[:, None, None] * pi
        identity = torch.eye(3, dtype=x.dtype, device=x.device)
        cross = torch.linalg.cross(direction[:, None, :].expand(-1, 3, -1), identity.expand(len(x), 3, 3)).mT
        rotated: Tensor = (identity + angle.sin() * cross + (1 - angle.cos()) * cross @ cross) @ x
        return rotated


class Negate(Augmentation):
    """Change the sign of every axis."""

    def draws(self, time: int) -> int:
        """No random numbers."""
        return 0

    def apply(self, x: Tensor, uniform: Tensor) -> Tensor:
        """See :class:`Augmentation`."""
        return -x


class TimeFlip(Augmentation):
    """Reverse time."""

    def draws(self, time: int) -> int:
        """No random numbers."""
        return 0

    def apply(self, x: Tensor, uniform: Tensor) -> Tensor:
        """See :class:`Augmentation`."""
        return x.flip(-1)


class AxisShuffle(Augmentation):
    """Permute the axes by a random permutation other than the identity.

    Args:
        identity: Choose from all six permutations, including the identity.
    """

    _PERMUTATIONS = torch.tensor([(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0), (0, 1, 2)])

    def __init__(self, identity: bool = False) -> None:
        self.orders = 6 if identity else 5

    def draws(self, time: int) -> int:
        """One number, which selects the permutation."""
        return 1

    def apply(self, x: Tensor, uniform: Tensor) -> Tensor:
        """See :class:`Augmentation`."""
        order = self._PERMUTATIONS.to(x.device)[(uniform[:, 0] * self.orders).long()]
        return x.gather(1, order[:, :, None].expand_as(x))


class SegmentPermutation(Augmentation):
    """Cut the window at ``cuts`` random points into pieces of ``shortest`` samples or more, and shuffle the pieces."""

    def __init__(self, cuts: int = 5, shortest: int = 1) -> None:
        self.cuts, self.shortest = cuts, shortest

    def draws(self, time: int) -> int:
        """One number per cut, then one for the new position of each piece."""
        return 2 * self.cuts + 1

    def apply(self, x: Tensor, uniform: Tensor) -> Tensor:
        """See :class:`Augmentation`."""
        time = x.shape[-1]
        free = time - (self.cuts + 1) * self.shortest + 1
        points = (uniform[:, : self.cuts] * free).long().sort(-1).values
        points = points + self.shortest * torch.arange(1, self.cuts + 1, device=x.device)
        piece = torch.searchsorted(points, torch.arange(time, device=x.device).repeat(len(x), 1), right=True)
        place = uniform[:, self.cuts :].argsort(-1).gather(-1, piece)
        order = place.argsort(dim=-1, stable=True)
        return x.gather(-1, order[:, None].expand_as(x))


class TimeWarp(Augmentation):
    """Resample the window at a smooth random speed, by linear interpolation; first and last samples stay in place.

    The speed is a cubic spline through ``knots`` evenly spaced values N(1, sigma^2). It is at least 0.05, so that
    time never runs backwards. Its cumulative sum, rescaled to the window, gives the position of each sample.

    Args:
        knots: Number of knots of the spline.
        sigma: Standard deviation of the speed at a knot.
        per_axis: True: each axis has its own speed, as in the paper. False: all axes have the same speed.
    """

    def __init__(self, knots: int = 6, sigma: float = 0.2, per_axis: bool = True) -> None:
        self.knots, self.sigma = knots, sigma
        self.speeds = 3 if per_axis else 1

    def draws(self, time: int) -> int:
        """One number per speed and knot."""
        return self.speeds * self.knots

    def apply(self, x: Tensor, uniform: Tensor) -> Tensor:
        """See :class:`Augmentation`."""
        time = x.shape[-1]
        spline = torch.from_numpy(_spline_basis(self.knots, time)).to(x)
        knots = 1 + self.sigma * _normal(uniform).view(len(x), self.speeds, self.knots)
        speed = (knots @ spline.T).clamp_min(0.05)
        elapsed = (speed[..., 1:] + speed[..., :-1]).cumsum(-1)
        elapsed = torch.nn.functional.pad(elapsed / elapsed[..., -1:] * (time - 1), (1, 0))
        left = elapsed.long().clamp(max=time - 2)
        part = elapsed - left
        left = left.expand_as(x)
        return x.gather(-1, left) * (1 - part) + x.gather(-1, left + 1) * part


class ContiguousMask(Augmentation):
    """Mask one contiguous part of the window: each axis is set to its mean there.

    This is not one of the eight augmentations. In distance learning it gives the masked reconstruction of REBAR (Xu et
    al. 2024), which is the ablation "w/o augmentations" in Table 5 of the paper: see
    :class:`~relcon_lightning.methods.DistanceLearning`.

    Args:
        share: Fraction of the window that is masked, between 0 and 1.
    """

    def __init__(self, share: float = 0.25) -> None:
        if not 0 < share < 1:
            raise ConfigError(f"share={share}: expected the fraction of a window to mask, a number between 0 and 1.")
        self.share = share

    def draws(self, time: int) -> int:
        """One number, which places the masked part."""
        return 1

    def apply(self, x: Tensor, uniform: Tensor) -> Tensor:
        """See :class:`Augmentation`."""
        return self._hide(x, self._stretch(x.shape[-1], uniform))

    def hide(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Masked windows ``(B, 3, T)``, and a boolean ``(B, T)``, True for the samples that are hidden."""
        uniform = torch.rand(len(x), self.draws(x.shape[-1]), generator=generator, device=x.device)
        hidden = self._stretch(x.shape[-1], uniform)
        return self._hide(x, hidden), hidden

    def _stretch(self, time: int, uniform: Tensor) -> Tensor:
        length = max(1, round(self.share * time))
        first = (uniform[:, :1] * (time - length + 1)).long()
        instant = torch.arange(time, device=uniform.device)
        return (instant >= first) & (instant < first + length)

    @staticmethod
    def _hide(x: Tensor, hidden: Tensor) -> Tensor:
        return torch.where(hidden[:, None], x.mean(-1, keepdim=True), x)


class RandomAugmentations(Augmentation):
    """Apply ``n`` different augmentations, chosen from ``augmentations``, to each window in random order.

    Args:
        augmentations: Augmentations to choose from; None: the eight.
        n: Number of augmentations per window.
        warp_per_axis: ``per_axis`` of :class:`TimeWarp` among the eight.
    """

    def __init__(
        self, augmentations: Sequence[Augmentation] | None = None, n: int = 2, warp_per_axis: bool = True
    ) -> None:
        self.augmentations = default_augmentations(warp_per_axis) if augmentations is None else list(augmentations)
        if not 1 <= n <= len(self.augmentations):
            raise ConfigError(f"n={n}: expected a number of different augmentations, 1 to {len(self.augmentations)}.")
        self.n = n

    def draws(self, time: int) -> int:
        """One number per augmentation for the choice, then the numbers of each of the ``n`` chosen augmentations."""
        return len(self.augmentations) + self.n * max(a.draws(time) for a in self.augmentations)

    def apply(self, x: Tensor, uniform: Tensor) -> Tensor:
        """See :class:`Augmentation`."""
        kinds = len(self.augmentations)
        chosen = uniform[:, :kinds].argsort(-1)[:, : self.n]
        numbers = uniform[:, kinds:].chunk(self.n, dim=-1)
        x = x.clone()
        for kind_of_window, number in zip(chosen.unbind(-1), numbers, strict=True):
            for kind, augmentation in enumerate(self.augmentations):
                rows = (kind_of_window == kind).nonzero().squeeze(-1)
                if len(rows):
                    x[rows] = augmentation.apply(x[rows], number[rows, : augmentation.draws(x.shape[-1])])
        return x


class OneTransformation:
    """Two views of a batch. Each view has one transformation for the whole batch; the two transformations differ.

    This is the recipe of the SOAR tutorial (Haresamudram et al. 2023), which the paper follows for SimCLR.

    Args:
        augmentations: Two or more augmentations to choose from; None: the eight.
        warp_per_axis: ``per_axis`` of :class:`TimeWarp` among the eight.
    """

    def __init__(self, augmentations: Sequence[Augmentation] | None = None, warp_per_axis: bool = True) -> None:
        self.augmentations = default_augmentations(warp_per_axis) if augmentations is None else list(augmentations)
        if len(self.augmentations) < 2:
            raise ConfigError("Two views need different augmentations: give two augmentations or more.")

    def __call__(
        self, x: Float[Tensor, "B 3 T"], generator: torch.Generator
    ) -> tuple[Float[Tensor, "B 3 T"], Float[Tensor, "B 3 T"]]:
        """Both views of ``x`` ``(B, 3, T)``."""
        order = torch.randperm(len(self.augmentations), generator=generator, device=x.device)
        first, second = (self.augmentations[k](x, generator) for k in order[:2].tolist())
        return first, second


class TwoDraws:
    """Two views of a batch: two independent draws of an augmentation for each window.

    Args:
        augmentation: Augmentation that creates a view; None: two random ones of the eight.
    """

    def __init__(self, augmentation: Augmentation | None = None) -> None:
        self.augmentation = augmentation or RandomAugmentations()

    def __call__(
        self, x: Float[Tensor, "B 3 T"], generator: torch.Generator
    ) -> tuple[Float[Tensor, "B 3 T"], Float[Tensor, "B 3 T"]]:
        """Both views of ``x`` ``(B, 3, T)``."""
        return self.augmentation(x, generator), self.augmentation(x, generator)


def default_augmentations(warp_per_axis: bool = True) -> list[Augmentation]:
    """The eight augmentations with their default parameters (Tang et al. 2020)."""
    warp = TimeWarp(per_axis=warp_per_axis)
    return [Noise(), Scale(), Rotation(), Negate(), TimeFlip(), AxisShuffle(), SegmentPermutation(), warp]


def _normal(uniform: Tensor) -> Tensor:
    """Convert uniform to standard normal numbers with the inverse distribution function."""
    return torch.erfinv((uniform * 2 - 1).clamp(-1 + 1e-7, 1 - 1e-7)) * sqrt(2)


@lru_cache(maxsize=8)
def _spline_basis(knots: int, time: int) -> np.ndarray:
    """Matrix ``(time, knots)`` that evaluates cubic splines, which are linear in the values at their knots."""
    places = np.linspace(0, time - 1, knots)
    return np.asarray(CubicSpline(places, np.eye(knots))(np.arange(time)))
